//! Schedules: kept, due, and fired once.

use std::time::Duration;

use serde_json::json;

use super::fixtures::{
    LONG, audit, audited, chain, done, enqueue, group, kept_deployment, kept_group, kept_project, keyed, now, place, queued, refused,
    worker,
};
use crate::{
    clock::{Timestamp, later},
    error::ErrorKind,
    id::{DeploymentId, ScheduleId},
    model::{CronExpression, Deployment, DeploymentGroup, LastFire, MissedPolicy, PrincipalRef, RunKind, Schedule, TimeZoneName},
    name::{GroupType, Slug},
    store::{Fire, PageRequest, ScheduleFilter, Store},
};

/// A schedule of the deployment, of every minute.
fn schedule(deployment: &Deployment, slug: &str) -> Schedule {
    Schedule {
        id: ScheduleId::new(),
        project_id: deployment.project_id,
        deployment_id: deployment.id,
        slug: Slug::new(slug).unwrap(),
        cron: CronExpression::new("* * * * *").unwrap(),
        time_zone: TimeZoneName::new("Europe/Berlin").unwrap(),
        kind: RunKind::Backup,
        context: json!({ "env": { "WHO": "wörld" } }),
        missed: MissedPolicy::RunOnce,
        enabled: true,
        owner: PrincipalRef::LocalOperator { name: "tester".to_owned() },
        next_fire_at: None,
        last_fire: None,
        created_at: now(),
        version: 1,
    }
}

/// The types of the groups that the fixtures make, and another.
fn known() -> [GroupType; 2] {
    ["other", "service"].map(|name| GroupType::new(name).unwrap())
}

async fn kept(store: &dyn Store, deployment: &Deployment, slug: &str) -> Schedule {
    store.create_schedule(&schedule(deployment, slug), &audit("schedule.create")).await.unwrap()
}

/// The same as if its time had come at `at`: as a firing for an earlier time leaves it.
async fn due(store: &dyn Store, schedule: &Schedule, at: Timestamp) -> Schedule {
    store.fire_schedule(&Fire { next_fire_at: Some(at), ..fire(schedule) }).await.unwrap();
    store.schedule(schedule.id).await.unwrap()
}

/// A firing that starts nothing.
fn fire(schedule: &Schedule) -> Fire {
    let due_at = schedule.next_fire_at.unwrap();
    Fire {
        schedule: schedule.id,
        version: schedule.version,
        due_at,
        next_fire_at: Some(later(due_at, LONG)),
        last_fire: LastFire { at: due_at, run_id: None, message: "nothing to do".to_owned() },
        runs: Vec::new(),
    }
}

/// What was kept is read back the same, with the next time by the store's clock.
pub async fn kept_and_found(store: &dyn Store) {
    let shop = place(store, "shop").await;
    let (given, entry, before) = (schedule(&shop, "nightly"), audit("schedule.create"), now());
    let kept = store.create_schedule(&given, &entry).await.unwrap();
    assert_eq!(audited(store, &entry).await, [entry]);
    let next = kept.next_fire_at.unwrap();
    assert!(next > before && next <= later(now(), Duration::from_secs(61)), "{next}");
    assert_eq!(kept, Schedule { next_fire_at: Some(next), ..given.clone() });
    assert_eq!(store.schedule(given.id).await.unwrap(), kept);
    let idle = Schedule { enabled: false, context: json!({}), ..schedule(&shop, "idle") };
    assert_eq!(store.create_schedule(&idle, &audit("schedule.create")).await.unwrap(), idle);
    assert!(store.schedule(ScheduleId::new()).await.unwrap_err().is_not_found());
    let astray = schedule(&Deployment { id: DeploymentId::new(), ..shop.clone() }, "astray");
    let entry = audit("schedule.create");
    refused(store, ErrorKind::NotFound, &entry, store.create_schedule(&astray, &entry).await).await;
    let entry = audit("schedule.create");
    refused(store, ErrorKind::AlreadyExists, &entry, store.create_schedule(&schedule(&shop, "nightly"), &entry).await).await;
    let blog = place(store, "blog").await;
    self::kept(store, &blog, "nightly").await;
}

/// Schedules are listed in the order of their making, in pages; the filter's fields must all fit.
pub async fn listed(store: &dyn Store) {
    let project = kept_project(store, "project").await;
    let group = kept_group(store, &project, "web").await;
    let (one, two) = (kept_deployment(store, &group, "one").await, kept_deployment(store, &group, "two").await);
    let elsewhere = place(store, "elsewhere").await;
    let mut all = Vec::new();
    for (deployment, slug) in [(&one, "a"), (&two, "a"), (&one, "b"), (&elsewhere, "a")] {
        all.push(kept(store, deployment, slug).await);
    }
    for (filter, expected) in [
        (ScheduleFilter::default(), vec![0, 1, 2, 3]),
        (ScheduleFilter { project: Some(project.id), deployment: None }, vec![0, 1, 2]),
        (ScheduleFilter { project: None, deployment: Some(one.id) }, vec![0, 2]),
        (ScheduleFilter { project: Some(elsewhere.project_id), deployment: Some(one.id) }, vec![]),
    ] {
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let page = store.schedules(filter, PageRequest::first(2).unwrap().after(cursor)).await.unwrap();
            seen.extend(page.items);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, expected.into_iter().map(|place: usize| all[place].clone()).collect::<Vec<_>>());
    }
}

/// A change is made at the version that was read. What is due stays so, unless the change concerns when it fires.
pub async fn versions_guard_updates(store: &dyn Store) {
    let shop = place(store, "shop").await;
    let past = now();
    let was = due(store, &kept(store, &shop, "nightly").await, past).await;
    assert!(was.last_fire.is_some());
    let patched = Schedule { context: json!({ "a": 1 }), missed: MissedPolicy::RunAll, owner: PrincipalRef::Anonymous, ..was.clone() };
    let entry = audit("schedule.update");
    let now_kept = store.update_schedule(&patched, &entry).await.unwrap();
    assert_eq!(audited(store, &entry).await, [entry]);
    assert_eq!(now_kept, Schedule { version: 2, ..patched.clone() }, "still due");
    assert_eq!(store.schedule(was.id).await.unwrap(), now_kept);
    let entry = audit("schedule.update");
    refused(store, ErrorKind::Conflict, &entry, store.update_schedule(&patched, &entry).await).await;
    let disabled = Schedule { enabled: false, ..now_kept.clone() };
    let disabled = store.update_schedule(&disabled, &audit("schedule.update")).await.unwrap();
    assert_eq!((disabled.next_fire_at, disabled.version, disabled.last_fire.clone()), (None, 3, was.last_fire.clone()));
    assert_eq!(store.due_schedules(&known(), 10).await.unwrap().schedules, []);
    let enabled = store.update_schedule(&Schedule { enabled: true, ..disabled }, &audit("schedule.update")).await.unwrap();
    assert!(enabled.next_fire_at.is_some_and(|next| next > past), "what it did not see was not missed");
    let yearly = CronExpression::new("0 0 1 1 *").unwrap();
    let moved = store.update_schedule(&Schedule { cron: yearly, ..enabled.clone() }, &audit("schedule.update")).await.unwrap();
    assert!(moved.next_fire_at > enabled.next_fire_at);
    let other = kept(store, &shop, "weekly").await;
    let entry = audit("schedule.update");
    let doubled = Schedule { slug: moved.slug.clone(), ..other };
    refused(store, ErrorKind::AlreadyExists, &entry, store.update_schedule(&doubled, &entry).await).await;
    let entry = audit("schedule.update");
    refused(store, ErrorKind::NotFound, &entry, store.update_schedule(&Schedule { id: ScheduleId::new(), ..moved }, &entry).await).await;
}

/// What is deleted does not fire. A deployment takes its schedules along.
pub async fn deleted(store: &dyn Store) {
    let shop = place(store, "shop").await;
    let (one, two) = (kept(store, &shop, "one").await, kept(store, &shop, "two").await);
    let entry = audit("schedule.delete");
    done(store, &entry, store.delete_schedule(one.id, &entry).await).await;
    assert!(store.schedule(one.id).await.unwrap_err().is_not_found());
    let entry = audit("schedule.delete");
    refused(store, ErrorKind::NotFound, &entry, store.delete_schedule(one.id, &entry).await).await;
    let late = Fire { runs: vec![enqueue(&shop, RunKind::Backup, &chain(&["a"]))], ..fire(&one) };
    assert!(store.fire_schedule(&late).await.unwrap_err().is_not_found());
    assert!(store.run(late.runs[0].run.id).await.unwrap_err().is_not_found());
    store.delete_deployment(shop.id, &audit("deployment.delete")).await.unwrap();
    assert!(store.schedule(two.id).await.unwrap_err().is_not_found());
}

/// Schedules are due when their time has come by the store's clock, the longest due first; a poll says when the next one is.
pub async fn due_by_the_stores_clock(store: &dyn Store) {
    let shop = place(store, "shop").await;
    let worker = worker(store).await;
    assert_eq!(store.poll(worker).await.unwrap().next_fire, None);
    let yearly = Schedule { cron: CronExpression::new("0 0 1 1 *").unwrap(), ..schedule(&shop, "yearly") };
    let yearly = store.create_schedule(&yearly, &audit("schedule.create")).await.unwrap();
    assert_eq!(store.due_schedules(&known(), 10).await.unwrap().schedules, []);
    let poll = store.poll(worker).await.unwrap();
    assert!(!poll.claimable && poll.next_fire.is_some_and(|time_left| !time_left.is_zero()), "{poll:?}");
    let base = later(now(), Duration::ZERO);
    let mut expected = Vec::new();
    for (slug, ago) in [("a", 1), ("b", 3), ("c", 2)] {
        let at = crate::clock::from_micros(base.as_microsecond() - ago * 60_000_000);
        expected.push(due(store, &kept(store, &shop, slug).await, at).await);
    }
    expected.sort_by_key(|schedule| schedule.next_fire_at);
    let found = store.due_schedules(&known(), 10).await.unwrap();
    assert_eq!(found.schedules, expected);
    assert!(found.now >= base && found.now <= later(now(), Duration::from_secs(5)));
    assert_eq!(store.due_schedules(&known(), 2).await.unwrap().schedules, expected[..2]);
    assert_eq!(store.poll(worker).await.unwrap().next_fire, Some(Duration::ZERO));
    assert!(!store.poll(worker).await.unwrap().claimable, "there is no run yet");
    assert_eq!(store.schedule(yearly.id).await.unwrap(), yearly);
}

/// Who asks what is due is told of the types that they know, and of nothing else, however much of that is due for longer.
pub async fn due_by_the_types_that_are_known(store: &dyn Store) {
    let shop = place(store, "shop").await;
    let group = DeploymentGroup { group_type: GroupType::new("exotic").unwrap(), ..group(&kept_project(store, "zoo").await, "zoo") };
    store.create_group(&group, &audit("group.create")).await.unwrap();
    let zoo = kept_deployment(store, &group, "zoo").await;
    let base = now();
    let ago = |minutes: i64| crate::clock::from_micros(base.as_microsecond() - minutes * 60_000_000);
    let mut exotic = Vec::new();
    for (slug, minutes) in [("a", 9), ("b", 8), ("c", 7)] {
        exotic.push(due(store, &kept(store, &zoo, slug).await, ago(minutes)).await);
    }
    let common = due(store, &kept(store, &shop, "a").await, ago(1)).await;
    let all = [exotic.clone(), vec![common.clone()]].concat();
    let types = |names: &[&str]| names.iter().map(|name| GroupType::new(*name).unwrap()).collect::<Vec<_>>();
    for (names, limit, expected) in [
        (&["service"][..], 2, std::slice::from_ref(&common)),
        (&["exotic"], 2, &exotic[..2]),
        (&["exotic", "service"], 10, &all),
        (&["other"], 10, &[]),
        (&[], 10, &[]),
    ] {
        assert_eq!(store.due_schedules(&types(names), limit).await.unwrap().schedules, expected, "{names:?}");
    }
}

/// Firing queues the runs and moves the schedule on, as one; whoever comes late does nothing.
pub async fn fires_once(store: &dyn Store) {
    let shop = place(store, "shop").await;
    let plan = chain(&["a"]);
    let current = queued(store, &shop, &plan).await;
    let schedule = due(store, &kept(store, &shop, "nightly").await, now()).await;
    let make = |key: &str| keyed(enqueue(&shop, RunKind::Backup, &plan), key, 1);
    let runs = vec![make("nightly 1"), make("nightly 2")];
    let last_fire = LastFire { at: schedule.next_fire_at.unwrap(), run_id: Some(runs[1].run.id), message: String::new() };
    let first = Fire { last_fire: last_fire.clone(), runs, ..fire(&schedule) };
    let queued = store.fire_schedule(&first).await.unwrap();
    assert_eq!(
        queued.iter().map(|one| (one.run.id, one.is_new)).collect::<Vec<_>>(),
        [(first.runs[0].run.id, true), (first.runs[1].run.id, true),]
    );
    for one in &queued {
        assert_eq!(store.run(one.run.id).await.unwrap(), one.run);
        assert!(!one.run.ready, "run {} has the turn", current.id);
    }
    assert_eq!(audited(store, &first.runs[0].audit).await, [first.runs[0].audit.clone()]);
    let moved = store.schedule(schedule.id).await.unwrap();
    assert_eq!(moved, Schedule { next_fire_at: first.next_fire_at, last_fire: Some(last_fire), ..schedule.clone() });

    let second = Fire { runs: vec![make("nightly 3")], ..fire(&schedule) };
    assert_eq!(store.fire_schedule(&second).await.unwrap_err().kind(), ErrorKind::Conflict);
    assert!(store.run(second.runs[0].run.id).await.unwrap_err().is_not_found());
    assert_eq!(store.schedule(schedule.id).await.unwrap(), moved);
    // The clock went back, and somebody is about to fire for a time that had its run.
    let again = Fire { runs: vec![make("nightly 2")], ..fire(&moved) };
    let known = store.fire_schedule(&again).await.unwrap();
    assert_eq!((known[0].run.id, known[0].is_new), (first.runs[1].run.id, false));
}

/// Of several that fire at once, one does; a change by somebody is not overwritten, and not fired past.
pub async fn fires_in_a_race(store: &dyn Store) {
    let shop = place(store, "shop").await;
    let plan = chain(&["a"]);
    let schedule = due(store, &kept(store, &shop, "nightly").await, now()).await;
    let fires: Vec<_> = (0..6).map(|_| Fire { runs: vec![enqueue(&shop, RunKind::Backup, &plan)], ..fire(&schedule) }).collect();
    let answers = futures_util::future::join_all(fires.iter().map(|fire| store.fire_schedule(fire))).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
    assert!(answers.iter().flat_map(|answer| answer.as_ref().err()).all(|error| error.kind() == ErrorKind::Conflict), "{answers:?}");
    let runs = store.runs(Default::default(), PageRequest::default()).await.unwrap();
    assert_eq!(runs.items.len(), 1);
    let read = store.schedule(schedule.id).await.unwrap();
    let changed = store.update_schedule(&Schedule { missed: MissedPolicy::Skip, ..read.clone() }, &audit("schedule.update")).await.unwrap();
    assert_eq!(store.fire_schedule(&fire(&read)).await.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(store.schedule(schedule.id).await.unwrap(), changed);
}
