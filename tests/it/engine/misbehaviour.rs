//! Actions that misbehave are contained, and the step says so.

use std::time::{Duration, Instant};

use eyrie_core::model::{Plan, RunEventBody, RunState, StepState};
use eyrie_tests::world::{Ground, Kind, World, deployment, quick, states};
use serde_json::json;

use super::on_every_store;

on_every_store! {
    a_panic_fails_its_step_only;
    a_body_that_never_ends_times_out;
    a_blocked_thread_keeps_the_lease;
    progress_is_thinned_and_the_last_one_arrives;
}

async fn a_panic_fails_its_step_only(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let view = world.run(Plan::builder().step("a", "panicking", |s| s).build().unwrap()).await;
    assert_eq!(view.run.state, RunState::Failed);
    assert_eq!(view.steps[0].message, "the action panicked: on purpose");
    let after = world.run(Plan::builder().step("a", "echo", |s| s).build().unwrap()).await;
    assert_eq!(after.run.state, RunState::Succeeded, "the worker goes on");
}

async fn a_body_that_never_ends_times_out(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let plan = Plan::builder().step("a", "deaf", |s| s.timeout(Duration::from_millis(150))).build().unwrap();
    let view = world.run(plan).await;
    assert_eq!((view.run.state, states(&view)), (RunState::Failed, vec![StepState::Failed]));
    assert_eq!(view.steps[0].message, "timed out after 150ms");
}

/// Bodies block every thread of the program's runtime for longer than the lease; heartbeat and record go on.
async fn a_blocked_thread_keeps_the_lease(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let plan = Plan::builder().step("a", "blocking", |s| s.parameters(json!(2500))).build().unwrap();
    let mut runs = vec![world.start(plan.clone()).await];
    for slug in ["two", "three"] {
        let deployment = deployment(&world.me, slug).await;
        runs.push(world.me.run_plan(deployment.id, plan.clone()).await.unwrap().id);
    }
    for run in runs {
        let view = world.end_of(run).await;
        assert_eq!((view.run.state, view.run.epoch), (RunState::Succeeded, 1));
    }
}

async fn progress_is_thinned_and_the_last_one_arrives(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let begun = Instant::now();
    let view = world.run(Plan::builder().step("a", "chatty", |s| s.parameters(json!(5000))).build().unwrap()).await;
    let took = begun.elapsed();
    assert_eq!(view.run.state, RunState::Succeeded);
    let events = world.events_of(view.run.id).await;
    let said: Vec<_> = events
        .iter()
        .filter_map(|event| match &event.body {
            RunEventBody::Progress { message, .. } => Some(message.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(said.last().map(String::as_str), Some("5000 of 5000"));
    assert!(said.len() as u128 <= 3 + took.as_millis() / 100, "{} progress events in {took:?}", said.len());
    let log = world.me.run_log(view.run.id, 0, 1 << 20).await.unwrap().text();
    let lines: Vec<_> = log.lines().collect();
    assert_eq!((lines.len(), lines[0], lines[4999]), (5000, "line 1", "line 5000"));
}
