//! Schedules over REST and on a deployment's page.

use std::time::Duration;

use eyrie_core::{Timestamp, clock::later, model::RunState};
use serde_json::{Value, json};

use crate::{
    browser::{hidden, send},
    site::Site,
};

/// The deployment of the service `housekeeping`, once it is there.
async fn deployment(site: &Site, ann: &str) -> String {
    site.post(ann, "/api/v1/services/sync", &Value::Null).await;
    site.get(ann, "/api/v1/services/housekeeping/deployment").await.json()["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn schedules_are_made_changed_and_deleted() {
    let (site, ann) = Site::with_ann().await;
    let place = format!("/api/v1/deployments/{}/schedules", deployment(&site, &ann).await);
    let new = json!({ "slug": "nightly", "cron": "0 3 * * *", "time_zone": "Europe/Berlin", "missed": "run_once" });
    let made = site.post(&ann, &place, &new).await;
    assert_eq!((made.status.as_u16(), made.header("etag")), (201, "\"1\""), "{}", made.text);
    let own = made.header("location").to_owned();
    let schedule = made.json();
    assert_eq!((&schedule["kind"], &schedule["enabled"], &schedule["last_fire"]), (&json!("deploy"), &json!(true), &Value::Null));
    assert_eq!(schedule["owner"]["name"], "ann");
    let next: Timestamp = schedule["next_fire_at"].as_str().unwrap().parse().unwrap();
    assert!(next > Timestamp::now() && next < later(Timestamp::now(), Duration::from_secs(25 * 3600)));
    assert_eq!(site.get(&ann, &own).await.json(), schedule);
    assert_eq!(site.get(&ann, &place).await.json(), json!({ "items": [schedule], "next": null }));

    let refused = async |field: &str, change: Value| {
        let mut bad = new.clone();
        bad["slug"] = json!("other");
        bad.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let answer = site.post(&ann, &place, &bad).await;
        assert_eq!((answer.problem().0, &answer.json()["field"]), (422, &json!(field)), "{}", answer.text);
    };
    refused("cron", json!({ "cron": "0 0 30 2 *" })).await;
    refused("cron", json!({ "cron": "whenever" })).await;
    refused("time_zone", json!({ "time_zone": "Mars/Olympus" })).await;
    refused("missed", json!({ "missed": "maybe" })).await;
    refused("slug", json!({ "slug": "No Slug" })).await;
    refused("context", json!({ "context": [] })).await;
    refused("colour", json!({ "colour": "red" })).await;
    let unplanned = site.post(&ann, &place, &json!({ "slug": "other", "cron": "@daily", "kind": "restore" })).await;
    assert!(unplanned.status.is_client_error() && unplanned.problem().0 != 404, "{}", unplanned.text);
    assert_eq!(site.post(&ann, &place, &new).await.problem(), (409, "already-exists".to_owned()));

    let patch = json!({ "enabled": false });
    assert_eq!(site.put("PATCH", &ann, &own, &[], &patch).await.problem(), (428, "precondition-required".to_owned()));
    let changed = site.put("PATCH", &ann, &own, &[("if-match", "\"1\"")], &patch).await;
    assert_eq!((changed.header("etag"), &changed.json()["next_fire_at"]), ("\"2\"", &Value::Null), "{}", changed.text);
    assert_eq!(site.put("PATCH", &ann, &own, &[("if-match", "\"1\"")], &patch).await.status, 412);
    let bob = site.outsider().await;
    for answer in [
        site.get(&bob, &own).await,
        site.get(&bob, &place).await,
        site.post(&bob, &place, &new).await,
        site.put("PATCH", &bob, &own, &[("if-match", "\"2\"")], &patch).await,
        site.put("DELETE", &bob, &own, &[], &json!({})).await,
    ] {
        assert_eq!(answer.problem().0, 404, "{}", answer.text);
    }
    assert_eq!(site.put("DELETE", &ann, &own, &[], &json!({})).await.status, 204);
    assert_eq!(site.get(&ann, &own).await.status, 404);
    let about = format!("schedule {}", own.rsplit('/').next().unwrap());
    let audit = site.get(&ann, "/api/v1/audit?limit=100").await.json();
    let actions: Vec<_> = audit["items"].as_array().unwrap().iter().filter(|entry| entry["resource"] == about).collect();
    let told = |verdict: &str| {
        let fitting = actions.iter().filter(|entry| entry["verdict"] == verdict);
        fitting.map(|entry| entry["action"].as_str().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(told("allowed"), ["schedule.delete", "schedule.update", "schedule.create"]);
    assert!(told("refused").contains(&"schedule.delete"), "{actions:?}");
}

#[tokio::test]
async fn a_deployments_page_shows_and_changes_its_schedules() {
    let (site, ann) = Site::with_ann().await;
    let session = format!("eyrie_session={ann}");
    let deployment = deployment(&site, &ann).await;
    let place = format!("/deployments/{deployment}");
    let page = async || site.ask("GET", &place, &[("cookie", &session)], "").await.text;
    let empty = page().await;
    assert!(empty.contains("No schedules.") && empty.contains("Add a schedule"), "{empty}");
    let csrf = hidden(&empty, "csrf");
    let add = |cron: &str| format!("csrf={csrf}&slug=nightly&cron={cron}&time_zone=Europe%2FBerlin&kind=deploy&missed=run_all&env=A%3D1");
    let to = format!("{place}/schedules");
    assert_eq!(send(&site, &to, &session, &[], &add("whenever")).await.status, 422);
    assert_eq!(send(&site, &to, &session, &[("sec-fetch-site", "cross-site")], &add("%40daily")).await.status, 403);
    assert_eq!(send(&site, &to, &session, &[], &add("%40daily")).await.header("location"), place);
    let shown = page().await;
    assert!(shown.contains("nightly") && shown.contains("@daily") && shown.contains("Europe/Berlin"), "{shown}");
    assert!(!shown.contains("style=") && !shown.contains("<script>"), "{shown}");
    let listed = site.get(&ann, &format!("/api/v1/deployments/{deployment}/schedules")).await.json();
    assert_eq!(listed["items"][0]["context"], json!({ "env": { "A": "1" } }));
    let own = format!("/schedules/{}", listed["items"][0]["id"].as_str().unwrap());
    let form = format!("csrf={csrf}");
    assert_eq!(send(&site, &format!("{own}/pause"), &session, &[], "csrf=0").await.status, 403);
    assert_eq!(send(&site, &format!("{own}/pause"), &session, &[], &form).await.header("location"), place);
    assert!(page().await.contains("paused"));
    assert_eq!(send(&site, &format!("{own}/enable"), &session, &[], &form).await.header("location"), place);
    assert!(!page().await.contains("paused"));
    assert_eq!(send(&site, &format!("{own}/delete"), &session, &[], &form).await.header("location"), place);
    assert!(page().await.contains("No schedules."));
}

#[tokio::test]
async fn a_run_waits_for_its_time() {
    let (site, ann) = Site::with_ann().await;
    let deployment = deployment(&site, &ann).await;
    let place = format!("/api/v1/deployments/{deployment}/runs");
    let bad = site.post(&ann, &place, &json!({ "not_before": "tomorrow" })).await;
    assert_eq!((bad.problem().0, &bad.json()["field"]), (422, &json!("not_before")), "{}", bad.text);
    let far = later(Timestamp::now(), Duration::from_secs(10 * 366 * 86_400));
    let bad = site.post(&ann, &place, &json!({ "not_before": far })).await;
    assert_eq!((bad.problem().0, &bad.json()["field"]), (422, &json!("not_before")), "{}", bad.text);
    let at = later(Timestamp::now(), Duration::from_secs(3600));
    let run = site.post(&ann, &place, &json!({ "not_before": at })).await.json();
    assert_eq!((&run["not_before"], &run["queued_at"], &run["state"]), (&json!(at), &json!(at), &json!("queued")));
    let id = run["id"].as_str().unwrap();
    let session = format!("eyrie_session={ann}");
    for page in [format!("/deployments/{deployment}"), format!("/runs/{id}")] {
        let shown = site.ask("GET", &page, &[("cookie", &session)], "").await.text;
        assert!(shown.to_lowercase().contains("not before"), "{shown}");
    }
    let cancelled = site.post(&ann, &format!("/api/v1/runs/{id}/cancel"), &json!({})).await.json();
    assert_eq!(cancelled["state"], RunState::Cancelled.as_str());
}
