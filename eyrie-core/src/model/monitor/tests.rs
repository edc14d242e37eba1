#![allow(clippy::unwrap_used)]
use proptest::prelude::*;
use serde_json::{from_value, json};

use super::*;
use crate::clock::from_micros;

fn result(word: &str) -> MonitorResult {
    match word.parse::<f64>() {
        Ok(value) => MonitorResult { value: Some(value), ..MonitorResult::new(MonitorOutcome::Passed) },
        Err(_) => MonitorResult::new(match word {
            "fail" => MonitorOutcome::Failed,
            "?" => MonitorOutcome::Unknown,
            _ => MonitorOutcome::Passed,
        }),
    }
}

/// The states after each of the results, from nothing known.
fn states(thresholds: MonitorThresholds, results: &str) -> String {
    let mut status = MonitorStatus::unknown(from_micros(0));
    let mut states = Vec::new();
    for (n, word) in (1..).zip(results.split(' ')) {
        status = status.after(&thresholds, &result(word), from_micros(n));
        states.push(status.state().as_str());
    }
    states.join(" ")
}

fn after(warning_after: u32, error_after: u32) -> MonitorThresholds {
    MonitorThresholds { warning_after, error_after, ..MonitorThresholds::default() }
}

#[test]
fn failures_are_counted_one_behind_the_other() {
    assert_eq!(states(after(1, 3), "ok fail fail fail fail ok fail"), "ok warning warning error error ok warning");
    assert_eq!(states(after(2, 3), "fail fail ok fail fail fail"), "unknown warning ok ok warning error");
    assert_eq!(states(after(1, 1), "fail ok"), "error ok");
    assert_eq!(states(after(1, 3), "fail fail ? fail fail fail"), "warning warning unknown warning warning error");
}

#[test]
fn values_are_bad_above_their_bound() {
    let bounds = MonitorThresholds { warning_above: Some(80.0), error_above: Some(95.0), warning_after: 2, error_after: 3 };
    assert_eq!(states(bounds, "80 81 81 95 96 96 96"), "ok ok warning warning warning warning error");
    assert_eq!(states(bounds, "96 96 96 81 81 80"), "unknown warning error warning warning ok", "less bad is less than an error");
    assert_eq!(states(after(1, 1), "1e300"), "ok", "without bounds no value is bad");
    let only_error = MonitorThresholds { error_above: Some(10.0), ..after(1, 2) };
    assert_eq!(states(only_error, "11 11"), "warning error");
}

#[test]
fn since_is_when_the_state_changed() {
    let (at, thresholds) = (from_micros, after(1, 2));
    let mut status = MonitorStatus::unknown(at(0));
    for (n, word, since) in [(1, "ok", 1), (2, "ok", 1), (3, "fail", 3), (4, "fail", 4), (5, "fail", 4), (6, "ok", 6)] {
        status = status.after(&thresholds, &result(word), at(n));
        assert_eq!((status.since(), status.checked_at()), (at(since), Some(at(n))), "{n}");
    }
    assert_eq!((status.bad(), status.very_bad()), (0, 0));
}

fn monitor(new: serde_json::Value) -> Result<(), String> {
    let new: NewMonitor = from_value(new).map_err(|error| error.to_string())?;
    let monitor = Monitor {
        id: MonitorId::new(),
        project_id: ProjectId::new(),
        deployment_id: DeploymentId::new(),
        slug: new.slug,
        check: new.check,
        interval_seconds: new.interval_seconds,
        thresholds: new.thresholds,
        enabled: new.enabled,
        status: MonitorStatus::unknown(from_micros(0)),
        created_at: from_micros(0),
        version: 1,
    };
    monitor.check().map_err(|invalid| invalid.field().to_owned())
}

#[test]
fn what_could_not_be_checked_is_refused() {
    let http = json!({ "type": "http_request", "url": "https://shop.example.org/" });
    monitor(json!({ "slug": "up", "check": http })).unwrap();
    monitor(json!({ "slug": "full", "check": { "type": "resource", "kind": "storage" }, "thresholds": { "error_above": 90 } })).unwrap();
    for (field, change) in [
        ("interval_seconds", json!({ "interval_seconds": 9 })),
        ("interval_seconds", json!({ "interval_seconds": 86_401 })),
        ("thresholds.warning_after", json!({ "thresholds": { "warning_after": 0 } })),
        ("thresholds.error_after", json!({ "thresholds": { "warning_after": 4 } })),
        ("thresholds.error_after", json!({ "thresholds": { "error_after": 1001 } })),
        ("thresholds.warning_above", json!({ "thresholds": { "warning_above": -1 } })),
        ("thresholds.error_above", json!({ "thresholds": { "warning_above": 2, "error_above": 1 } })),
        ("check.expected_status", json!({ "check": { "type": "http_request", "url": "https://a.b/", "expected_status": 99 } })),
        ("check.timeout_seconds", json!({ "check": { "type": "http_request", "url": "https://a.b/", "timeout_seconds": 61 } })),
    ] {
        let mut new = json!({ "slug": "up", "check": http });
        new.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        assert_eq!(monitor(new), Err(field.to_owned()), "{change}");
    }
    for check in [
        json!({ "type": "http_request", "url": "https://a.b/", "body": "x" }),
        json!({ "type": "resource", "kind": "storage", "url": "https://a.b/" }),
        json!({ "type": "resource", "kind": "luck" }),
        json!({ "type": "http_request", "url": "file:///etc/passwd" }),
        json!({ "type": "http_request", "url": "https://a.b/", "method": "DELETE" }),
        json!({ "type": "ping" }),
    ] {
        assert!(monitor(json!({ "slug": "up", "check": check })).is_err(), "{check}");
    }
    assert_eq!(MonitorResult { value: Some(f64::NAN), ..result("ok") }.checked().unwrap_err().field(), "value");
    assert_eq!(MonitorResult { message: "a\u{1b}[31m\nb".to_owned(), ..result("ok") }.checked().unwrap().message, "a[31mb");
}

proptest! {
    /// The state is what one would say who looks at the whole history anew.
    #[test]
    fn the_state_agrees_with_the_history(history in proptest::collection::vec(0_u8..4, 1..40), warning in 1_u32..4, more in 0_u32..4) {
        let thresholds = MonitorThresholds { warning_above: Some(1.0), error_above: Some(2.0), warning_after: warning, error_after: warning + more };
        let mut status = MonitorStatus::unknown(from_micros(0));
        let mut expected = MonitorState::Unknown;
        for (n, grade) in history.iter().enumerate() {
            status = status.after(&thresholds, &result(["ok", "1.5", "2.5", "?"][usize::from(*grade)]), from_micros(0));
            let tail = |from: u8| history[..=n].iter().rev().take_while(|grade| (from..3).contains(*grade)).count() as u32;
            expected = match grade {
                0 => MonitorState::Ok,
                3 => MonitorState::Unknown,
                _ if tail(2) >= thresholds.error_after => MonitorState::Error,
                _ if tail(1) >= thresholds.warning_after => MonitorState::Warning,
                _ => expected,
            };
            prop_assert_eq!(status.state(), expected);
            prop_assert_eq!((status.bad(), status.very_bad()), (tail(1), tail(2)));
        }
    }
}
