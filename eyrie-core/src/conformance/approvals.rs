//! Runs that wait for somebody's word.

use super::fixtures::{
    Held, advance, at, audited, cancel, cancel_and_undo, chain, claimed, failed, held, lease_lost, moved, outside, queued, record, resume,
    start, steps, success, undo_of_a_cancel, whole,
};
use crate::{
    model::{RunState, StepState},
    store::{Change, Command, End, Fence, Store},
};

fn decide(held: &Held, step: u32, approved: bool) -> Command {
    outside(held.run.id, Change::Approve { step: at(step), approved, reason: "said by tester".to_owned() }, "run.approve")
}

/// A run of `a ← b ← c` in which `a` succeeded and which waits for `b`.
async fn waiting(store: &dyn Store) -> Held {
    let held = held(store, "shop", &chain(&["a", "b", "c"])).await;
    let wait = Some(End::Wait { message: "b needs an admin".to_owned() });
    assert_eq!(held.change(store, advance([success(0)], [], wait)).await.unwrap().run_state, RunState::Waiting);
    held
}

/// The run as its next holder has it.
async fn claimed_again(store: &dyn Store, held: &Held) -> Held {
    let claim = claimed(store, held.fence.worker).await;
    assert_eq!(claim.run.id, held.run.id);
    Held { fence: Fence { epoch: claim.run.epoch, ..held.fence }, ..held.clone() }
}

/// It holds no worker meanwhile, keeps its deployment's turn, and goes on at once when somebody approved, who is named.
pub async fn a_run_waits_and_goes_on(store: &dyn Store) {
    let held = waiting(store).await;
    let next = queued(store, &held.deployment, &chain(&["a"])).await;
    let run = held.now(store).await;
    assert_eq!((run.state, run.message.as_str(), run.worker_id, run.finished_at), (RunState::Waiting, "b needs an admin", None, None));
    assert_eq!(store.claim(held.fence.worker, 5).await.unwrap().len(), 0);
    assert!(!store.run(next.id).await.unwrap().ready);
    lease_lost(held.change(store, advance([], [start(1)], None)).await, 1);
    let command = decide(&held, 1, true);
    let done = record(store, command.clone()).await.unwrap();
    assert_eq!((done.run_state, done.events.len()), (RunState::Queued, 2));
    let entry = command.audit.unwrap();
    assert_eq!(audited(store, &entry).await, [*entry.clone()]);
    let row = store.steps(run.id).await.unwrap().remove(1);
    assert_eq!((row.state, row.attempt, row.message.as_str()), (StepState::Succeeded, 1, "said by tester"));
    assert_eq!(row.finished_at, Some(done.events[0].at));
    let again = claimed_again(store, &held).await;
    assert_eq!((again.now(store).await.state, again.now(store).await.started_at), (RunState::Running, run.started_at));
    again.change(store, advance([], [start(2)], None)).await.unwrap();
    again.change(store, advance([success(2)], [], super::fixtures::succeeded())).await.unwrap();
    assert!(store.run(next.id).await.unwrap().ready);
}

/// A rejected step has failed; what becomes of the run is then said by its holder.
pub async fn a_rejection_fails_the_step(store: &dyn Store) {
    let held = waiting(store).await;
    assert_eq!(record(store, decide(&held, 1, false)).await.unwrap().run_state, RunState::Queued);
    let again = claimed_again(store, &held).await;
    assert_eq!(steps(store, held.run.id).await, ["a succeeded 1", "b failed 1", "c pending 0"]);
    again.change(store, advance([], [], failed("b was rejected"))).await.unwrap();
    record(store, resume(held.run.id, "ask again")).await.unwrap();
    assert_eq!(steps(store, held.run.id).await, ["a succeeded 1", "b pending 1", "c pending 0"]);
}

/// Only a run that waits takes such a word, and only on a step that has not begun.
pub async fn nothing_else_can_be_approved(store: &dyn Store) {
    let early = held(store, "early", &chain(&["a", "b"])).await;
    moved(record(store, decide(&early, 1, true)).await);
    let held = waiting(store).await;
    let before = whole(store, held.run.id).await;
    moved(record(store, decide(&held, 0, true)).await);
    moved(record(store, resume(held.run.id, "it is not parked")).await);
    assert_eq!(whole(store, held.run.id).await, before);
    record(store, decide(&held, 1, true)).await.unwrap();
    moved(record(store, decide(&held, 1, false)).await);
}

/// A run that waits is cancelled at once, or undone by a worker when its plan says so.
pub async fn cancelled_while_waiting(store: &dyn Store) {
    let held = waiting(store).await;
    assert_eq!(record(store, cancel(held.run.id, "no")).await.unwrap().run_state, RunState::Cancelled);
    assert_eq!(steps(store, held.run.id).await, ["a succeeded 1", "b skipped 0", "c skipped 0"]);
    let other = Held { ..super::fixtures::held(store, "other", &chain(&["a", "b"])).await };
    other.change(store, advance([success(0)], [], Some(End::Wait { message: String::new() }))).await.unwrap();
    assert_eq!(record(store, cancel_and_undo(other.run.id, "no")).await.unwrap().run_state, RunState::Cancelling);
    let again = claimed_again(store, &other).await;
    let done = again.change(store, advance([], [start(0)], undo_of_a_cancel())).await.unwrap();
    assert_eq!(done.run_state, RunState::Undoing);
    assert_eq!(steps(store, other.run.id).await, ["a undoing 2", "b skipped 0"]);
}
