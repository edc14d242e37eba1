//! Monitors: kept, and what results make of their state.

use std::time::Duration;

use super::fixtures::{audit, audited, done, kept_deployment, now, place, refused};
use crate::{
    address::HttpUrl,
    clock::later,
    error::ErrorKind,
    id::{DeploymentId, MonitorId, MonitorLogId},
    model::{
        Deployment, HttpMethod, Monitor, MonitorCheck, MonitorLog, MonitorOutcome, MonitorResult, MonitorState, MonitorStatus,
        MonitorThresholds, ResourceKind,
    },
    name::Slug,
    store::{MonitorFilter, NewMonitorResult, PageRequest, Store},
};

/// A monitor of the deployment; one failure makes a warning, two make an error.
fn monitor(deployment: &Deployment, slug: &str) -> Monitor {
    Monitor {
        id: MonitorId::new(),
        project_id: deployment.project_id,
        deployment_id: deployment.id,
        slug: Slug::new(slug).unwrap(),
        check: MonitorCheck::HttpRequest {
            url: HttpUrl::new("https://shop.example.org/health?deep=1").unwrap(),
            method: HttpMethod::Head,
            expected_status: 204,
            timeout_seconds: 5,
        },
        interval_seconds: 30,
        thresholds: MonitorThresholds { warning_above: Some(250.5), error_above: None, warning_after: 1, error_after: 2 },
        enabled: true,
        status: MonitorStatus::unknown(now()),
        created_at: now(),
        version: 1,
    }
}

async fn kept(store: &dyn Store, deployment: &Deployment, slug: &str) -> Monitor {
    store.create_monitor(&monitor(deployment, slug), &audit("monitor.create")).await.unwrap()
}

fn result(monitor: &Monitor, outcome: MonitorOutcome) -> NewMonitorResult {
    let result = MonitorResult { value: Some(12.25), message: "väl".to_owned(), outcome };
    NewMonitorResult { id: MonitorLogId::new(), monitor: monitor.id, result, audit: audit("monitor.record") }
}

async fn recorded(store: &dyn Store, monitor: &Monitor, outcome: MonitorOutcome) -> (Monitor, MonitorLog) {
    store.record_monitor_result(&result(monitor, outcome)).await.unwrap()
}

async fn log(store: &dyn Store, monitor: &Monitor) -> Vec<MonitorLog> {
    store.monitor_logs(monitor.id, PageRequest::default()).await.unwrap().items
}

/// A monitor is read back as it was kept, with a state that nobody knows; lists come in the order of making.
pub async fn kept_and_found(store: &dyn Store) {
    let (shop, blog) = (place(store, "shop").await, place(store, "blog").await);
    let (entry, before) = (audit("monitor.create"), now());
    let given = Monitor { status: MonitorStatus::from_row(MonitorState::Error, before, Some(before), 3, 3), ..monitor(&shop, "up") };
    let up = store.create_monitor(&given, &entry).await.unwrap();
    assert_eq!(audited(store, &entry).await, [entry]);
    assert!(up.status.since() >= before && up.status.since() <= later(now(), Duration::from_secs(60)));
    assert_eq!(up, Monitor { status: MonitorStatus::unknown(up.status.since()), ..given });
    let full = Monitor {
        check: MonitorCheck::Resource { kind: ResourceKind::Storage },
        thresholds: MonitorThresholds::default(),
        enabled: false,
        ..monitor(&shop, "full")
    };
    let full = store.create_monitor(&full, &audit("monitor.create")).await.unwrap();
    let elsewhere = kept(store, &blog, "up").await;
    for one in [&up, &full, &elsewhere] {
        assert_eq!(&store.monitor(one.id).await.unwrap(), one);
    }
    assert!(store.monitor(MonitorId::new()).await.unwrap_err().is_not_found());
    let failing = recorded(store, &up, MonitorOutcome::Failed).await.0;
    let nothing = MonitorFilter::default();
    for (filter, expected) in [
        (nothing, vec![&failing, &full, &elsewhere]),
        (MonitorFilter { deployment: Some(shop.id), ..nothing }, vec![&failing, &full]),
        (MonitorFilter { project: Some(blog.project_id), ..nothing }, vec![&elsewhere]),
        (MonitorFilter { state: Some(MonitorState::Unknown), ..nothing }, vec![&full, &elsewhere]),
        (MonitorFilter { state: Some(MonitorState::Warning), deployment: Some(shop.id), ..nothing }, vec![&failing]),
        (MonitorFilter { project: Some(blog.project_id), deployment: Some(shop.id), ..nothing }, vec![]),
    ] {
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let page = store.monitors(filter, PageRequest::first(1).unwrap().after(cursor)).await.unwrap();
            seen.extend(page.items);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen.iter().collect::<Vec<_>>(), expected, "{filter:?}");
    }

    let entry = audit("monitor.create");
    refused(store, ErrorKind::AlreadyExists, &entry, store.create_monitor(&monitor(&shop, "up"), &entry).await).await;
    let astray = monitor(&Deployment { id: DeploymentId::new(), ..shop.clone() }, "astray");
    refused(store, ErrorKind::NotFound, &entry, store.create_monitor(&astray, &entry).await).await;
    assert!(store.monitor(astray.id).await.unwrap_err().is_not_found());
}

/// An update needs the stored version and makes it one more. The status stays as long as results say the same.
pub async fn versions_guard_updates(store: &dyn Store) {
    let shop = place(store, "shop").await;
    kept(store, &shop, "other").await;
    let read = kept(store, &shop, "up").await;
    let failing = recorded(store, &read, MonitorOutcome::Failed).await.0;
    assert_eq!((failing.status.state(), failing.version), (MonitorState::Warning, 1), "a result is no change by somebody");
    let entry = audit("monitor.update");
    let slower = Monitor { interval_seconds: 600, status: MonitorStatus::unknown(now()), ..read.clone() };
    let kept = store.update_monitor(&slower, &entry).await.unwrap();
    assert_eq!(audited(store, &entry).await, [entry]);
    assert_eq!(kept, Monitor { status: failing.status, version: 2, ..slower.clone() });
    assert_eq!(store.monitor(read.id).await.unwrap(), kept);

    let late = audit("monitor.update");
    refused(store, ErrorKind::Conflict, &late, store.update_monitor(&slower, &late).await).await;
    let taken = Monitor { slug: Slug::new("other").unwrap(), ..kept.clone() };
    refused(store, ErrorKind::AlreadyExists, &late, store.update_monitor(&taken, &late).await).await;
    refused(store, ErrorKind::NotFound, &late, store.update_monitor(&monitor(&shop, "gone"), &late).await).await;
    assert_eq!(store.monitor(read.id).await.unwrap(), kept);

    let mut current = kept;
    for changed in [
        Monitor { check: MonitorCheck::Resource { kind: ResourceKind::Cpu }, ..current.clone() },
        Monitor { thresholds: MonitorThresholds { error_after: 9, ..current.thresholds }, ..current.clone() },
        Monitor { enabled: false, ..current.clone() },
        Monitor { enabled: true, ..current.clone() },
    ] {
        let changed = Monitor { version: current.version, ..changed };
        let now = store.update_monitor(&changed, &audit("monitor.update")).await.unwrap();
        assert_eq!(now.status, MonitorStatus::unknown(now.status.since()), "what was known is no longer so");
        current = if now.enabled { recorded(store, &now, MonitorOutcome::Failed).await.0 } else { now };
    }
}

/// A result goes into the log and changes the status by the rules of the model. The audit has it where the state changed.
pub async fn results_change_the_state(store: &dyn Store) {
    let shop = place(store, "shop").await;
    let up = kept(store, &shop, "up").await;
    let other = kept(store, &shop, "other").await;
    let (mut status, mut lines) = (up.status, Vec::new());
    for (outcome, state, is_change) in [
        (MonitorOutcome::Passed, MonitorState::Ok, true),
        (MonitorOutcome::Passed, MonitorState::Ok, false),
        (MonitorOutcome::Failed, MonitorState::Warning, true),
        (MonitorOutcome::Failed, MonitorState::Error, true),
        (MonitorOutcome::Unknown, MonitorState::Unknown, true),
    ] {
        let new = result(&up, outcome);
        let (now, line) = store.record_monitor_result(&new).await.unwrap();
        assert_eq!(line, MonitorLog { id: new.id, monitor_id: up.id, at: line.at, result: new.result.clone(), state });
        status = status.after(&up.thresholds, &new.result, line.at);
        assert_eq!(now, Monitor { status, ..up.clone() });
        assert_eq!(store.monitor(up.id).await.unwrap(), now);
        let expected = if is_change { vec![new.audit.clone()] } else { vec![] };
        assert_eq!(audited(store, &new.audit).await, expected, "{outcome}");
        lines.insert(0, line);
    }
    assert!(lines.iter().rev().is_sorted_by_key(|line| line.at));
    assert_eq!(log(store, &up).await, lines);
    let page = store.monitor_logs(up.id, PageRequest::first(2).unwrap()).await.unwrap();
    assert_eq!((page.items, page.next), (lines[..2].to_vec(), Some(lines[1].id.uuid())));
    let rest = store.monitor_logs(up.id, PageRequest::default().after(page.next)).await.unwrap();
    assert_eq!((rest.items, rest.next), (lines[2..].to_vec(), None));
    assert_eq!((log(store, &other).await, store.monitor(other.id).await.unwrap()), (vec![], other));
    let plain = NewMonitorResult { result: MonitorResult::new(MonitorOutcome::Passed), ..result(&up, MonitorOutcome::Passed) };
    assert_eq!(store.record_monitor_result(&plain).await.unwrap().1, log(store, &up).await[0]);
}

/// What cannot be recorded leaves nothing: no line, no state, no entry.
pub async fn refused_results_leave_nothing(store: &dyn Store) {
    let shop = place(store, "shop").await;
    let up = kept(store, &shop, "up").await;
    let first = result(&up, MonitorOutcome::Failed);
    let (after_first, line) = store.record_monitor_result(&first).await.unwrap();
    let again = NewMonitorResult { id: first.id, ..result(&up, MonitorOutcome::Failed) };
    let refusal = store.record_monitor_result(&again).await;
    refused(store, ErrorKind::AlreadyExists, &again.audit, refusal).await;
    assert_eq!((store.monitor(up.id).await.unwrap(), log(store, &up).await), (after_first.clone(), vec![line.clone()]));
    let off = store.update_monitor(&Monitor { enabled: false, ..after_first }, &audit("monitor.update")).await.unwrap();
    let late = result(&up, MonitorOutcome::Passed);
    let refusal = store.record_monitor_result(&late).await;
    refused(store, ErrorKind::Conflict, &late.audit, refusal).await;
    let nowhere = result(&monitor(&shop, "gone"), MonitorOutcome::Passed);
    let refusal = store.record_monitor_result(&nowhere).await;
    refused(store, ErrorKind::NotFound, &nowhere.audit, refusal).await;
    assert_eq!((store.monitor(up.id).await.unwrap(), log(store, &up).await), (off, vec![line]));
}

/// Results that come at the same time are all counted.
pub async fn results_in_a_race(store: &dyn Store) {
    let shop = place(store, "shop").await;
    let up = kept(store, &shop, "up").await;
    let results: Vec<_> = (0..6).map(|_| result(&up, MonitorOutcome::Failed)).collect();
    for answer in futures_util::future::join_all(results.iter().map(|new| store.record_monitor_result(new))).await {
        answer.unwrap();
    }
    let status = store.monitor(up.id).await.unwrap().status;
    assert_eq!((status.bad(), status.very_bad(), status.state()), (6, 6, MonitorState::Error));
    let mut states: Vec<_> = log(store, &up).await.iter().map(|line| line.state).collect();
    states.sort_unstable();
    assert_eq!(states, [vec![MonitorState::Warning], vec![MonitorState::Error; 5]].concat());
}

/// A monitor goes with its log, and with its deployment.
pub async fn deleted_with_their_deployment(store: &dyn Store) {
    let shop = place(store, "shop").await;
    let idle = kept_deployment(store, &store.group(shop.group_id).await.unwrap(), "idle").await;
    let (up, full, of_idle) = (kept(store, &shop, "up").await, kept(store, &shop, "full").await, kept(store, &idle, "up").await);
    for one in [&up, &full, &of_idle] {
        recorded(store, one, MonitorOutcome::Passed).await;
        recorded(store, one, MonitorOutcome::Passed).await;
    }
    let entry = audit("monitor.delete");
    done(store, &entry, store.delete_monitor(up.id, &entry).await).await;
    let again = audit("monitor.delete");
    refused(store, ErrorKind::NotFound, &again, store.delete_monitor(up.id, &again).await).await;
    store.delete_deployment(idle.id, &audit("deployment.delete")).await.unwrap();
    for gone in [&up, &of_idle] {
        assert!(store.monitor(gone.id).await.unwrap_err().is_not_found());
        assert_eq!(log(store, gone).await, []);
    }
    let mut lines = 0;
    loop {
        let swept = store.sweep(1).await.unwrap();
        lines += swept.monitor_logs;
        if !swept.more {
            break;
        }
    }
    assert_eq!(lines, 4, "what they left is swept");
    assert_eq!(store.sweep(10).await.unwrap().monitor_logs, 0);
    assert_eq!(log(store, &full).await.len(), 2);
}

/// Lines of the log that are older than asked for go, in pieces; the state stays.
pub async fn logs_are_pruned(store: &dyn Store) {
    let (shop, blog) = (place(store, "shop").await, place(store, "blog").await);
    let (up, full, other) = (kept(store, &shop, "up").await, kept(store, &shop, "full").await, kept(store, &blog, "up").await);
    for one in [&up, &full, &other] {
        for _ in 0..3 {
            recorded(store, one, MonitorOutcome::Failed).await;
        }
    }
    let before = store.monitor(up.id).await.unwrap();
    let hour = store.prune_monitor_logs(shop.id, Duration::from_secs(3600), 10).await.unwrap();
    assert_eq!((hour.monitor_logs, hour.more), (0, false));
    tokio::time::sleep(Duration::from_millis(2)).await;
    let mut gone = Vec::new();
    loop {
        let pruned = store.prune_monitor_logs(shop.id, Duration::ZERO, 4).await.unwrap();
        gone.push(pruned.monitor_logs);
        if !pruned.more {
            break;
        }
    }
    assert_eq!(gone.iter().sum::<u64>(), 6, "{gone:?}");
    assert!(gone.iter().all(|piece| *piece <= 4), "{gone:?}");
    assert_eq!((log(store, &up).await.len(), log(store, &full).await.len(), log(store, &other).await.len()), (0, 0, 3));
    assert_eq!(store.monitor(up.id).await.unwrap(), before);
}
