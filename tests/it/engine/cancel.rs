//! Cancel is true: of queued runs, of running ones, of bodies that will not listen.

use std::{sync::Arc, time::Duration};

use eyrie_core::{
    ErrorKind,
    model::{Plan, Role, RunState, StepState, StopPolicy},
    testing::{Fault, FaultyStore, NthCall},
};
use eyrie_tests::world::{Ground, Kind, World, open, quick, states};
use serde_json::json;

use super::on_every_store;

on_every_store! {
    a_running_run_is_cancelled;
    a_queued_run_is_cancelled_and_the_next_goes_on;
    a_deaf_body_is_killed_after_the_grace;
    a_cancel_from_another_process_arrives;
    a_finished_run_cannot_be_cancelled;
}

fn gates() -> Plan {
    Plan::builder().step("a", "gate", |s| s).step("b", "echo", |s| s.needs(["a"])).build().unwrap()
}

async fn a_running_run_is_cancelled(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let run = world.start(gates()).await;
    world.gate.wait_begun(1).await;
    world.me.cancel_run(run, "changed my mind").await.unwrap();
    let view = world.end_of(run).await;
    assert_eq!(view.run.state, RunState::Cancelled);
    assert!(view.run.message.ends_with("changed my mind"), "{}", view.run.message);
    assert_eq!(states(&view), [StepState::Cancelled, StepState::Skipped]);
    assert_eq!(view.steps[0].message, "stopped when asked");
}

async fn a_queued_run_is_cancelled_and_the_next_goes_on(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let [first, second, third] = [world.start(gates()).await, world.start(gates()).await, world.start(gates()).await];
    world.gate.wait_begun(1).await;
    world.me.cancel_run(second, "").await.unwrap();
    let view = world.end_of(second).await;
    assert_eq!((view.run.state, view.run.started_at), (RunState::Cancelled, None));
    world.gate.permits.add_permits(2);
    assert_eq!(world.end_of(first).await.run.state, RunState::Succeeded);
    assert_eq!(world.end_of(third).await.run.state, RunState::Succeeded);
}

async fn a_deaf_body_is_killed_after_the_grace(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let run = world.start(Plan::builder().step("a", "deaf", |s| s).build().unwrap()).await;
    world.until(run, RunState::Running).await;
    world.me.cancel_run(run, "").await.unwrap();
    assert_eq!(world.me.run(run).await.unwrap().run.state, RunState::Cancelling, "not before the body has stopped");
    let view = world.end_of(run).await;
    assert_eq!(view.run.state, RunState::Cancelled);
    assert!(view.steps[0].message.contains("killed"), "{}", view.steps[0].message);
}

async fn a_cancel_from_another_process_arrives(kind: Kind) {
    let ground = Ground::new(kind).await;
    let world = World::on(&ground, quick()).await;
    let other = World::without_worker(&ground.another().await).await;
    let run = world.start(gates()).await;
    world.gate.wait_begun(1).await;
    other.me.cancel_run(run, "from afar").await.unwrap();
    let view = tokio::time::timeout(Duration::from_secs(5), other.end_of(run)).await.unwrap();
    assert_eq!(view.run.state, RunState::Cancelled);
}

async fn a_finished_run_cannot_be_cancelled(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let view = world.run(Plan::builder().step("a", "echo", |s| s.parameters(json!(1))).build().unwrap()).await;
    let refused = world.me.cancel_run(view.run.id, "").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::IllegalTransition);
    assert_eq!(world.me.run(view.run.id).await.unwrap(), view, "nothing has changed");
}

/// A store that fails while somebody asks for a cancel must not make it one without the undo that the plan wants.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_is_refused_while_its_plan_cannot_be_read() {
    let ground = Ground::new(Kind::Sqlite).await;
    let world = World::on(&ground, quick()).await;
    let plan = Plan::builder()
        .step("a", "ledger", |s| s.parameters(json!({})).undo())
        .approval("b", Role::Admin, |s| s.needs(["a"]))
        .on_cancel(StopPolicy::Undo);
    let run = world.start(plan.build().unwrap()).await;
    world.until(run, RunState::Waiting).await;
    let store = FaultyStore::new(open(&ground.dir.path().join("eyrie.db")).await, Arc::new(NthCall::of("plan", 1, Fault::Refused)));
    let mut failing = ground.clone();
    failing.store = Arc::new(store);
    let asking = World::without_worker(&failing).await;
    assert_eq!(asking.me.cancel_run(run, "").await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(world.me.run(run).await.unwrap().run.state, RunState::Waiting);
    asking.me.cancel_run(run, "").await.unwrap();
    assert_eq!(world.end_of(run).await.run.state, RunState::Undone);
}
