//! Steps that are skipped by their conditions.

use std::time::Duration;

use super::fixtures::{
    Held, again, at, cancel, chain, claimed, failed, held, moved, outside, record, report, resume, settle, skip, skip_and_advance, start,
    steps, succeeded, success, undo_of_a_failure, undone, whole, wide,
};
use crate::{
    model::{ReportedState, RunEventBody, RunState, StepState},
    store::{Change, End, Fence, RecordError, Settlement, Skip, Store},
};

/// Finishing a step, skipping those behind it and starting the next is one command; the run succeeds without them.
pub async fn settle_skip_and_start_are_one(store: &dyn Store) {
    let held = held(store, "shop", &chain(&["a", "b", "c", "d"])).await;
    let said = Skip { step: at(1), message: "its condition is false: \"a\" was skipped".to_owned() };
    let done = held.change(store, skip_and_advance([success(0)], [said, skip(2)], [start(3)], None)).await.unwrap();
    let told = done.events.iter().map(|event| match &event.body {
        RunEventBody::Step { name, state, message, .. } => (name.as_str(), *state, message.as_str()),
        other => panic!("{other:?}"),
    });
    let expected = [
        ("a", StepState::Succeeded, ""),
        ("b", StepState::Skipped, "its condition is false: \"a\" was skipped"),
        ("c", StepState::Skipped, "its condition is false"),
        ("d", StepState::Running, ""),
    ];
    assert_eq!(told.collect::<Vec<_>>(), expected);
    assert_eq!(done.started.iter().map(|(step, attempt, _)| (*step, *attempt)).collect::<Vec<_>>(), [(at(3), 1)]);
    let row = store.steps(held.run.id).await.unwrap().remove(1);
    assert_eq!((row.state, row.attempt, row.message.as_str()), (StepState::Skipped, 0, "its condition is false: \"a\" was skipped"));
    assert_eq!((row.started_at, row.finished_at, row.output.clone()), (None, Some(done.events[1].at), None));
    let done = held.change(store, skip_and_advance([success(3)], [], [], succeeded())).await.unwrap();
    assert_eq!(done.run_state, RunState::Succeeded);
    assert_eq!(steps(store, held.run.id).await, ["a succeeded 1", "b skipped 0", "c skipped 0", "d succeeded 1"]);

    let other = super::fixtures::held(store, "other", &chain(&["a", "b"])).await;
    let done = other.change(store, skip_and_advance([success(0)], [skip(1)], [], succeeded())).await.unwrap();
    assert_eq!(done.run_state, RunState::Succeeded, "the last one may be skipped, too");
}

/// Only a planned step that never began is skipped; a refusal leaves no trace.
pub async fn what_cannot_be_skipped(store: &dyn Store) {
    let held = held(store, "shop", &wide(&["a", "b", "c"])).await;
    held.change(store, report(0, "pull", ReportedState::Pending)).await.unwrap();
    let pause = Settlement::Retry { pause: Duration::ZERO };
    held.change(store, skip_and_advance([success(1), settle(2, 1, pause)], [], [], None)).await.unwrap();
    let states = ["a running 1", "b succeeded 1", "c pending 1", "pull pending 1"];
    assert_eq!(steps(store, held.run.id).await, states);
    let before = whole(store, held.run.id).await;
    for step in 0..4 {
        moved(held.change(store, skip_and_advance([], [skip(step)], [], None)).await);
    }
    let astray = held.change(store, skip_and_advance([success(0)], [skip(9)], [], None)).await;
    assert!(matches!(astray, Err(RecordError::Missing(_))), "{astray:?}");
    assert_eq!(whole(store, held.run.id).await, before);
}

/// When a cancel came first, only the settling is done.
pub async fn a_cancel_drops_what_was_to_be_skipped(store: &dyn Store) {
    let held = held(store, "shop", &chain(&["a", "b", "c"])).await;
    record(store, cancel(held.run.id, "enough")).await.unwrap();
    let done = held.change(store, skip_and_advance([success(0)], [skip(1)], [start(2)], None)).await.unwrap();
    assert_eq!((done.run_state, done.events.len()), (RunState::Cancelling, 1));
    assert_eq!(steps(store, held.run.id).await, ["a succeeded 1", "b pending 0", "c pending 0"]);
    held.change(store, skip_and_advance([], [], [], Some(End::Cancel { message: String::new() }))).await.unwrap();
    assert_eq!(steps(store, held.run.id).await, ["a succeeded 1", "b skipped 0", "c skipped 0"]);
}

/// A command that is sent again answers as before, and skips nothing again.
pub async fn a_repeated_skip(store: &dyn Store) {
    let held = held(store, "shop", &chain(&["a", "b", "c"])).await;
    let command = held.command(skip_and_advance([success(0)], [skip(1)], [start(2)], None));
    let done = record(store, command.clone()).await.unwrap();
    let before = whole(store, held.run.id).await;
    let repeated = record(store, again(&command)).await.unwrap();
    assert_eq!((&repeated.events, repeated.started), (&done.events, vec![(at(2), 1, None)]));
    assert_eq!(whole(store, held.run.id).await, before);
    moved(record(store, held.command(skip_and_advance([], [skip(1)], [], None))).await);
}

/// In a run that is resumed whole the condition is looked at anew; in one that is resumed for a step that does not come before it,
/// what was skipped stays so.
pub async fn a_resumed_run_looks_again(store: &dyn Store) {
    let held = held(store, "shop", &chain(&["a", "b", "c", "d"])).await;
    held.change(store, skip_and_advance([success(0)], [skip(1)], [start(2)], None)).await.unwrap();
    held.change(store, skip_and_advance([settle(2, 1, Settlement::Failed)], [], [], failed("c failed"))).await.unwrap();
    let change = Change::RetryStep { step: at(2), dependents: vec![at(3)], reason: "once more".to_owned() };
    record(store, outside(held.run.id, change, "run.resume")).await.unwrap();
    assert_eq!(steps(store, held.run.id).await, ["a succeeded 1", "b skipped 0", "c pending 1", "d pending 0"]);
    let held = claimed_again(store, &held).await;
    held.change(store, skip_and_advance([], [], [start(2)], None)).await.unwrap();
    held.change(store, skip_and_advance([settle(2, 2, Settlement::Failed)], [], [], failed("c failed"))).await.unwrap();
    record(store, resume(held.run.id, "all of it")).await.unwrap();
    let rows = store.steps(held.run.id).await.unwrap();
    assert_eq!((rows[1].state, rows[1].message.as_str(), rows[1].finished_at), (StepState::Pending, "", None));
    let held = claimed_again(store, &held).await;
    held.change(store, skip_and_advance([], [skip(1)], [start(2)], None)).await.unwrap();
    assert_eq!(steps(store, held.run.id).await, ["a succeeded 1", "b skipped 0", "c running 3", "d pending 0"]);
}

/// What was skipped has nothing to undo, and its undo cannot begin.
pub async fn an_undo_leaves_what_was_skipped(store: &dyn Store) {
    let held = held(store, "shop", &chain(&["a", "b", "c"])).await;
    held.change(store, skip_and_advance([success(0)], [skip(1)], [start(2)], None)).await.unwrap();
    let failure = || settle(2, 1, Settlement::Failed);
    moved(held.change(store, skip_and_advance([failure()], [], [start(1)], undo_of_a_failure("c failed"))).await);
    held.change(store, skip_and_advance([failure()], [], [start(0)], undo_of_a_failure("c failed"))).await.unwrap();
    let done = held.change(store, skip_and_advance([settle(0, 2, undone())], [skip(1)], [], Some(End::UndoSucceed))).await.unwrap();
    assert_eq!((done.run_state, done.events.len()), (RunState::Undone, 2), "nothing is skipped in a run that is undone");
    assert_eq!(steps(store, held.run.id).await, ["a undone 2", "b skipped 0", "c failed 1"]);
}

/// The run as its next holder has it.
async fn claimed_again(store: &dyn Store, held: &Held) -> Held {
    let claim = claimed(store, held.fence.worker).await;
    assert_eq!((claim.run.id, claim.run.state), (held.run.id, RunState::Running));
    assert_eq!(claim.steps.len(), 4, "all planned steps come with it, skipped ones included");
    Held { fence: Fence { epoch: claim.run.epoch, ..held.fence }, ..held.clone() }
}
