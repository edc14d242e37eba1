//! What commands do to a run.

use std::time::Duration;

use serde_json::json;

use super::fixtures::{
    Held, advance, again, at, cancel, chain, claimed, failed, held, held_in, kept_deployment, lease_lost, moved, record, report, resume,
    settle, start, steps, succeeded, success, whole, wide, worker,
};
use crate::{
    id::{RunId, WorkerId},
    model::{ReportedState, RunEventBody, RunKind, RunState, StepIndex, StepState},
    store::{Change, Command, End, Fence, RecordError, Settle, Settlement, Store},
};

/// Settling a step, starting the next and, at last, ending the run are each one command.
pub async fn settle_start_and_end_are_one(store: &dyn Store) {
    let held = held(store, "shop", &chain(&["a", "b"])).await;
    let first = settle(0, 1, Settlement::Succeeded { output: Some(json!({ "n": [1, "ö"] })) });
    let timed = crate::model::StepStart { index: at(1), timeout_ms: Some(5000) };
    let done = held.change(store, advance([Settle { message: "well".to_owned(), ..first }], [timed], None)).await.unwrap();
    assert_eq!(done.run_state, RunState::Running);
    assert_eq!(done.events.iter().map(|event| event.seq).collect::<Vec<_>>(), [4, 5]);
    let rows = store.steps(held.run.id).await.unwrap();
    assert_eq!(
        (rows[0].state, rows[0].message.as_str(), rows[0].output.clone()),
        (StepState::Succeeded, "well", Some(json!({ "n": [1, "ö"] })))
    );
    assert!(rows[0].finished_at.is_some());
    assert_eq!((rows[1].state, rows[1].attempt), (StepState::Running, 1));
    assert_eq!(done.started, [(at(1), 1, rows[1].deadline_at)]);
    assert_eq!(rows[1].deadline_at.unwrap().duration_since(rows[1].started_at.unwrap()).as_millis(), 5000);

    let done = held.change(store, advance([success(1)], [], succeeded())).await.unwrap();
    assert_eq!(done.run_state, RunState::Succeeded);
    let run = held.now(store).await;
    assert_eq!((run.state, run.worker_id, run.last_seq, run.release_id), (RunState::Succeeded, None, 7, None));
    assert_eq!(run.finished_at, Some(done.events[1].at));
    assert!(done.events[1].is_final());
    let written: Vec<_> = store.run_events(run.id, 5, 10).await.unwrap();
    assert_eq!(written, done.events.iter().map(|event| (**event).clone()).collect::<Vec<_>>());
}

/// Nothing is written for a worker or an epoch that is not the holder's, nor once the run is nobody's.
pub async fn fenced_by_worker_and_epoch(store: &dyn Store) {
    let held = held(store, "shop", &chain(&["a"])).await;
    let before = whole(store, held.run.id).await;
    let foreign = worker(store).await;
    for fence in [
        Fence { worker: foreign, epoch: 1 },
        Fence { epoch: 0, ..held.fence },
        Fence { epoch: 2, ..held.fence },
        Fence { worker: WorkerId::new(), epoch: 1 },
    ] {
        let late = Held { fence, ..held.clone() };
        lease_lost(late.change(store, advance([success(0)], [], succeeded())).await, 1);
        lease_lost(late.change(store, Change::Progress { step: at(0), message: "still here".to_owned() }).await, 1);
        lease_lost(late.change(store, Change::KeepHandle { step: at(0), attempt: 1, handle: json!(1) }).await, 1);
    }
    assert_eq!(whole(store, held.run.id).await, before);
    held.change(store, advance([success(0)], [], succeeded())).await.unwrap();
    lease_lost(held.change(store, advance([], [], failed("late"))).await, 1);
    assert_eq!(held.now(store).await.state, RunState::Succeeded);
}

/// The end of an attempt that is no longer the step's is refused, as is that of a step that is not running or not there.
pub async fn stale_attempts_are_refused(store: &dyn Store) {
    let held = held(store, "shop", &chain(&["a", "b"])).await;
    held.change(store, advance([settle(0, 1, Settlement::Retry { pause: Duration::ZERO })], [], None)).await.unwrap();
    moved(held.change(store, advance([success(0)], [], None)).await);
    held.change(store, advance([], [start(0)], None)).await.unwrap();
    let before = whole(store, held.run.id).await;
    moved(held.change(store, advance([success(0)], [start(1)], None)).await);
    moved(held.change(store, advance([settle(0, 3, Settlement::Failed)], [], None)).await);
    moved(held.change(store, advance([success(1)], [], None)).await);
    moved(held.change(store, Change::KeepHandle { step: at(0), attempt: 1, handle: json!(1) }).await);
    moved(held.change(store, advance([], [start(0)], None)).await);
    let astray = held.change(store, advance([success(99)], [], None)).await;
    assert!(matches!(astray, Err(RecordError::Missing(_))), "{astray:?}");
    assert_eq!(whole(store, held.run.id).await, before);
    held.change(store, advance([settle(0, 2, Settlement::Succeeded { output: None })], [start(1)], None)).await.unwrap();
    assert_eq!(steps(store, held.run.id).await, ["a succeeded 2", "b running 1"]);
}

/// A cancel that comes first wins over the end that is on its way.
pub async fn cancel_before_finish(store: &dyn Store) {
    let held = held(store, "shop", &chain(&["a", "b"])).await;
    let asked = record(store, cancel(held.run.id, "enough")).await.unwrap();
    assert_eq!((asked.run_state, asked.events.len()), (RunState::Cancelling, 1));
    let run = held.now(store).await;
    assert_eq!((run.state, run.message.as_str(), run.worker_id), (RunState::Cancelling, "enough", Some(held.fence.worker)));

    let done = held.change(store, advance([success(0)], [start(1)], succeeded())).await.unwrap();
    assert_eq!((done.run_state, done.events.len(), done.started.len()), (RunState::Cancelling, 1, 0), "only the settling is done");
    assert_eq!(steps(store, held.run.id).await, ["a succeeded 1", "b pending 0"]);
    let done = held.change(store, advance([], [], Some(End::Cancel { message: String::new() }))).await.unwrap();
    assert_eq!(done.run_state, RunState::Cancelled);
    let run = held.now(store).await;
    assert_eq!((run.state, run.message.as_str(), run.worker_id), (RunState::Cancelled, "enough", None));
    assert_eq!(steps(store, held.run.id).await, ["a succeeded 1", "b skipped 0"]);
}

/// A cancel that comes after the end is refused; a cancel that nobody asked for too.
pub async fn finish_before_cancel(store: &dyn Store) {
    let held = held(store, "shop", &chain(&["a"])).await;
    moved(held.change(store, advance([], [], Some(End::Cancel { message: String::new() }))).await);
    held.change(store, advance([success(0)], [], succeeded())).await.unwrap();
    let before = whole(store, held.run.id).await;
    moved(record(store, cancel(held.run.id, "too late")).await);
    moved(record(store, resume(held.run.id, "too late")).await);
    assert_eq!(whole(store, held.run.id).await, before);
}

/// Whichever of a cancel and an end comes first, the run ends once.
pub async fn cancel_races_finish(store: &dyn Store) {
    let first = held(store, "shop0", &chain(&["a"])).await;
    let group = store.group(first.deployment.group_id).await.unwrap();
    for round in 0..8 {
        let deployment = kept_deployment(store, &group, &format!("shop-{round}")).await;
        let held = held_in(store, &deployment, RunKind::Deploy, &chain(&["a"])).await;
        let (asked, finished) = futures_util::future::join(
            record(store, cancel(held.run.id, "enough")),
            held.change(store, advance([success(0)], [], succeeded())),
        )
        .await;
        let expected = if asked.is_ok() { RunState::Cancelling } else { RunState::Succeeded };
        assert_eq!(finished.unwrap().run_state, expected);
        let run = held.now(store).await;
        assert_eq!(run.state, expected);
        let events = store.run_events(run.id, 0, 100).await.unwrap();
        assert_eq!(events.iter().filter(|event| event.is_final()).count(), usize::from(expected == RunState::Succeeded));
        assert_eq!(events.len() as u64, run.last_seq);
    }
}

/// A retry leaves the step pending, not before a time; its next start counts up and forgets the pause.
pub async fn retry_pauses(store: &dyn Store) {
    let held = held(store, "shop", &chain(&["a"])).await;
    let retry = settle(0, 1, Settlement::Retry { pause: Duration::from_secs(90) });
    let done = held.change(store, advance([Settle { message: "flaky".to_owned(), ..retry }], [], None)).await.unwrap();
    let step = store.steps(held.run.id).await.unwrap().remove(0);
    assert_eq!((step.state, step.attempt, step.message.as_str()), (StepState::Pending, 1, "flaky"));
    assert_eq!(step.next_attempt_at.unwrap().duration_since(done.events[0].at).as_secs(), 90);
    let done = held.change(store, advance([], [start(0)], None)).await.unwrap();
    assert_eq!(done.started, [(at(0), 2, None)]);
    let step = store.steps(held.run.id).await.unwrap().remove(0);
    assert_eq!((step.state, step.attempt, step.next_attempt_at, step.finished_at), (StepState::Running, 2, None, None));
}

/// A parked run is nobody's until somebody lets it go on; then it is claimed anew, and its steps are as they were.
pub async fn park_and_resume(store: &dyn Store) {
    let held = held(store, "shop", &chain(&["a", "b"])).await;
    let park = advance([settle(0, 1, Settlement::Interrupted)], [], Some(End::Park { message: "look first".to_owned() }));
    assert_eq!(held.change(store, park).await.unwrap().run_state, RunState::Parked);
    let run = held.now(store).await;
    assert_eq!(
        (run.state, run.message.as_str(), run.worker_id, run.ready, run.finished_at),
        (RunState::Parked, "look first", None, false, None)
    );
    assert_eq!(store.claim(held.fence.worker, 1).await.unwrap().len(), 0);
    lease_lost(held.change(store, advance([], [start(0)], None)).await, 1);

    let asked = record(store, resume(held.run.id, "looked")).await.unwrap();
    assert_eq!((asked.run_state, asked.events.len()), (RunState::Queued, 1));
    moved(record(store, resume(held.run.id, "looked again")).await);
    let claim = claimed(store, held.fence.worker).await;
    assert_eq!((claim.run.epoch, claim.run.state, claim.run.started_at), (2, RunState::Running, held.run.started_at));
    assert_eq!(steps(store, held.run.id).await, ["a pending 1", "b pending 0"], "only a first claim starts steps");
    let second = Held { fence: Fence { epoch: 2, ..held.fence }, ..held.clone() };
    second.change(store, advance([], [start(0)], None)).await.unwrap();
    assert_eq!(steps(store, held.run.id).await, ["a running 2", "b pending 0"]);
}

/// A parked run can be cancelled at once: nobody holds it.
pub async fn cancel_of_a_parked_run(store: &dyn Store) {
    let held = held(store, "shop", &chain(&["a", "b"])).await;
    held.change(store, advance([success(0)], [], Some(End::Park { message: "look first".to_owned() }))).await.unwrap();
    let done = record(store, cancel(held.run.id, "forget it")).await.unwrap();
    assert_eq!(done.run_state, RunState::Cancelled);
    assert_eq!(steps(store, held.run.id).await, ["a succeeded 1", "b skipped 0"]);
    let run = held.now(store).await;
    assert_eq!((run.message.as_str(), run.finished_at), ("forget it", Some(done.events[1].at)));
}

/// A step that was running when its run was set aside, because it could not be recorded how it ended, is cancelled with the run, as is
/// what its script was at. What the script had only announced is skipped with the rest.
pub async fn cancel_of_a_run_parked_amidst(store: &dyn Store) {
    let held = held(store, "shop", &chain(&["a", "b"])).await;
    held.change(store, Change::Expect { parent: at(0), names: vec![super::fixtures::step_name("pull")] }).await.unwrap();
    held.change(store, report(0, "push", ReportedState::Running)).await.unwrap();
    held.change(store, advance([], [], Some(End::Park { message: "look first".to_owned() }))).await.unwrap();
    assert_eq!(record(store, cancel(held.run.id, "forget it")).await.unwrap().run_state, RunState::Cancelled);
    assert_eq!(steps(store, held.run.id).await, ["a cancelled 1", "b skipped 0", "pull skipped 1", "push cancelled 1"]);
}

/// A run that is handed back keeps its state and may be taken by any worker at once; its former holder is fenced off.
pub async fn hand_back(store: &dyn Store) {
    let held = held(store, "shop", &wide(&["a", "b"])).await;
    let back = advance([settle(0, 1, Settlement::Interrupted)], [], Some(End::HandBack));
    assert_eq!(held.change(store, back).await.unwrap().run_state, RunState::Running);
    let run = held.now(store).await;
    assert_eq!((run.state, run.worker_id, run.epoch), (RunState::Running, None, 1));
    lease_lost(held.change(store, advance([success(1)], [], None)).await, 1);
    let other = worker(store).await;
    assert!(store.poll(other).await.unwrap().claimable);
    let claim = claimed(store, other).await;
    assert_eq!((claim.run.id, claim.run.epoch, claim.run.worker_id, claim.taken_over), (held.run.id, 2, Some(other), true));
    assert_eq!(steps(store, held.run.id).await, ["a pending 1", "b running 1"]);
    lease_lost(held.change(store, advance([success(1)], [], None)).await, 2);
    let taken = Held { fence: Fence { worker: other, epoch: 2 }, ..held.clone() };
    taken.change(store, advance([success(1)], [start(0)], None)).await.unwrap();
}

/// A failure skips what has not begun, in the same command.
pub async fn failure_skips_the_rest(store: &dyn Store) {
    let held = held(store, "shop", &chain(&["a", "b", "c"])).await;
    let broken = Settle { message: "exit code 1".to_owned(), ..settle(0, 1, Settlement::Failed) };
    let done = held.change(store, advance([broken], [], failed("step a failed"))).await.unwrap();
    assert_eq!(done.run_state, RunState::Failed);
    assert_eq!(steps(store, held.run.id).await, ["a failed 1", "b skipped 0", "c skipped 0"]);
    let told = done.events.iter().map(|event| match &event.body {
        RunEventBody::Step { name, state, .. } => format!("{name} {state}"),
        RunEventBody::Run { state, message } => format!("run {state}: {message}"),
        RunEventBody::Progress { .. } => "progress".to_owned(),
    });
    let told: Vec<_> = told.collect();
    assert_eq!(told, ["a failed", "b skipped", "c skipped", "run failed: step a failed"]);
    assert_eq!(held.now(store).await.message, "step a failed");
}

/// What a running step says is kept on it and told; a step that does not run says nothing.
pub async fn progress_and_handles(store: &dyn Store) {
    let held = held(store, "shop", &chain(&["a", "b"])).await;
    let say = |step, message: &str| Change::Progress { step: at(step), message: message.to_owned() };
    let done = held.change(store, say(0, "half of it")).await.unwrap();
    assert!(matches!(&done.events[0].body, RunEventBody::Progress { index, message, .. } if *index == at(0) && message == "half of it"));
    moved(held.change(store, say(1, "too early")).await);
    let silent = held.change(store, Change::KeepHandle { step: at(0), attempt: 1, handle: json!({ "pid": 7 }) }).await.unwrap();
    assert_eq!(silent.events.len(), 0);
    let step = store.steps(held.run.id).await.unwrap().remove(0);
    assert_eq!((step.message.as_str(), step.handle.clone()), ("half of it", Some(json!({ "pid": 7 }))));
    assert_eq!(held.now(store).await.last_seq, 4);
    held.change(store, advance([settle(0, 1, Settlement::Retry { pause: Duration::ZERO })], [], None)).await.unwrap();
    held.change(store, advance([], [start(0)], None)).await.unwrap();
    assert_eq!(store.steps(held.run.id).await.unwrap()[0].handle, None, "another attempt leaves something else running");
}

/// In one batch, a refused command leaves no trace, also not of its legal parts, and the others are carried out in order.
pub async fn refused_among_others(store: &dyn Store) {
    let one = held(store, "one", &wide(&["a", "b"])).await;
    let two = held(store, "two", &chain(&["a", "b"])).await;
    let answers = store
        .record(&[
            one.command(advance([success(0)], [], None)),
            one.command(advance([success(1), success(0)], [], failed("half legal"))),
            two.command(advance([success(0)], [start(1)], None)),
            Command::fenced(two.run.id, one.fence, advance([success(1)], [], succeeded())),
            Command::unfenced(RunId::new(), Change::RequestCancel { reason: String::new() }),
            two.command(advance([success(1)], [], succeeded())),
        ])
        .await
        .unwrap();
    assert_eq!(answers.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true, false, false, true]);
    assert_eq!(steps(store, one.run.id).await, ["a succeeded 1", "b running 1"]);
    assert_eq!((one.now(store).await.state, one.now(store).await.last_seq), (RunState::Running, 5));
    assert_eq!(steps(store, two.run.id).await, ["a succeeded 1", "b succeeded 1"]);
    let seqs: Vec<_> = store.run_events(two.run.id, 0, 100).await.unwrap().iter().map(|event| event.seq).collect();
    assert_eq!(seqs, [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(two.now(store).await.state, RunState::Succeeded);
    assert_eq!(store.record(&[]).await.unwrap().len(), 0);
}

/// A command that is sent again answers with what it did and does nothing twice, also after the run has moved on and away.
pub async fn repeated_commands(store: &dyn Store) {
    let held = held(store, "shop", &chain(&["a", "b"])).await;
    let (first, last) = (held.command(advance([success(0)], [start(1)], None)), held.command(advance([success(1)], [], succeeded())));
    // Sent again although it never arrived: it takes effect now.
    let done = record(store, again(&first)).await.unwrap();
    assert_eq!(done.events.len(), 2);
    let before = whole(store, held.run.id).await;
    let repeated = record(store, again(&first)).await.unwrap();
    assert_eq!((repeated.run_state, &repeated.events), (RunState::Running, &done.events));
    assert_eq!(repeated.started.iter().map(|(step, attempt, _)| (*step, *attempt)).collect::<Vec<_>>(), [(StepIndex::new(1), 1)]);
    assert_eq!(whole(store, held.run.id).await, before);

    let ended = record(store, last.clone()).await.unwrap();
    let before = whole(store, held.run.id).await;
    let answers = store.record(&[again(&first), again(&last)]).await.unwrap();
    let told: Vec<_> = answers.into_iter().map(|answer| answer.unwrap()).map(|done| (done.run_state, done.events)).collect();
    assert_eq!(told, [(RunState::Succeeded, done.events), (RunState::Succeeded, ended.events)]);
    assert_eq!(whole(store, held.run.id).await, before);
    let other = held.command(advance([], [], succeeded()));
    lease_lost(record(store, again(&other)).await, 1);
}
