//! A worker goes away; another takes over what it held.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use async_trait::async_trait;
use eyrie_core::{
    Eyrie, Timestamp,
    clock::{ManualClock, later},
    engine::{Action, ActionContext, ActionError, Output, Probed, WorkerOptions},
    id::WorkerId,
    memory::MemoryStore,
    model::{CrashPolicy, Plan, Principal, RetryPolicy, Role, RunState, StepIndex, StepState},
    store::{Change, Command, Fence, Settle, Settlement},
};
use eyrie_tests::{
    actions::Gate,
    world::{Ground, Kind, World, deployment, quick, states},
};
use serde_json::json;

use super::on_every_store;

on_every_store! {
    a_dead_workers_run_is_taken_over_and_rerun;
    a_probe_finds_that_it_happened;
    needs_operator_parks_and_resume_goes_on;
    shutdown_hands_back_between_steps;
    shutdown_interrupts_what_does_not_end;
    shutdown_starts_nothing_of_what_is_being_taken_over;
    who_may_no_longer_start_is_found_out_at_a_takeover;
    who_may_no_longer_resume_is_found_out_at_a_takeover;
    what_was_asked_about_is_not_asked_about_at_a_takeover;
}

fn two(policy: CrashPolicy) -> Plan {
    Plan::builder().step("a", "gate", |s| s.on_crash(policy)).step("b", "sum", |s| s.needs(["a"]).parameters(json!(["a"]))).build().unwrap()
}

async fn a_dead_workers_run_is_taken_over_and_rerun(kind: Kind) {
    let ground = Ground::new(kind).await;
    let idle = World::without_worker(&ground).await;
    let run = idle.start(two(CrashPolicy::Rerun)).await;
    ground.claim_and_die(run).await;
    let world = World::on(&ground, quick()).await;
    world.gate.permits.add_permits(1);
    let view = world.end_of(run).await;
    assert_eq!((view.run.state, view.run.epoch), (RunState::Succeeded, 2));
    assert_eq!((view.steps[0].attempt, view.steps[1].attempt), (2, 1));
}

async fn a_probe_finds_that_it_happened(kind: Kind) {
    let ground = Ground::new(kind).await;
    let idle = World::without_worker(&ground).await;
    let run = idle.start(two(CrashPolicy::Probe)).await;
    ground.claim_and_die(run).await;
    let world = World::on(&ground, quick()).await;
    let view = world.end_of(run).await;
    assert_eq!(view.run.state, RunState::Succeeded);
    assert_eq!((view.steps[0].attempt, view.steps[0].output.clone()), (1, Some(json!("probed"))));
}

async fn needs_operator_parks_and_resume_goes_on(kind: Kind) {
    let ground = Ground::new(kind).await;
    let idle = World::without_worker(&ground).await;
    let run = idle.start(two(CrashPolicy::NeedsOperator)).await;
    ground.claim_and_die(run).await;
    let world = World::on(&ground, quick()).await;
    let view = world.until(run, RunState::Parked).await;
    assert!(view.run.message.contains("resume or cancel"), "{}", view.run.message);
    assert_eq!(states(&view), [StepState::Pending, StepState::Pending]);
    world.gate.permits.add_permits(1);
    world.me.resume_run(run, "I looked").await.unwrap();
    assert_eq!(world.end_of(run).await.run.state, RunState::Succeeded);
}

async fn shutdown_hands_back_between_steps(kind: Kind) {
    let ground = Ground::new(kind).await;
    let first = World::on(&ground, eyrie_core::engine::WorkerOptions { shutdown_grace: Duration::from_secs(10), ..quick() }).await;
    let run = first.start(two(CrashPolicy::Rerun)).await;
    first.gate.wait_begun(1).await;
    let (permits, eyrie) = (Arc::clone(&first.gate.permits), first.eyrie.clone());
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        permits.add_permits(1);
    });
    eyrie.shutdown().await;
    let second = World::on(&ground.another().await, quick()).await;
    let view = second.end_of(run).await;
    assert_eq!(view.run.state, RunState::Succeeded);
    assert_eq!((view.run.epoch, view.steps[0].attempt, view.steps[1].attempt), (2, 1, 1), "no step was executed twice");
}

async fn shutdown_interrupts_what_does_not_end(kind: Kind) {
    let ground = Ground::new(kind).await;
    let first = World::on(&ground, quick()).await;
    let run = first.start(two(CrashPolicy::Rerun)).await;
    first.gate.wait_begun(1).await;
    first.eyrie.shutdown().await;
    let idle = World::without_worker(&ground).await;
    let view = idle.me.run(run).await.unwrap();
    assert_eq!((view.run.state, view.run.worker_id, view.steps[0].state), (RunState::Running, None, StepState::Pending));
    assert_eq!(view.steps[0].message, "stopped when asked");
    let second = World::on(&ground.another().await, quick()).await;
    second.gate.permits.add_permits(1);
    let view = second.end_of(run).await;
    assert_eq!((view.run.state, view.steps[0].attempt), (RunState::Succeeded, 2));
}

/// Says that nothing happened, once it is let through.
#[derive(Debug, Clone)]
struct SlowProbe(Gate);

#[async_trait]
impl Action for SlowProbe {
    async fn run(&self, _cx: ActionContext) -> Result<Option<Output>, ActionError> {
        Ok(None)
    }

    async fn probe(&self, _cx: ActionContext) -> Probed {
        self.0.begun.fetch_add(1, Ordering::SeqCst);
        self.0.permits.acquire().await.unwrap().forget();
        Probed::NotHappened
    }
}

async fn shutdown_starts_nothing_of_what_is_being_taken_over(kind: Kind) {
    let ground = Ground::new(kind).await;
    let probe = SlowProbe(Gate::default());
    let idle = Eyrie::builder(Arc::clone(&ground.store)).action("slow-probe", probe.clone()).without_worker().start().await.unwrap();
    let me = idle.acting_as(Principal::local_operator());
    let plan = Plan::builder().step("a", "slow-probe", |s| s.on_crash(CrashPolicy::Probe)).build().unwrap();
    let run = me.run_plan(deployment(&me, "one").await.id, plan).await.unwrap().id;
    ground.claim_and_die(run).await;
    let options = WorkerOptions { shutdown_grace: Duration::from_secs(10), ..quick() };
    let world = World::with(&ground, options, |builder| builder.action("slow-probe", probe.clone())).await;
    probe.0.wait_begun(1).await;
    let shut_down = tokio::spawn(async move { world.eyrie.shutdown().await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    probe.0.permits.add_permits(1);
    shut_down.await.unwrap();
    let view = me.run(run).await.unwrap();
    assert_eq!((view.run.state, view.run.worker_id, view.run.epoch), (RunState::Running, None, 2), "it was handed back");
    assert_eq!((view.steps[0].state, view.steps[0].attempt), (StepState::Pending, 1));
}

async fn who_may_no_longer_start_is_found_out_at_a_takeover(kind: Kind) {
    let ground = Ground::new(kind).await;
    let idle = World::without_worker(&ground).await;
    let (user, dora) = idle.user("dora", Role::Developer).await;
    let run = dora.run_plan(idle.deployment.id, two(CrashPolicy::Rerun)).await.unwrap().id;
    ground.claim_and_die(run).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    ground.claim_and_die(run).await;
    idle.me.remove_member(idle.deployment.project_id, user).await.unwrap();
    let world = World::on(&ground, quick()).await;
    let view = world.until(run, RunState::Parked).await;
    assert_eq!((view.run.epoch, view.run.message.as_str()), (3, "dora may no longer start runs here; resume or cancel the run"));
    assert_eq!((states(&view), view.steps[0].attempt), (vec![StepState::Pending; 2], 1));
    world.gate.permits.add_permits(1);
    world.me.resume_run(run, "I answer for it").await.unwrap();
    assert_eq!(world.end_of(run).await.run.state, RunState::Succeeded);
}

async fn who_may_no_longer_resume_is_found_out_at_a_takeover(kind: Kind) {
    let ground = Ground::new(kind).await;
    let first = World::on(&ground, quick()).await;
    let plan = Plan::builder().step("a", "panicking", |s| s).step("b", "echo", |s| s.needs(["a"])).build().unwrap();
    let run = first.run(plan).await.run.id;
    first.eyrie.shutdown().await;
    let idle = World::without_worker(&ground).await;
    let (user, dora) = idle.user("dora", Role::Admin).await;
    dora.resume_run(run, "").await.unwrap();
    ground.claim_and_die(run).await;
    idle.resident_admin().await;
    idle.me.set_member(idle.deployment.project_id, user, Role::Developer).await.unwrap();
    let world = World::on(&ground, quick()).await;
    let view = world.until(run, RunState::Parked).await;
    assert_eq!((view.run.epoch, view.run.message.as_str()), (3, "dora may no longer resume runs here; resume or cancel the run"));
    assert_eq!((states(&view), view.steps[0].attempt), (vec![StepState::Pending; 2], 1));
}

async fn what_was_asked_about_is_not_asked_about_at_a_takeover(kind: Kind) {
    let ground = Ground::new(kind).await;
    let idle = World::without_worker(&ground).await;
    let (user, dora) = idle.user("dora", Role::Developer).await;
    let run = dora.run_plan(idle.deployment.id, two(CrashPolicy::Rerun)).await.unwrap().id;
    let fence = ground.claim_and_die(run).await;
    let change = Change::Progress { step: StepIndex::new(0), message: "half-way".to_owned() };
    let recorded = ground.store.record(&[Command::fenced(run, fence, change)]).await.unwrap();
    assert!(recorded[0].is_ok(), "{recorded:?}");
    idle.me.remove_member(idle.deployment.project_id, user).await.unwrap();
    let world = World::on(&ground, quick()).await;
    world.gate.permits.add_permits(1);
    let view = world.end_of(run).await;
    assert_eq!((view.run.state, view.run.epoch, view.steps[0].attempt), (RunState::Succeeded, 2, 2));
}

/// The pause before an attempt goes by the store's clock, also under a worker whose own is an hour behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_goes_by_the_stores_clock() {
    let mut ground = Ground::new(Kind::Memory).await;
    let clock = ManualClock::new(later(Timestamp::now(), Duration::from_secs(3600)));
    ground.store = Arc::new(MemoryStore::with_clock(Arc::new(clock)));
    let idle = World::without_worker(&ground).await;
    let retry = RetryPolicy::exponential(3, Duration::from_millis(100));
    let run = idle.start(Plan::builder().step("a", "flaky", |s| s.parameters(json!(2)).retry(retry)).build().unwrap()).await;
    let (worker, how) = (WorkerId::new(), Settlement::Retry { pause: Duration::from_millis(100) });
    ground.store.register_worker(worker, Duration::from_secs(1)).await.unwrap();
    let epoch = ground.store.claim(worker, 1).await.unwrap()[0].run.epoch;
    let settle = vec![Settle { step: StepIndex::new(0), attempt: 1, how, message: String::new() }];
    let change = Change::Advance { settle, skip: Vec::new(), start: Vec::new(), end: None };
    let recorded = ground.store.record(&[Command::fenced(run, Fence { worker, epoch }, change)]).await.unwrap();
    assert!(recorded[0].is_ok(), "{recorded:?}");
    ground.store.retire_worker(worker).await.unwrap();
    let begun = std::time::Instant::now();
    let view = World::on(&ground, quick()).await.end_of(run).await;
    assert_eq!((view.run.state, view.run.epoch, view.steps[0].attempt), (RunState::Succeeded, 2, 2));
    let took = begun.elapsed();
    assert!((Duration::from_millis(100)..Duration::from_secs(10)).contains(&took), "the pause took {took:?}");
}
