//! Undoing what a run did.

use std::time::Duration;

use serde_json::json;

use super::fixtures::{
    Held, advance, at, cancel, cancel_and_undo, chain, claimed, held, lease_lost, moved, outside, record, report, resume, settle, start,
    steps, success, undo_failed, undo_of_a_cancel, undo_of_a_failure, undone, whole, wide, worker,
};
use crate::{
    model::{RunEventBody, RunState, StepState},
    store::{Change, End, Fence, MAX_UNDO_DATA, RecordError, Settle, Settlement, Store},
};

/// A held run of `a ← b ← c` in which `a` succeeded, `b` failed and the undo of `b` runs as its second attempt.
async fn undoing(store: &dyn Store) -> Held {
    let held = held(store, "shop", &chain(&["a", "b", "c"])).await;
    let output = Settlement::Succeeded { output: Some(json!({ "port": 80 })) };
    held.change(store, advance([settle(0, 1, output)], [start(1)], None)).await.unwrap();
    held.change(store, advance([settle(1, 1, Settlement::Failed)], [start(1)], undo_of_a_failure("b failed"))).await.unwrap();
    held
}

/// The same once both undos failed.
async fn stuck(store: &dyn Store) -> Held {
    let held = undoing(store).await;
    held.change(store, advance([settle(1, 2, Settlement::Failed)], [], undo_failed("no answer"))).await.unwrap();
    held
}

fn retry_undo(held: &Held) -> crate::store::Command {
    outside(held.run.id, Change::RetryUndo { reason: "retried by tester".to_owned() }, "run.undo")
}

fn skip_undo(held: &Held, step: u32) -> crate::store::Command {
    outside(held.run.id, Change::SkipUndo { step: at(step), reason: "skipped by tester".to_owned() }, "run.undo")
}

/// The run as its next holder has it.
async fn claimed_again(store: &dyn Store, held: &Held) -> Held {
    let claim = claimed(store, held.fence.worker).await;
    assert_eq!(claim.run.id, held.run.id);
    Held { fence: Fence { epoch: claim.run.epoch, ..held.fence }, ..held.clone() }
}

/// A failure begins the undo in the same command: what never began is skipped, and each undo is an attempt of its step.
pub async fn a_failure_is_undone(store: &dyn Store) {
    let held = undoing(store).await;
    let run = held.now(store).await;
    assert_eq!((run.state, run.message.as_str(), run.worker_id), (RunState::Undoing, "b failed", Some(held.fence.worker)));
    assert_eq!(steps(store, run.id).await, ["a succeeded 1", "b undoing 2", "c skipped 0"]);
    let row = store.steps(run.id).await.unwrap().remove(1);
    assert_eq!((row.undo_from, row.attempts_before, row.finished_at, row.next_attempt_at), (Some(StepState::Failed), 1, None, None));

    let timed = crate::model::StepStart { index: at(0), timeout_ms: Some(5000) };
    let done = held.change(store, advance([settle(1, 2, undone())], [timed], None)).await.unwrap();
    let row = store.steps(run.id).await.unwrap().remove(0);
    assert_eq!(done.started, [(at(0), 2, row.deadline_at)]);
    assert_eq!(row.deadline_at.unwrap().duration_since(row.started_at.unwrap()).as_millis(), 5000);
    assert_eq!(
        (row.undo_from, row.output.clone()),
        (Some(StepState::Succeeded), Some(json!({ "port": 80 }))),
        "the output is kept for the undo"
    );
    let done = held.change(store, advance([settle(0, 2, undone())], [], Some(End::UndoSucceed))).await.unwrap();
    assert_eq!(done.run_state, RunState::Undone);
    assert!(done.events.last().unwrap().is_final());
    let run = held.now(store).await;
    assert_eq!((run.state, run.message.as_str(), run.worker_id), (RunState::Undone, "b failed", None), "the cause stays beside it");
    assert_eq!(steps(store, run.id).await, ["a undone 2", "b undone 2", "c skipped 0"]);
    assert_eq!(store.steps(run.id).await.unwrap()[0].output, Some(json!({ "port": 80 })));
    let before = whole(store, run.id).await;
    moved(record(store, retry_undo(&held)).await);
    moved(record(store, cancel(run.id, "too late")).await);
    moved(record(store, resume(run.id, "too late")).await);
    assert_eq!(whole(store, run.id).await, before);
}

/// The end of an undo gives the turn to the deployment's next run.
pub async fn the_turn_goes_on(store: &dyn Store) {
    let held = undoing(store).await;
    let next = super::fixtures::queued(store, &held.deployment, &chain(&["a"])).await;
    held.change(store, advance([settle(1, 2, undone())], [start(0)], None)).await.unwrap();
    assert!(!store.run(next.id).await.unwrap().ready);
    held.change(store, advance([settle(0, 2, undone())], [], Some(End::UndoSucceed))).await.unwrap();
    assert!(store.run(next.id).await.unwrap().ready);
}

/// A step that had begun and was to begin again counts as stopped, and can be undone; one that never began cannot.
pub async fn what_can_be_undone(store: &dyn Store) {
    let held = held(store, "shop", &wide(&["a", "b", "c"])).await;
    let pause = Settlement::Retry { pause: Duration::from_secs(60) };
    let again = Settle { message: "flaky".to_owned(), ..settle(1, 1, pause) };
    held.change(store, advance([again], [], None)).await.unwrap();
    moved(held.change(store, advance([], [start(2)], None)).await);
    moved(held.change(store, advance([], [start(0)], undo_of_a_failure("too early"))).await);
    moved(held.change(store, advance([success(0)], [], undo_of_a_failure("nothing to begin with"))).await);
    moved(held.change(store, advance([success(0)], [start(0)], undo_of_a_cancel())).await);
    held.change(store, advance([success(0), settle(2, 1, Settlement::Failed)], [start(1)], undo_of_a_failure("c failed"))).await.unwrap();
    assert_eq!(steps(store, held.run.id).await, ["a succeeded 1", "b undoing 2", "c failed 1"]);
    let told: Vec<_> = store.run_events(held.run.id, 0, 100).await.unwrap();
    let told = told.iter().filter_map(|event| match &event.body {
        RunEventBody::Step { name, state, message, .. } if name.as_str() == "b" => Some(format!("{state} {message}")),
        _ => None,
    });
    assert_eq!(told.collect::<Vec<_>>(), ["running ", "pending flaky", "cancelled flaky", "undoing "]);
    moved(held.change(store, advance([], [start(1)], None)).await);
    moved(held.change(store, advance([success(0)], [], None)).await);
}

/// An undo that is tried again waits in the state `undoing`, not before a time; attempts go on counting.
pub async fn an_undo_is_retried(store: &dyn Store) {
    let held = undoing(store).await;
    let pause = Settlement::Retry { pause: Duration::from_secs(90) };
    let done = held.change(store, advance([Settle { message: "busy".to_owned(), ..settle(1, 2, pause) }], [], None)).await.unwrap();
    let row = store.steps(held.run.id).await.unwrap().remove(1);
    assert_eq!((row.state, row.attempt, row.message.as_str()), (StepState::Undoing, 2, "busy"));
    assert_eq!(row.next_attempt_at.unwrap().duration_since(done.events[0].at).as_secs(), 90);
    moved(held.change(store, advance([settle(1, 2, undone())], [], None)).await);
    let done = held.change(store, advance([], [start(1)], None)).await.unwrap();
    assert_eq!(done.started, [(at(1), 3, None)]);
    let row = store.steps(held.run.id).await.unwrap().remove(1);
    assert_eq!((row.attempt, row.attempts_before, row.next_attempt_at), (3, 1, None));
    moved(held.change(store, advance([settle(1, 2, undone())], [], None)).await);
    held.change(store, advance([settle(1, 3, undone())], [], None)).await.unwrap();
}

/// What a body keeps for its undo survives attempts; another replaces it; there is a bound. It writes no event.
pub async fn undo_data(store: &dyn Store) {
    let held = held(store, "shop", &chain(&["a", "b"])).await;
    let save = |step, attempt, data| Change::SaveUndo { step: at(step), attempt, data };
    let data = async || store.steps(held.run.id).await.unwrap().remove(0).undo_data.clone();
    let done = held.change(store, save(0, 1, json!({ "was": ["ö", 1] }))).await.unwrap();
    assert_eq!(done.events.len(), 0);
    assert_eq!(data().await, Some(json!({ "was": ["ö", 1] })));
    moved(held.change(store, save(1, 0, json!(1))).await);
    moved(held.change(store, save(0, 2, json!(1))).await);
    let large = held.change(store, save(0, 1, json!("x".repeat(MAX_UNDO_DATA)))).await;
    assert!(matches!(large, Err(RecordError::Limit(_))), "{large:?}");
    held.change(store, advance([settle(0, 1, Settlement::Retry { pause: Duration::ZERO })], [], None)).await.unwrap();
    held.change(store, advance([], [start(0)], None)).await.unwrap();
    assert_eq!(data().await, Some(json!({ "was": ["ö", 1] })), "the effect of an earlier attempt may still be there");
    held.change(store, save(0, 2, json!("later"))).await.unwrap();
    held.change(store, advance([settle(0, 2, Settlement::Failed)], [start(0)], undo_of_a_failure("no"))).await.unwrap();
    assert_eq!(data().await, Some(json!("later")));
    store.retire_worker(held.fence.worker).await.unwrap();
    let next = worker(store).await;
    assert_eq!(claimed(store, next).await.steps[0].undo_data, Some(json!("later")), "whoever takes it over is given it");
}

/// Takeover in the middle of an undo: the run is still undoing, its steps as they were left, the old holder fenced off.
pub async fn takeover_while_undoing(store: &dyn Store) {
    let held = undoing(store).await;
    held.change(store, Change::KeepHandle { step: at(1), attempt: 2, handle: json!({ "pid": 7 }) }).await.unwrap();
    held.change(store, report(1, "drop", crate::model::ReportedState::Running)).await.unwrap();
    store.retire_worker(held.fence.worker).await.unwrap();
    let next = worker(store).await;
    let taken = claimed(store, next).await;
    assert_eq!((taken.run.state, taken.run.epoch, taken.run.message.as_str()), (RunState::Undoing, 2, "b failed"));
    assert!(taken.taken_over);
    assert_eq!(steps(store, held.run.id).await, ["a succeeded 1", "b undoing 2", "c skipped 0", "drop running 2"]);
    assert_eq!((taken.steps[1].handle.clone(), taken.steps[1].undo_from), (Some(json!({ "pid": 7 })), Some(StepState::Failed)));
    assert_eq!(taken.steps[0].output, Some(json!({ "port": 80 })));
    lease_lost(held.change(store, advance([settle(1, 2, undone())], [], None)).await, 2);
    let holder = Held { fence: Fence { worker: next, epoch: 2 }, ..held.clone() };
    let done = holder.change(store, advance([settle(1, 2, Settlement::Interrupted)], [start(1)], None)).await.unwrap();
    assert_eq!(done.started, [(at(1), 3, None)]);
    assert_eq!(store.steps(held.run.id).await.unwrap()[1].handle, None, "another attempt leaves something else running");
    assert_eq!(steps(store, held.run.id).await, ["a succeeded 1", "b undoing 3", "c skipped 0", "drop failed 2"]);
}

/// A command that begins undos and is sent again answers with the attempts that it began.
pub async fn repeated_undo_commands(store: &dyn Store) {
    let held = undoing(store).await;
    let back = held.command(advance([settle(1, 2, Settlement::Interrupted)], [start(1)], None));
    let first = record(store, back.clone()).await.unwrap();
    assert_eq!(first.started, [(at(1), 3, None)]);
    let before = whole(store, held.run.id).await;
    let repeated = record(store, super::fixtures::again(&back)).await.unwrap();
    assert_eq!((repeated.started, repeated.events), (first.started, first.events));
    assert_eq!(whole(store, held.run.id).await, before);
}

/// A cancel undoes what was done when the plan says so: once everything has stopped, in one command.
pub async fn a_cancel_is_undone(store: &dyn Store) {
    let held = held(store, "shop", &chain(&["a", "b"])).await;
    held.change(store, advance([success(0)], [start(1)], None)).await.unwrap();
    let asked = record(store, cancel_and_undo(held.run.id, "enough")).await.unwrap();
    assert_eq!(asked.run_state, RunState::Cancelling);
    let late = held.change(store, advance([settle(1, 1, Settlement::Failed)], [start(1)], undo_of_a_failure("b failed"))).await.unwrap();
    assert_eq!((late.run_state, late.started.len()), (RunState::Cancelling, 0), "a cancel that came first wins");
    let done = held.change(store, advance([], [start(1)], undo_of_a_cancel())).await.unwrap();
    assert_eq!((done.run_state, done.started.clone()), (RunState::Undoing, vec![(at(1), 2, None)]));
    held.change(store, advance([settle(1, 2, undone())], [start(0)], None)).await.unwrap();
    held.change(store, advance([settle(0, 2, undone())], [], Some(End::UndoSucceed))).await.unwrap();
    let run = held.now(store).await;
    assert_eq!((run.state, run.message.as_str()), (RunState::Undone, "enough"));
}

/// A run that nobody holds is given to a worker once more to be undone: parked, it keeps its turn meanwhile.
pub async fn a_parked_run_is_cancelled_and_undone(store: &dyn Store) {
    let held = held(store, "shop", &chain(&["a", "b"])).await;
    let next = super::fixtures::queued(store, &held.deployment, &chain(&["a"])).await;
    held.change(store, advance([success(0)], [], Some(End::Park { message: "look first".to_owned() }))).await.unwrap();
    let asked = record(store, cancel_and_undo(held.run.id, "forget it")).await.unwrap();
    assert_eq!((asked.run_state, asked.events.len()), (RunState::Cancelling, 1));
    assert!(store.poll(held.fence.worker).await.unwrap().claimable);
    let again = claimed_again(store, &held).await;
    assert_eq!(again.now(store).await.state, RunState::Cancelling);
    assert!(!store.run(next.id).await.unwrap().ready);
    again.change(store, advance([], [start(0)], undo_of_a_cancel())).await.unwrap();
    again.change(store, advance([settle(0, 2, undone())], [], Some(End::UndoSucceed))).await.unwrap();
    assert_eq!((again.now(store).await.state, again.now(store).await.message.as_str()), (RunState::Undone, "forget it"));
    assert!(store.run(next.id).await.unwrap().ready);
    // Of one that never began there is nothing to undo.
    let done = record(store, cancel_and_undo(next.id, "nor that")).await.unwrap();
    assert_eq!(done.run_state, RunState::Cancelled);
}

/// A cancel of an undo stops it where it is; it can be taken up again.
pub async fn a_cancel_stops_the_undo(store: &dyn Store) {
    let held = undoing(store).await;
    let asked = record(store, cancel_and_undo(held.run.id, "leave it")).await.unwrap();
    assert_eq!(asked.run_state, RunState::Cancelling);
    assert_eq!(held.now(store).await.message, "b failed; undo: leave it");
    let late = held.change(store, advance([settle(1, 2, Settlement::Interrupted)], [start(0)], Some(End::UndoSucceed))).await.unwrap();
    assert_eq!((late.run_state, late.started.len()), (RunState::Cancelling, 0));
    let done = held.change(store, advance([], [], Some(End::Cancel { message: String::new() }))).await.unwrap();
    assert_eq!(done.run_state, RunState::Cancelled);
    assert_eq!(steps(store, held.run.id).await, ["a succeeded 1", "b undo_failed 2", "c skipped 0"]);
    assert_eq!(record(store, retry_undo(&held)).await.unwrap().run_state, RunState::Queued);
    let again = claimed_again(store, &held).await;
    assert_eq!(again.now(store).await.state, RunState::Undoing);
    assert_eq!(again.now(store).await.message, "b failed; undo: retried by tester");
}

/// An undo that failed frees the deployment; retried, the run queues again behind whatever has its turn, and goes on undoing.
pub async fn a_failed_undo_is_retried(store: &dyn Store) {
    let held = stuck(store).await;
    let run = held.now(store).await;
    assert_eq!((run.state, run.message.as_str(), run.worker_id), (RunState::UndoFailed, "b failed; undo: no answer", None));
    assert!(run.finished_at.is_some());
    assert_eq!(steps(store, run.id).await, ["a succeeded 1", "b undo_failed 2", "c skipped 0"]);
    let other = super::fixtures::queued(store, &held.deployment, &chain(&["a"])).await;
    let other_held = Held { fence: held.fence, run: claimed(store, held.fence.worker).await.run, ..held.clone() };
    assert_eq!(other_held.run.id, other.id);

    moved(record(store, skip_undo(&held, 0)).await);
    moved(record(store, resume(run.id, "that is another matter")).await);
    let asked = record(store, retry_undo(&held)).await.unwrap();
    assert_eq!((asked.run_state, asked.events.len()), (RunState::Queued, 2));
    let queued = held.now(store).await;
    assert_eq!((queued.ready, queued.started_at, queued.finished_at, queued.last_seq), (false, None, None, run.last_seq + 2));
    assert_eq!(store.claim(held.fence.worker, 5).await.unwrap().len(), 0, "another run is held");
    moved(record(store, retry_undo(&held)).await);
    other_held.change(store, advance([success(0)], [], super::fixtures::succeeded())).await.unwrap();

    let again = claimed_again(store, &held).await;
    let run = again.now(store).await;
    assert_eq!((run.state, run.epoch, run.message.as_str()), (RunState::Undoing, 2, "b failed; undo: retried by tester"));
    let row = store.steps(run.id).await.unwrap().remove(1);
    assert_eq!((row.state, row.attempt, row.attempts_before, row.undo_from), (StepState::Undoing, 2, 2, Some(StepState::Failed)));
    assert!(row.next_attempt_at.is_some(), "no body runs yet");
    again.change(store, advance([], [start(1)], None)).await.unwrap();
    again.change(store, advance([settle(1, 3, undone())], [start(0)], None)).await.unwrap();
    again.change(store, advance([settle(0, 2, undone())], [], Some(End::UndoSucceed))).await.unwrap();
    let run = again.now(store).await;
    assert_eq!((run.state, run.message.as_str()), (RunState::Undone, "b failed"));
    let seqs: Vec<_> = store.run_events(run.id, 0, 100).await.unwrap().iter().map(|event| event.seq).collect();
    assert_eq!(seqs, (1..=run.last_seq).collect::<Vec<_>>());
}

/// A step whose undo failed may be left behind: it counts as undone, says who decided that, and the undo goes on.
pub async fn a_failed_undo_is_skipped(store: &dyn Store) {
    let held = stuck(store).await;
    let command = skip_undo(&held, 1);
    assert_eq!(record(store, command.clone()).await.unwrap().run_state, RunState::Queued);
    let entry = command.audit.unwrap();
    assert_eq!(super::fixtures::audited(store, &entry).await, [*entry.clone()]);
    let again = claimed_again(store, &held).await;
    assert_eq!(again.now(store).await.state, RunState::Undoing);
    let row = store.steps(held.run.id).await.unwrap().remove(1);
    assert_eq!((row.state, row.attempt, row.message.as_str()), (StepState::Undone, 2, "skipped by tester"));
    again.change(store, advance([], [start(0)], None)).await.unwrap();
    again.change(store, advance([settle(0, 2, undone())], [], Some(End::UndoSucceed))).await.unwrap();
    assert_eq!(again.now(store).await.state, RunState::Undone);
}

/// An undo can be set aside, keeps its deployment's turn, and goes on undoing; cancelled meanwhile, it stays where it is.
pub async fn an_undo_is_parked(store: &dyn Store) {
    let held = undoing(store).await;
    let park = || advance([settle(1, 2, Settlement::Interrupted)], [], Some(End::Park { message: "look first".to_owned() }));
    assert_eq!(held.change(store, park()).await.unwrap().run_state, RunState::Parked);
    assert_eq!(held.now(store).await.message, "b failed; undo: look first");
    record(store, resume(held.run.id, "looked")).await.unwrap();
    assert_eq!(held.now(store).await.message, "b failed; undo: looked");
    let again = claimed_again(store, &held).await;
    assert_eq!(again.now(store).await.state, RunState::Undoing);
    again.change(store, advance([], [], Some(End::Park { message: "look again".to_owned() }))).await.unwrap();
    let done = record(store, cancel_and_undo(held.run.id, "let it be")).await.unwrap();
    assert_eq!(done.run_state, RunState::Cancelled);
    assert_eq!(held.now(store).await.message, "b failed; undo: let it be");
    assert_eq!(steps(store, held.run.id).await, ["a succeeded 1", "b undo_failed 2", "c skipped 0"]);
}
