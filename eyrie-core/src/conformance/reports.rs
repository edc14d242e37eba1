//! Steps that scripts report.

use std::time::Duration;

use super::fixtures::{
    Held, advance, again, at, chain, held, moved, record, report, report_as, settle, start, step_name, steps, success, whole, wide,
};
use crate::{
    model::{ReportedState as R, StepState},
    store::{Change, Command, MAX_REPORTED_STEPS, RecordError, Settlement, StepReport, Store},
};

async fn say(store: &dyn Store, held: &Held, name: &str, state: R) -> u32 {
    let done = held.change(store, report(0, name, state)).await.unwrap();
    assert_eq!(done.events.len(), 1);
    match &done.events[0].body {
        crate::model::RunEventBody::Step { index, parent, .. } => {
            assert_eq!(*parent, Some(at(0)));
            index.get()
        }
        other => panic!("a report made {other:?}"),
    }
}

/// A report goes to the oldest unfinished step of its name, and opens a new one when there is none.
pub async fn oldest_unfinished_of_the_name(store: &dyn Store) {
    let held = held(store, "shop", &chain(&["script", "after"])).await;
    assert_eq!(say(store, &held, "pull", R::Running).await, 2);
    assert_eq!(say(store, &held, "build", R::Pending).await, 3);
    assert_eq!(say(store, &held, "pull", R::Running).await, 2, "running does not finish it");
    assert_eq!(say(store, &held, "pull", R::Success).await, 2);
    assert_eq!(say(store, &held, "pull", R::Failure).await, 4, "a finished one is not matched");
    assert_eq!(say(store, &held, "build", R::Running).await, 3);
    let names = ["script running 1", "after pending 0", "pull succeeded 1", "build running 1", "pull failed 1"];
    assert_eq!(steps(store, held.run.id).await, names);
    let rows = store.steps(held.run.id).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.parent).collect::<Vec<_>>(), [None, None, Some(at(0)), Some(at(0)), Some(at(0))]);
    assert!(rows[2].started_at.is_some() && rows[2].finished_at.is_some());
    assert!(rows[3].started_at.is_some() && rows[3].finished_at.is_none());
    assert_eq!((held.now(store).await.step_count, rows[0].reported), (5, 3));
    assert_eq!(say(store, &held, "after", R::Running).await, 5, "the name of a planned step is a name like any other");
}

/// Names that a script expects are pending until they are reported, each once, the oldest first.
pub async fn expected_names(store: &dyn Store) {
    let held = held(store, "shop", &chain(&["script"])).await;
    let names = ["pull", "build", "pull"].map(step_name).to_vec();
    let done = held.change(store, Change::Expect { parent: at(0), names }).await.unwrap();
    assert_eq!(done.events.len(), 3);
    assert_eq!(steps(store, held.run.id).await, ["script running 1", "pull pending 1", "build pending 1", "pull pending 1"]);
    assert_eq!(say(store, &held, "pull", R::Success).await, 1);
    assert_eq!(say(store, &held, "pull", R::Running).await, 3);
    assert_eq!(say(store, &held, "extra", R::Success).await, 4);
    let rows = ["script running 1", "pull succeeded 1", "build pending 1", "pull running 1", "extra succeeded 1"];
    assert_eq!(steps(store, held.run.id).await, rows);
}

/// When the reporting step ends, so do its steps: running ones as it ended, pending ones are skipped.
pub async fn unfinished_ones_end_with_their_parent(store: &dyn Store) {
    for (place, (how, expected, message)) in [
        (Settlement::Succeeded { output: None }, StepState::Succeeded, "ended with the script, which succeeded"),
        (Settlement::Failed, StepState::Failed, "the script ended during this step"),
        (Settlement::Cancelled, StepState::Cancelled, "cancelled"),
        (Settlement::Retry { pause: Duration::ZERO }, StepState::Failed, "interrupted"),
        (Settlement::Interrupted, StepState::Failed, "interrupted"),
    ]
    .into_iter()
    .enumerate()
    {
        let held = held(store, &format!("shop{place}"), &wide(&["script", "other"])).await;
        for (name, state) in [("done", R::Success), ("open", R::Running), ("later", R::Pending)] {
            say(store, &held, name, state).await;
        }
        held.change(store, report(1, "foreign", R::Running)).await.unwrap();
        let done = held.change(store, advance([settle(0, 1, how.clone())], [], None)).await.unwrap();
        assert_eq!(done.events.len(), 3, "{how:?}");
        let rows = store.steps(held.run.id).await.unwrap();
        let states: Vec<_> = rows[2..].iter().map(|row| row.state).collect();
        assert_eq!(states, [StepState::Succeeded, expected, StepState::Skipped, StepState::Running], "{how:?}");
        assert_eq!((rows[3].message.as_str(), rows[4].message.as_str()), (message, ""));
        assert!(rows[3].finished_at.is_some() && rows[4].finished_at.is_some());
        moved(held.change(store, report(0, "late", R::Running)).await);
    }
}

/// A report with an id is taken once, in one batch or in several.
pub async fn report_ids(store: &dyn Store) {
    let held = held(store, "shop", &chain(&["script"])).await;
    let make = |id, name, state| held.command(report_as(Some(id), 0, name, state));
    let answers =
        store.record(&[make("1", "pull", R::Success), make("1", "pull", R::Success), make("2", "pull", R::Success)]).await.unwrap();
    let counts: Vec<_> = answers.iter().map(|answer| answer.as_ref().unwrap().events.len()).collect();
    assert_eq!(counts, [1, 0, 1]);
    let before = whole(store, held.run.id).await;
    assert_eq!(steps(store, held.run.id).await, ["script running 1", "pull succeeded 1", "pull succeeded 1"]);
    for id in ["1", "2"] {
        let repeated = record(store, make(id, "pull", R::Failure)).await.unwrap();
        assert_eq!(repeated.events.len(), 0);
    }
    assert_eq!(whole(store, held.run.id).await, before);
    let other = make("3", "pull", R::Running);
    assert_eq!(record(store, other.clone()).await.unwrap().events.len(), 1);
    let before = whole(store, held.run.id).await;
    assert_eq!(record(store, again(&other)).await.unwrap().events.len(), 1, "a repeated command answers with what it wrote");
    assert_eq!(whole(store, held.run.id).await, before);
}

/// A report id belongs to its run: another run may use the same.
pub async fn report_ids_are_the_runs_own(store: &dyn Store) {
    let (one, two) = (held(store, "one", &chain(&["script"])).await, held(store, "two", &chain(&["script"])).await);
    for held in [&one, &two] {
        let done = held.change(store, report_as(Some("1"), 0, "pull", R::Running)).await.unwrap();
        assert_eq!(done.events.len(), 1);
        assert_eq!(steps(store, held.run.id).await, ["script running 1", "pull running 1"]);
    }
}

/// What one attempt reported is not touched by the next one.
pub async fn attempts_stay_apart(store: &dyn Store) {
    let held = held(store, "shop", &chain(&["script"])).await;
    say(store, &held, "pull", R::Success).await;
    say(store, &held, "build", R::Running).await;
    held.change(store, advance([settle(0, 1, Settlement::Retry { pause: Duration::ZERO })], [], None)).await.unwrap();
    held.change(store, advance([], [start(0)], None)).await.unwrap();
    assert_eq!(say(store, &held, "pull", R::Running).await, 3);
    assert_eq!(say(store, &held, "build", R::Pending).await, 4);
    let rows = ["script running 2", "pull succeeded 1", "build failed 1", "pull running 2", "build pending 2"];
    assert_eq!(steps(store, held.run.id).await, rows);
}

/// An attempt reports no more steps than may be, all of them or none; the next attempt may report as many again.
pub async fn bounded_by_the_attempt(store: &dyn Store) {
    let held = held(store, "shop", &chain(&["script"])).await;
    let expect = |count: u32| Change::Expect { parent: at(0), names: vec![step_name("pull"); count as usize] };
    held.change(store, expect(MAX_REPORTED_STEPS - 1)).await.unwrap();
    assert!(matches!(held.change(store, expect(2)).await, Err(RecordError::Limit(_))));
    held.change(store, expect(1)).await.unwrap();
    assert!(matches!(held.change(store, report(0, "push", R::Running)).await, Err(RecordError::Limit(_))));
    assert_eq!(say(store, &held, "pull", R::Success).await, 1, "one that is there may still be reported");
    held.change(store, advance([settle(0, 1, Settlement::Retry { pause: Duration::ZERO })], [], None)).await.unwrap();
    held.change(store, advance([], [start(0)], None)).await.unwrap();
    assert_eq!(say(store, &held, "push", R::Running).await, MAX_REPORTED_STEPS + 1);
}

/// A report from outside that names no parent goes to the step that runs; with none running it is refused.
pub async fn without_a_parent(store: &dyn Store) {
    let held = held(store, "shop", &chain(&["before", "script"])).await;
    held.change(store, advance([success(0)], [start(1)], None)).await.unwrap();
    let make = || {
        let report = StepReport { parent: None, report_id: None, name: step_name("pull"), state: R::Running, message: "p".to_owned() };
        Command::unfenced(held.run.id, Change::Report(report))
    };
    record(store, make()).await.unwrap();
    let rows = store.steps(held.run.id).await.unwrap();
    assert_eq!((rows[2].parent, rows[2].state, rows[2].message.as_str()), (Some(at(1)), StepState::Running, "p"));
    held.change(store, advance([success(1)], [], None)).await.unwrap();
    let before = whole(store, held.run.id).await;
    moved(record(store, make()).await);
    assert_eq!(whole(store, held.run.id).await, before);
}
