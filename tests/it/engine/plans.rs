//! Plans that go well, fail, and are tried again.

use std::time::Duration;

use eyrie_core::model::{Plan, RetryPolicy, RunEventBody, RunState, StepState};
use eyrie_tests::world::{Ground, Kind, World, deployment, quick, states};
use serde_json::json;

use super::on_every_store;

on_every_store! {
    outputs_flow_through_a_diamond;
    a_failure_skips_the_rest;
    a_retry_keeps_its_backoff;
    runs_of_one_deployment_are_serial;
    many_runs_all_end;
    an_unknown_action_is_refused;
    a_permanent_failure_is_not_retried;
}

async fn outputs_flow_through_a_diamond(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let plan = Plan::builder()
        .step("a", "echo", |s| s.parameters(json!(1)))
        .step("b", "echo", |s| s.needs(["a"]).parameters(json!(20)))
        .step("c", "echo", |s| s.needs(["a"]).parameters(json!(300)))
        .step("d", "sum", |s| s.needs(["b", "c"]).parameters(json!(["b", "c"])))
        .build()
        .unwrap();
    let view = world.run(plan).await;
    assert_eq!(view.run.state, RunState::Succeeded);
    assert_eq!(states(&view), [StepState::Succeeded; 4]);
    assert_eq!(view.steps[3].output, Some(json!(320)));
    let events = world.events_of(view.run.id).await;
    let seqs: Vec<_> = events.iter().map(|event| event.seq).collect();
    assert_eq!(seqs, (1..=events.len() as u64).collect::<Vec<_>>());
    let order: Vec<_> = events
        .iter()
        .filter_map(|event| match &event.body {
            RunEventBody::Step { name, state, .. } => Some(format!("{name} {state}")),
            _ => None,
        })
        .collect();
    let place = |what: &str| order.iter().position(|line| line == what).unwrap_or_else(|| panic!("{what} is missing in {order:?}"));
    assert!(place("a succeeded") < place("b running") && place("a succeeded") < place("c running"));
    assert!(place("b succeeded") < place("d running") && place("c succeeded") < place("d running"));
}

async fn a_failure_skips_the_rest(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let plan = Plan::builder()
        .step("a", "echo", |s| s)
        .step("b", "flaky", |s| s.needs(["a"]).parameters(json!(9)))
        .step("c", "echo", |s| s.needs(["b"]))
        .build()
        .unwrap();
    let view = world.run(plan).await;
    assert_eq!(view.run.state, RunState::Failed);
    assert_eq!(view.run.message, "step \"b\" failed: attempt 1 fails");
    assert_eq!(states(&view), [StepState::Succeeded, StepState::Failed, StepState::Skipped]);
}

async fn a_retry_keeps_its_backoff(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let retry = RetryPolicy { max_attempts: 3, initial_backoff_ms: 100, max_backoff_ms: 1000 };
    let plan = Plan::builder().step("a", "flaky", |s| s.retry(retry).parameters(json!(3))).build().unwrap();
    let view = world.run(plan).await;
    assert_eq!(view.run.state, RunState::Succeeded);
    assert_eq!((view.steps[0].attempt, view.steps[0].output.clone()), (3, Some(json!(3))));
    let events = world.events_of(view.run.id).await;
    let starts: Vec<_> = events
        .iter()
        .filter(|event| matches!(&event.body, RunEventBody::Step { state: StepState::Running, .. }))
        .map(|event| event.at.as_microsecond())
        .collect();
    assert_eq!(starts.len(), 3);
    assert!(starts[1] - starts[0] >= 50_000, "half the nominal pause at least: {starts:?}");
    assert!(starts[2] - starts[1] >= 100_000, "doubled: {starts:?}");
}

async fn a_permanent_failure_is_not_retried(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let retry = RetryPolicy::exponential(5, Duration::from_millis(1));
    let plan = Plan::builder().step("a", "flaky", |s| s.retry(retry).parameters(json!("no number"))).build().unwrap();
    let view = world.run(plan).await;
    assert_eq!((view.run.state, view.steps[0].attempt), (RunState::Failed, 1));
}

async fn runs_of_one_deployment_are_serial(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let plan = Plan::builder().step("a", "gate", |s| s).build().unwrap();
    let first = world.start(plan.clone()).await;
    let second = world.start(plan.clone()).await;
    world.gate.wait_begun(1).await;
    tokio::time::sleep(Duration::from_millis(250)).await;
    assert_eq!(world.me.run(second).await.unwrap().run.state, RunState::Queued, "the second waits for the first");
    let other = deployment(&world.me, "two").await;
    let third = world.me.run_plan(other.id, plan).await.unwrap().id;
    world.gate.wait_begun(2).await;
    world.gate.permits.add_permits(3);
    for run in [first, second, third] {
        assert_eq!(world.end_of(run).await.run.state, RunState::Succeeded);
    }
    let (first, second) = (world.me.run(first).await.unwrap().run, world.me.run(second).await.unwrap().run);
    assert!(first.finished_at.unwrap() <= second.started_at.unwrap());
}

async fn many_runs_all_end(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let plan = Plan::builder()
        .step("a", "echo", |s| s)
        .step("b", "echo", |s| s.needs(["a"]))
        .step("c", "echo", |s| s.needs(["b"]))
        .build()
        .unwrap();
    let mut runs = Vec::new();
    for n in 0..40 {
        let deployment = deployment(&world.me, &format!("d{}", n % 20)).await;
        runs.push(world.me.run_plan(deployment.id, plan.clone()).await.unwrap().id);
    }
    for run in runs {
        let view = world.end_of(run).await;
        assert_eq!(view.run.state, RunState::Succeeded);
        assert_eq!(view.run.epoch, 1, "nobody took anything over");
    }
}

async fn an_unknown_action_is_refused(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let plan = Plan::builder().step("a", "echo", |s| s).step("b", "nonesuch", |s| s).build().unwrap();
    let refused = world.me.run_plan(world.deployment.id, plan).await.unwrap_err();
    assert_eq!(refused.invalid().unwrap().field(), "plan.steps.b.action");
}
