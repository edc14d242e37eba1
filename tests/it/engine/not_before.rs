//! Runs that are not to begin before a time.

use std::time::Duration;

use eyrie_core::{
    Timestamp,
    clock::later,
    id::RunId,
    model::{Plan, RunState},
    platform::{RunRequest, StartRun},
};
use eyrie_tests::world::{Ground, Kind, World, quick};

use super::on_every_store;

on_every_store! {
    it_begins_at_its_time_and_others_pass_it;
    a_worker_wakes_for_it;
    any_worker_begins_it;
    it_can_be_cancelled;
    too_far_ahead_is_refused;
}

fn echo() -> Plan {
    Plan::builder().step("a", "echo", |s| s).build().unwrap()
}

async fn start_at(world: &World, at: Timestamp) -> eyrie_core::Result<RunId> {
    let start = StartRun { not_before: Some(at), ..StartRun::default() };
    Ok(world.me.run_plan_with(world.deployment.id, RunRequest { plan: echo(), start }).await?.id)
}

fn soon(millis: u64) -> Timestamp {
    later(Timestamp::now(), Duration::from_millis(millis))
}

async fn it_begins_at_its_time_and_others_pass_it(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let waits = start_at(&world, soon(1500)).await.unwrap();
    let passes = world.run(echo()).await;
    assert_eq!(passes.run.state, RunState::Succeeded);
    assert_eq!(world.me.run(waits).await.unwrap().run.state, RunState::Queued);
    let view = world.end_of(waits).await;
    assert_eq!(view.run.state, RunState::Succeeded);
    assert!(view.run.started_at >= view.run.not_before && view.run.not_before.is_some(), "{:?}", view.run);
    assert!(view.run.started_at > passes.run.finished_at);
}

/// Nothing but the time tells the worker to look: its poll is a minute away.
async fn a_worker_wakes_for_it(kind: Kind) {
    let options = eyrie_core::engine::WorkerOptions { poll: Duration::from_secs(60), ..quick() };
    let world = World::on(&Ground::new(kind).await, options).await;
    let [late, early] = [soon(1200), soon(600)];
    let runs = [start_at(&world, late).await.unwrap(), start_at(&world, early).await.unwrap()];
    for run in runs {
        let view = world.end_of(run).await;
        let (began, not_before) = (view.run.started_at.unwrap(), view.run.not_before.unwrap());
        assert!(began >= not_before && began < later(not_before, Duration::from_secs(10)), "{:?}", view.run);
    }
}

async fn any_worker_begins_it(kind: Kind) {
    let ground = Ground::new(kind).await;
    let first = World::on(&ground, quick()).await;
    let run = start_at(&first, soon(800)).await.unwrap();
    let second = World::on(&ground.another().await, quick()).await;
    first.eyrie.shutdown().await;
    let view = second.end_of(run).await;
    assert_eq!((view.run.state, view.run.epoch), (RunState::Succeeded, 1));
}

async fn it_can_be_cancelled(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let run = start_at(&world, soon(3_600_000)).await.unwrap();
    let view = world.me.cancel_run(run, "not today").await.unwrap();
    assert_eq!((view.run.state, view.run.started_at), (RunState::Cancelled, None));
    assert_eq!(world.run(echo()).await.run.state, RunState::Succeeded);
}

async fn too_far_ahead_is_refused(kind: Kind) {
    let world = World::without_worker(&Ground::new(kind).await).await;
    let refused = start_at(&world, later(Timestamp::now(), Duration::from_secs(6 * 366 * 86_400))).await.unwrap_err();
    assert_eq!(refused.invalid().unwrap().field(), "not_before");
    start_at(&world, later(Timestamp::now(), Duration::from_secs(4 * 366 * 86_400))).await.unwrap();
}
