//! Runs that go on after they had ended.

use super::fixtures::{
    Held, advance, at, cancel, cancel_and_undo, chain, claimed, failed, held, held_in, moved, outside, queued, record, resume, settle,
    start, steps, succeeded, success, undo_failed, undo_of_a_cancel, undo_of_a_failure, whole, wide,
};
use crate::{
    model::{PrincipalRef, Resumption, RunEvent, RunKind, RunState, StepState},
    name::Origin,
    store::{Change, Command, End, Fence, RecordError, Settlement, Store},
};

/// A run of `a ← b ← c` in which `a` succeeded and `b` failed.
async fn broken(store: &dyn Store) -> Held {
    let held = held(store, "shop", &chain(&["a", "b", "c"])).await;
    held.change(store, advance([success(0)], [start(1)], None)).await.unwrap();
    held.change(store, advance([settle(1, 1, Settlement::Failed)], [], failed("b failed"))).await.unwrap();
    held
}

fn retry_step(held: &Held, step: u32, dependents: &[u32]) -> Command {
    let dependents = dependents.iter().copied().map(at).collect();
    outside(held.run.id, Change::RetryStep { step: at(step), dependents, reason: "retried by tester".to_owned() }, "run.resume")
}

/// The run as its next holder has it.
async fn claimed_again(store: &dyn Store, held: &Held) -> Held {
    let claim = claimed(store, held.fence.worker).await;
    assert_eq!((claim.run.id, claim.run.state), (held.run.id, RunState::Running));
    assert!(claim.taken_over, "its first steps are not started by the claim");
    Held { fence: Fence { epoch: claim.run.epoch, ..held.fence }, ..held.clone() }
}

/// What succeeded stays; all else is to begin anew, under the same id, as further attempts.
pub async fn a_failed_run_goes_on(store: &dyn Store) {
    let held = broken(store).await;
    let before = held.now(store).await;
    let command = resume(held.run.id, "resumed by tester");
    let done = record(store, command.clone()).await.unwrap();
    assert_eq!((done.run_state, done.events.len()), (RunState::Queued, 3));
    let entry = command.audit.unwrap();
    assert_eq!(super::fixtures::audited(store, &entry).await, [*entry.clone()]);
    let run = held.now(store).await;
    assert_eq!((run.state, run.message.as_str(), run.ready, run.worker_id), (RunState::Queued, "resumed by tester", true, None));
    assert_eq!((run.started_at, run.finished_at, run.queued_at, run.epoch), (None, None, before.queued_at, 1));
    assert_eq!(steps(store, run.id).await, ["a succeeded 1", "b pending 1", "c pending 0"]);
    moved(record(store, resume(held.run.id, "twice")).await);

    let again = claimed_again(store, &held).await;
    assert!(again.now(store).await.started_at > before.started_at);
    assert_eq!(steps(store, run.id).await, ["a succeeded 1", "b pending 1", "c pending 0"]);
    again.change(store, advance([], [start(1)], None)).await.unwrap();
    again.change(store, advance([settle(1, 2, Settlement::Succeeded { output: None })], [start(2)], None)).await.unwrap();
    again.change(store, advance([success(2)], [], succeeded())).await.unwrap();
    assert_eq!(steps(store, run.id).await, ["a succeeded 1", "b succeeded 2", "c succeeded 1"]);
    let run = again.now(store).await;
    assert_eq!((run.state, run.message.as_str()), (RunState::Succeeded, ""));
    assert!(run.finished_at > before.finished_at);
    moved(record(store, resume(held.run.id, "nothing is left to do")).await);
}

/// The deployment went on without the failed run: it waits for its turn, and then goes before what was asked for after it.
pub async fn the_turn_is_awaited(store: &dyn Store) {
    let held = broken(store).await;
    let plan = chain(&["a"]);
    let (second, third) = (queued(store, &held.deployment, &plan).await, queued(store, &held.deployment, &plan).await);
    record(store, resume(held.run.id, "go on")).await.unwrap();
    let ready = async || {
        let mut ready = Vec::new();
        for id in [held.run.id, second.id, third.id] {
            ready.push(store.run(id).await.unwrap().ready);
        }
        ready
    };
    assert_eq!(ready().await, [false, true, false], "a turn that was given is not taken back");
    let claims = store.claim(held.fence.worker, 5).await.unwrap();
    assert_eq!(claims.iter().map(|claim| claim.run.id).collect::<Vec<_>>(), [second.id]);
    let next = Held { run: claims[0].run.clone(), ..held.clone() };
    next.change(store, advance([success(0)], [], succeeded())).await.unwrap();
    assert_eq!(ready().await, [true, false, false]);
    claimed_again(store, &held).await;
    assert_eq!(store.claim(held.fence.worker, 5).await.unwrap().len(), 0);
}

/// One step is tried again with what depends on it; others that failed or were skipped stay as they are.
pub async fn one_step_is_retried(store: &dyn Store) {
    let plan = crate::model::Plan::builder()
        .step("a", "x", |s| s)
        .step("b", "x", |s| s)
        .step("c", "x", |s| s.needs(["a"]))
        .step("d", "x", |s| s.needs(["b"]))
        .build()
        .unwrap();
    let held = held(store, "shop", &plan).await;
    let both = [settle(0, 1, Settlement::Failed), settle(1, 1, Settlement::Failed)];
    held.change(store, advance(both, [], failed("a failed"))).await.unwrap();
    let done = record(store, retry_step(&held, 0, &[2])).await.unwrap();
    assert_eq!((done.run_state, done.events.len()), (RunState::Queued, 3));
    assert_eq!(steps(store, held.run.id).await, ["a pending 1", "b failed 1", "c pending 0", "d skipped 0"]);
    let rows = store.steps(held.run.id).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.attempts_before).collect::<Vec<_>>(), [1, 1, 0, 0], "b no longer stops anything");
    let again = claimed_again(store, &held).await;
    again.change(store, advance([], [start(0)], None)).await.unwrap();
    again.change(store, advance([settle(0, 2, Settlement::Succeeded { output: None })], [start(2)], None)).await.unwrap();
    again.change(store, advance([success(2)], [], failed("b was left failed"))).await.unwrap();
    assert_eq!(steps(store, held.run.id).await, ["a succeeded 2", "b failed 1", "c succeeded 1", "d skipped 0"]);
    record(store, resume(held.run.id, "now the rest")).await.unwrap();
    assert_eq!(steps(store, held.run.id).await, ["a succeeded 2", "b pending 1", "c succeeded 1", "d pending 0"]);
}

/// Only a failed planned step of a failed run can be tried again; a refusal leaves no trace.
pub async fn what_cannot_be_retried(store: &dyn Store) {
    let held = broken(store).await;
    let before = whole(store, held.run.id).await;
    moved(record(store, retry_step(&held, 0, &[1, 2])).await);
    moved(record(store, retry_step(&held, 2, &[])).await);
    let astray = record(store, retry_step(&held, 9, &[])).await;
    assert!(matches!(astray, Err(RecordError::Missing(_))), "{astray:?}");
    moved(record(store, outside(held.run.id, Change::RetryUndo { reason: String::new() }, "run.undo")).await);
    moved(record(store, outside(held.run.id, Change::SkipUndo { step: at(1), reason: String::new() }, "run.undo")).await);
    assert_eq!(whole(store, held.run.id).await, before);
    record(store, resume(held.run.id, "go on")).await.unwrap();
    let before = whole(store, held.run.id).await;
    moved(record(store, retry_step(&held, 1, &[2])).await);
    assert_eq!(whole(store, held.run.id).await, before);
}

/// The attempts of before are remembered, so that retry policies begin anew.
pub async fn attempts_count_anew(store: &dyn Store) {
    let held = held(store, "shop", &wide(&["a"])).await;
    let pause = || Settlement::Retry { pause: std::time::Duration::ZERO };
    held.change(store, advance([settle(0, 1, pause())], [], None)).await.unwrap();
    held.change(store, advance([], [start(0)], None)).await.unwrap();
    held.change(store, advance([settle(0, 2, Settlement::Failed)], [], failed("no"))).await.unwrap();
    assert_eq!(store.steps(held.run.id).await.unwrap()[0].attempts_before, 0);
    record(store, resume(held.run.id, "go on")).await.unwrap();
    let again = claimed_again(store, &held).await;
    again.change(store, advance([], [start(0)], None)).await.unwrap();
    let row = store.steps(held.run.id).await.unwrap().remove(0);
    assert_eq!((row.state, row.attempt, row.attempts_before), (StepState::Running, 3, 2));
}

/// A run that was resumed and is cancelled before it goes on is cancelled, also when its plan says that a cancel undoes: what it had
/// done was left when it failed.
pub async fn cancel_of_a_resumed_run(store: &dyn Store) {
    let held = broken(store).await;
    record(store, resume(held.run.id, "go on")).await.unwrap();
    let done = record(store, cancel_and_undo(held.run.id, "no, stop")).await.unwrap();
    assert_eq!(done.run_state, RunState::Cancelled);
    assert_eq!(steps(store, held.run.id).await, ["a succeeded 1", "b skipped 1", "c skipped 0"]);
    assert!(held.now(store).await.finished_at.is_some());
    let other = held_in(store, &held.deployment, RunKind::Deploy, &chain(&["a"])).await;
    assert!(other.run.id > held.run.id, "the deployment is free");
    moved(record(store, resume(held.run.id, "it was cancelled")).await);
}

/// A parked run that was let go on still has its turn: cancelled before it is claimed, it is undone all the same.
pub async fn a_parked_run_may_still_be_undone(store: &dyn Store) {
    let held = held(store, "shop", &chain(&["a", "b"])).await;
    held.change(store, advance([success(0)], [], Some(End::Park { message: "look first".to_owned() }))).await.unwrap();
    record(store, resume(held.run.id, "looked")).await.unwrap();
    assert_eq!(record(store, cancel_and_undo(held.run.id, "stop")).await.unwrap().run_state, RunState::Cancelling);
    assert!(!held.now(store).await.ready);
    let claim = claimed(store, held.fence.worker).await;
    assert_eq!(claim.run.state, RunState::Cancelling);
    let again = Held { fence: Fence { epoch: claim.run.epoch, ..held.fence }, ..held.clone() };
    let done = again.change(store, advance([], [start(0)], undo_of_a_cancel())).await.unwrap();
    assert_eq!(done.run_state, RunState::Undoing);
}

/// Events go on where they ended, without a gap; each end is one.
pub async fn events_go_on(store: &dyn Store) {
    let held = broken(store).await;
    let ended = held.now(store).await.last_seq;
    record(store, resume(held.run.id, "go on")).await.unwrap();
    let again = claimed_again(store, &held).await;
    record(store, cancel(held.run.id, "enough")).await.unwrap();
    again.change(store, advance([], [], Some(End::Cancel { message: String::new() }))).await.unwrap();
    let events = store.run_events(held.run.id, 0, 100).await.unwrap();
    let run = held.now(store).await;
    assert_eq!(events.iter().map(|event| event.seq).collect::<Vec<_>>(), (1..=run.last_seq).collect::<Vec<_>>());
    let ends: Vec<_> = events.iter().filter(|event| event.is_final()).map(|event| event.seq).collect();
    assert_eq!(ends, [ended, run.last_seq]);
    let behind: Vec<RunEvent> = store.run_events(held.run.id, ended, 100).await.unwrap();
    assert_eq!(behind, events[usize::try_from(ended).unwrap()..]);
    assert!(events.is_sorted_by_key(|event| (event.at, event.epoch)), "times and epochs never go back");
}

/// Who had a run go on is kept with it until somebody else does. The claim that follows begins that, and no other one; an approval
/// changes nothing about it.
pub async fn who_had_it_go_on_is_kept(store: &dyn Store) {
    let held = broken(store).await;
    assert_eq!(held.now(store).await.resumption, None);
    let by = |name: &str, mut command: Command| {
        let audit = command.audit.as_mut().unwrap();
        (audit.principal, audit.origin) = (PrincipalRef::LocalOperator { name: name.to_owned() }, Some(Origin::new("desk").unwrap()));
        command
    };
    let kept = |name: &str, undo: bool, epoch: u64| {
        let (by, origin) = (PrincipalRef::LocalOperator { name: name.to_owned() }, Some(Origin::new("desk").unwrap()));
        Some(Resumption { by, origin, undo, epoch })
    };
    let at_claim = async || {
        let claim = claimed(store, held.fence.worker).await;
        let again = Held { fence: Fence { epoch: claim.run.epoch, ..held.fence }, ..held.clone() };
        (again, claim.run.begins_resumption().cloned())
    };
    record(store, by("ann", resume(held.run.id, "go on"))).await.unwrap();
    assert_eq!(held.now(store).await.resumption, kept("ann", false, 1));
    let (again, begun) = at_claim().await;
    assert_eq!(begun, kept("ann", false, 1));
    again.change(store, advance([], [start(1)], None)).await.unwrap();
    let hand_back = Some(End::HandBack);
    again.change(store, advance([settle(1, 2, Settlement::Interrupted)], [], hand_back)).await.unwrap();
    let (again, begun) = at_claim().await;
    assert_eq!((begun, held.now(store).await.resumption.clone()), (None, kept("ann", false, 1)), "it was taken over");
    again.change(store, advance([], [start(1)], None)).await.unwrap();
    let wait = Some(End::Wait { message: "c needs an admin".to_owned() });
    again.change(store, advance([settle(1, 3, Settlement::Succeeded { output: None })], [], wait)).await.unwrap();
    let approve = Change::Approve { step: at(2), approved: true, reason: "fine".to_owned() };
    record(store, by("bob", outside(held.run.id, approve, "run.approve"))).await.unwrap();
    let (again, begun) = at_claim().await;
    assert_eq!((begun, held.now(store).await.resumption.clone()), (None, kept("ann", false, 1)), "an approval is no resumption");
    again.change(store, advance([], [start(1)], undo_of_a_failure("no"))).await.unwrap();
    again.change(store, advance([settle(1, 4, Settlement::Failed)], [], undo_failed("no answer"))).await.unwrap();
    let retry = Change::RetryUndo { reason: "again".to_owned() };
    record(store, by("cid", outside(held.run.id, retry, "run.undo"))).await.unwrap();
    let (again, begun) = at_claim().await;
    assert_eq!(begun, kept("cid", true, 4));
    again.change(store, advance([], [], Some(End::Park { message: "look first".to_owned() }))).await.unwrap();
    record(store, by("dan", resume(held.run.id, "looked"))).await.unwrap();
    assert_eq!(at_claim().await.1, kept("dan", false, 5));
}
