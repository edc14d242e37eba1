//! Schedules fire: once, in time, within the rights of who answers for them.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use eyrie_core::{
    ErrorKind, ManualClock, Timestamp,
    clock::later,
    memory::MemoryStore,
    model::{MissedPolicy, NewDeployment, NewGroup, NewSchedule, Plan, PrincipalRef, Role, RunKind, RunState, SchedulePatch},
    store::Store,
};
use eyrie_tests::{
    schedules::{Platform, new_schedule},
    world::{Ground, Kind, quick},
};
use serde_json::json;

use super::on_every_store;

on_every_store! {
    it_fires_at_its_time;
    two_workers_fire_once;
    one_that_hangs_while_it_plans_is_left_behind;
    what_cannot_be_planned_is_said;
    what_a_worker_does_not_know_is_left_to_others;
    it_fires_within_the_rights_of_its_owner;
    one_run_waits_at_a_time;
    who_may_not_start_runs_may_not_schedule_them;
}

fn soon(millis: u64) -> Timestamp {
    later(Timestamp::now(), Duration::from_millis(millis))
}

/// No later than now, but in time.
fn just_now() -> Timestamp {
    soon(0)
}

async fn it_fires_at_its_time(kind: Kind) {
    let ground = Ground::new(kind).await;
    let platform = Platform::on(Arc::clone(&ground.store), Some(quick())).await;
    let schedule = platform.yearly("nightly", MissedPolicy::Skip).await;
    let at = soon(700);
    platform.due(&schedule, at).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(platform.runs().await.len(), 0, "too early");
    let fired = platform.fired(&schedule).await;
    let runs = platform.runs().await;
    assert_eq!(runs.len(), 1);
    let last = fired.last_fire.unwrap();
    assert_eq!((last.at, last.run_id, last.message.as_str()), (at, Some(runs[0].id), ""));
    let run = platform.ended(&runs[0]).await;
    assert_eq!((run.state, run.not_before, run.origin.as_str()), (RunState::Succeeded, Some(at), "system"));
    assert!(run.queued_at >= at);
    let PrincipalRef::Deputy { cause, of } = &run.requested_by else { panic!("{:?}", run.requested_by) };
    assert_eq!((cause.as_str(), &**of), ("schedule nightly", &schedule.owner));
    assert_eq!(fired.next_fire_at, schedule.next_fire_at);
    let audit = platform
        .me
        .audit(eyrie_core::store::AuditFilter { resource: Some(format!("run {}", run.id)), ..Default::default() }, Default::default());
    let audit = audit.await.unwrap().items;
    assert_eq!((audit.len(), audit[0].action.as_str(), &audit[0].principal), (1, "run.start", &run.requested_by));
}

async fn two_workers_fire_once(kind: Kind) {
    let ground = Ground::new(kind).await;
    let looker = Platform::on(Arc::clone(&ground.store), None).await;
    let mut schedules = Vec::new();
    for n in 0..8 {
        let schedule = looker.yearly(&format!("s{n}"), MissedPolicy::RunAll).await;
        looker.due(&schedule, just_now()).await;
        schedules.push(schedule);
    }
    let (first, second) =
        tokio::join!(Platform::on(Arc::clone(&ground.store), Some(quick())), Platform::on(ground.another().await.store, Some(quick())),);
    for schedule in &schedules {
        looker.fired(schedule).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let runs = looker.runs().await;
    assert_eq!(runs.len(), schedules.len());
    for run in &runs {
        assert_eq!(looker.ended(run).await.state, RunState::Succeeded);
    }
    first.eyrie.shutdown().await;
    second.eyrie.shutdown().await;
}

/// As if it had been killed between plan and queue, but worse: it wakes up afterwards.
async fn one_that_hangs_while_it_plans_is_left_behind(kind: Kind) {
    let ground = Ground::new(kind).await;
    let first = Platform::on(Arc::clone(&ground.store), Some(quick())).await;
    let schedule = first.yearly("nightly", MissedPolicy::RunOnce).await;
    first.planner.hangs.store(true, Ordering::SeqCst);
    first.due(&schedule, just_now()).await;
    while !first.planner.hanging.load(Ordering::SeqCst) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let second = Platform::on(ground.another().await.store, Some(quick())).await;
    let fired = second.fired(&schedule).await;
    let runs = second.runs().await;
    assert_eq!(runs.len(), 1);
    first.planner.hangs.store(false, Ordering::SeqCst);
    assert_eq!(second.ended(&runs[0]).await.state, RunState::Succeeded);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(second.runs().await.len(), 1);
    assert_eq!(second.me.schedule(schedule.id).await.unwrap(), fired);
}

async fn what_cannot_be_planned_is_said(kind: Kind) {
    let ground = Ground::new(kind).await;
    let platform = Platform::on(Arc::clone(&ground.store), Some(quick())).await;
    let schedule = platform.yearly("nightly", MissedPolicy::Skip).await;
    platform.planner.broken.store(true, Ordering::SeqCst);
    let refused = platform.me.create_schedule(platform.deployment.id, new_schedule("other", "@daily")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported, "what cannot be planned now is refused at once");
    platform.due(&schedule, just_now()).await;
    let last = platform.fired(&schedule).await.last_fire.unwrap();
    assert_eq!(last.run_id, None);
    assert!(last.message.starts_with("no run was started: ") && last.message.contains("nothing to plan with"), "{}", last.message);
    assert_eq!(platform.runs().await.len(), 0);
    platform.planner.broken.store(false, Ordering::SeqCst);
    platform.due(&schedule, just_now()).await;
    let last = platform.fired(&schedule).await.last_fire.unwrap();
    assert_eq!((last.run_id.is_some(), last.message.as_str()), (true, ""), "it fires again");
}

/// More than a worker looks at together, and due for longer than what it knows.
async fn what_a_worker_does_not_know_is_left_to_others(kind: Kind) {
    let ground = Ground::new(kind).await;
    let looker = Platform::on(Arc::clone(&ground.store), None).await;
    let mut left = Vec::new();
    for n in 0..100 {
        let schedule = looker.yearly(&format!("s{n}"), MissedPolicy::RunOnce).await;
        looker.due(&schedule, just_now()).await;
        left.push(looker.me.schedule(schedule.id).await.unwrap());
    }
    let mut stranger = Platform::knowing("other", Arc::clone(&ground.store), Some(quick())).await;
    let group = stranger.me.create_group(looker.deployment.project_id, NewGroup::new("others", "other").unwrap()).await.unwrap();
    stranger.deployment = stranger.me.create_deployment(group.id, NewDeployment::new("other").unwrap()).await.unwrap();
    for slug in ["one", "two"] {
        let own = stranger.yearly(slug, MissedPolicy::RunOnce).await;
        stranger.due(&own, just_now()).await;
        assert!(stranger.fired(&own).await.last_fire.unwrap().run_id.is_some());
    }
    tokio::time::sleep(3 * quick().poll).await;
    for schedule in &left {
        assert_eq!(looker.me.schedule(schedule.id).await.unwrap(), *schedule, "neither moved on nor said to have failed");
    }
    assert_eq!(looker.runs().await.len(), 0);
    let knower = Platform::on(ground.another().await.store, Some(quick())).await;
    for schedule in &left {
        let last = knower.fired(schedule).await.last_fire.unwrap();
        assert_eq!((last.run_id.is_some(), last.message.as_str()), (true, ""));
    }
    stranger.eyrie.shutdown().await;
    knower.eyrie.shutdown().await;
}

async fn it_fires_within_the_rights_of_its_owner(kind: Kind) {
    let ground = Ground::new(kind).await;
    let platform = Platform::on(Arc::clone(&ground.store), Some(quick())).await;
    let project = platform.deployment.project_id;
    let (dora, acting) = platform.user("dora", Role::Developer).await;
    let backup = NewSchedule { kind: RunKind::Backup, missed: MissedPolicy::RunAll, ..new_schedule("nightly", "0 0 1 1 *") };
    let schedule = acting.create_schedule(platform.deployment.id, backup).await.unwrap();
    assert_eq!(schedule.owner, PrincipalRef::User { id: dora.id, name: dora.name.clone() });
    platform.due(&schedule, just_now()).await;
    let last = platform.fired(&schedule).await.last_fire.unwrap();
    platform.gate.wait_begun(1).await;
    // Two more queue behind it; then dora loses her role.
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(2)).await;
        platform.due(&schedule, just_now()).await;
        platform.fired(&schedule).await;
    }
    let waiting: Vec<_> = platform.runs().await.into_iter().filter(|run| Some(run.id) != last.run_id).collect();
    assert_eq!(waiting.len(), 2);
    platform.me.set_member(project, dora.id, Role::User).await.unwrap();
    platform.gate.permits.add_permits(3);
    for run in &waiting {
        let run = platform.ended(run).await;
        assert_eq!(run.state, RunState::Failed);
        assert!(run.message.contains("may no longer start runs here"), "checked when it is claimed, too: {}", run.message);
    }
    tokio::time::sleep(Duration::from_millis(2)).await;
    platform.due(&schedule, just_now()).await;
    let refused = platform.fired(&schedule).await;
    let message = refused.last_fire.unwrap().message;
    assert_eq!(message, "no run was started: dora may no longer start runs here");
    assert_eq!(platform.runs().await.len(), 3);
    let audit = platform.me.audit(Default::default(), Default::default()).await.unwrap().items;
    let refusal = audit.iter().find(|entry| entry.action == "run.start" && entry.resource.starts_with("deployment"));
    let refusal = refusal.unwrap_or_else(|| panic!("{audit:?}"));
    assert_eq!(refusal.principal.to_string(), "system (schedule nightly) for dora");
    // Somebody who may takes it over by changing it.
    let patch = SchedulePatch { missed: Some(MissedPolicy::RunOnce), kind: Some(RunKind::Deploy), ..SchedulePatch::default() };
    let changed = platform.me.update_schedule(schedule.id, refused.version, patch).await.unwrap();
    assert_eq!(changed.owner, PrincipalRef::from(platform.me.principal()));
    platform.due(&schedule, just_now()).await;
    assert!(platform.fired(&schedule).await.last_fire.unwrap().run_id.is_some());
}

/// While a schedule's run has not begun, another one behind it would do the same once more.
async fn one_run_waits_at_a_time(kind: Kind) {
    let ground = Ground::new(kind).await;
    let platform = Platform::on(Arc::clone(&ground.store), Some(quick())).await;
    let holds = Plan::builder().step("holds", "gate", |step| step).build().unwrap();
    let holds = platform.me.run_plan(platform.deployment.id, holds).await.unwrap();
    platform.gate.wait_begun(1).await;
    let schedule = platform.yearly("nightly", MissedPolicy::RunOnce).await;
    let mut lasts = Vec::new();
    for _ in 0..3 {
        platform.due(&schedule, just_now()).await;
        lasts.push(platform.fired(&schedule).await.last_fire.unwrap());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(lasts[0].message, "");
    for last in &lasts[1..] {
        assert_eq!((last.run_id, last.message.contains("still waits in the queue")), (lasts[0].run_id, true), "{last:?}");
    }
    assert_eq!(platform.runs().await.len(), 2);
    platform.gate.permits.add_permits(1);
    platform.ended(&holds).await;
    let run = platform.me.run(lasts[0].run_id.unwrap()).await.unwrap().run;
    assert_eq!(platform.ended(&run).await.state, RunState::Succeeded);
    platform.due(&schedule, just_now()).await;
    assert_eq!(platform.fired(&schedule).await.last_fire.unwrap().message, "");
    assert_eq!(platform.runs().await.len(), 3);
}

async fn who_may_not_start_runs_may_not_schedule_them(kind: Kind) {
    let ground = Ground::new(kind).await;
    let platform = Platform::on(Arc::clone(&ground.store), None).await;
    let schedule = platform.yearly("nightly", MissedPolicy::Skip).await;
    let deployment = platform.deployment.id;
    let (_, user) = platform.user("uma", Role::User).await;
    assert_eq!(user.schedule(schedule.id).await.unwrap(), schedule);
    assert_eq!(user.schedules(deployment, Default::default()).await.unwrap().items, std::slice::from_ref(&schedule));
    assert_eq!(user.create_schedule(deployment, new_schedule("other", "@daily")).await.unwrap_err().kind(), ErrorKind::Denied);
    let patch = SchedulePatch { enabled: Some(false), ..SchedulePatch::default() };
    assert_eq!(user.update_schedule(schedule.id, 1, patch.clone()).await.unwrap_err().kind(), ErrorKind::Denied);
    assert_eq!(user.delete_schedule(schedule.id).await.unwrap_err().kind(), ErrorKind::Denied);
    let (uninvited, outsider) = platform.user("olga", Role::User).await;
    platform.me.remove_member(platform.deployment.project_id, uninvited.id).await.unwrap();
    assert!(outsider.schedule(schedule.id).await.unwrap_err().is_not_found());
    assert!(outsider.schedules(deployment, Default::default()).await.unwrap_err().is_not_found());
    assert_eq!(platform.me.schedule(schedule.id).await.unwrap(), schedule);
    let bad = NewSchedule { context: json!([1]), ..new_schedule("other", "@daily") };
    let bad = platform.me.create_schedule(deployment, bad).await.unwrap_err();
    assert_eq!(bad.invalid().unwrap().field(), "context");
    let stale = platform.me.update_schedule(schedule.id, 1, patch.clone()).await;
    assert_eq!(stale.unwrap().next_fire_at, None);
    assert_eq!(platform.me.update_schedule(schedule.id, 1, patch).await.unwrap_err().kind(), ErrorKind::Conflict);
    for n in 1..100 {
        platform.me.create_schedule(deployment, new_schedule(&format!("s{n}"), "@daily")).await.unwrap();
    }
    let full = platform.me.create_schedule(deployment, new_schedule("s100", "@daily")).await.unwrap_err();
    assert_eq!(full.kind(), ErrorKind::LimitExceeded);
}

/// Days pass without a worker. The clock is the test's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_missed_follows_the_policy() {
    let at = |text: &str| format!("2026-01-{text}Z").parse::<Timestamp>().unwrap();
    let clock = ManualClock::new(at("01T12:00:00"));
    let store: Arc<dyn Store> = Arc::new(MemoryStore::with_clock(Arc::new(clock.clone())));
    let looker = Platform::on(Arc::clone(&store), None).await;
    let mut schedules = Vec::new();
    for (missed, slug) in [(MissedPolicy::Skip, "skip"), (MissedPolicy::RunOnce, "once"), (MissedPolicy::RunAll, "all")] {
        let new = NewSchedule { missed, ..new_schedule(slug, "0 3 * * *") };
        let schedule = looker.me.create_schedule(looker.deployment.id, new).await.unwrap();
        assert_eq!(schedule.next_fire_at, Some(at("02T03:00:00")));
        schedules.push(schedule);
    }
    clock.advance(Duration::from_secs(3 * 86_400));
    let worker = Platform::on(Arc::clone(&store), Some(quick())).await;
    let settled = async |next: Timestamp| {
        let mut now = Vec::new();
        for schedule in &schedules {
            let moved = async {
                loop {
                    let now = looker.me.schedule(schedule.id).await.unwrap();
                    if now.next_fire_at == Some(next) {
                        return now.last_fire.unwrap();
                    }
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            };
            now.push(tokio::time::timeout(Duration::from_secs(30), moved).await.expect("it never fired"));
        }
        now
    };
    let runs_of = async |slug: &str| {
        let cause = format!("(schedule {slug})");
        let runs = looker.runs().await;
        runs.into_iter().filter(|run| run.requested_by.to_string().contains(&cause)).filter_map(|run| run.not_before).collect::<Vec<_>>()
    };
    let lasts = settled(at("05T03:00:00")).await;
    assert!(lasts.iter().all(|last| last.at == at("04T03:00:00")));
    assert_eq!((lasts[0].message.as_str(), lasts[0].run_id), ("missed", None));
    assert_eq!((lasts[1].message.as_str(), lasts[2].message.as_str()), ("other times were missed", ""));
    assert_eq!(runs_of("skip").await, []);
    assert_eq!(runs_of("once").await, [at("04T03:00:00")]);
    assert_eq!(runs_of("all").await, [at("04T03:00:00"), at("03T03:00:00"), at("02T03:00:00")]);
    for run in looker.runs().await {
        assert_eq!(worker.ended(&run).await.state, RunState::Succeeded);
    }
    // From now on the worker is there. A time that comes is not missed.
    clock.advance(Duration::from_secs(15 * 3600 + 10));
    settled(at("06T03:00:00")).await;
    for slug in ["skip", "once", "all"] {
        assert_eq!(runs_of(slug).await[0], at("05T03:00:00"), "{slug}");
    }
}
