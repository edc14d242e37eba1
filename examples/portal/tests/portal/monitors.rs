//! Monitors over REST and on a deployment's page, and who may see and change them.

use serde_json::{Value, json};

use crate::site::{Answered, Site};

const NOBODY: &str = "01234567-89ab-7cde-8f01-23456789abcd";

/// Where the monitors of a deployment in a project of its own are.
async fn place(site: &Site) -> (String, String) {
    let run = site.markup_run().await;
    (run.project_id.to_string(), format!("/api/v1/deployments/{}/monitors", run.deployment_id))
}

fn up() -> Value {
    json!({ "slug": "up", "check": { "type": "http_request", "url": "https://shop.example.org/health" }, "thresholds": { "error_after": 2 } })
}

fn refused(answer: &Answered, field: &str) {
    assert_eq!((answer.problem().0, &answer.json()["field"]), (422, &json!(field)), "{}", answer.text);
}

#[tokio::test]
async fn monitors_are_made_changed_and_deleted() {
    let (site, ann) = Site::with_ann().await;
    let (_, place) = place(&site).await;
    let made = site.post(&ann, &place, &up()).await;
    assert_eq!((made.status.as_u16(), made.header("etag")), (201, "\"1\""), "{}", made.text);
    let own = made.header("location").to_owned();
    let monitor = made.json();
    assert_eq!(
        monitor["check"],
        json!({ "type": "http_request", "url": "https://shop.example.org/health", "method": "GET", "expected_status": 200, "timeout_seconds": 10 })
    );
    assert_eq!((&monitor["state"], &monitor["interval_seconds"], &monitor["checked_at"]), (&json!("unknown"), &json!(60), &Value::Null));
    assert_eq!(site.get(&ann, &own).await.json(), monitor);
    assert_eq!(site.get(&ann, &place).await.json(), json!({ "items": [monitor], "next": null }));
    assert_eq!(site.post(&ann, &place, &up()).await.problem(), (409, "already-exists".to_owned()));
    for (field, change) in [
        ("interval_seconds", json!({ "interval_seconds": 1 })),
        ("interval_seconds", json!({ "interval_seconds": "60" })),
        ("thresholds.error_after", json!({ "thresholds": { "warning_after": 5 } })),
        ("check", json!({ "check": { "type": "http_request", "url": "file:///etc/passwd" } })),
        ("check.timeout_seconds", json!({ "check": { "type": "http_request", "url": "https://a.b/", "timeout_seconds": 0 } })),
        ("slug", json!({ "slug": "No" })),
        ("colour", json!({ "colour": "red" })),
    ] {
        let mut bad = up();
        bad["slug"] = json!("other");
        bad.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        refused(&site.post(&ann, &place, &bad).await, field);
    }

    let results = format!("{own}/results");
    refused(&site.post(&ann, &results, &json!({ "outcome": "maybe" })).await, "outcome");
    refused(&site.post(&ann, &results, &json!({ "outcome": "passed", "state": "ok" })).await, "state");
    for (outcome, state) in [("passed", "ok"), ("failed", "warning"), ("failed", "error")] {
        let answer = site.post(&ann, &results, &json!({ "outcome": outcome, "value": 12.5, "message": "<i>\u{1b}[31m" })).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        let told = answer.json();
        assert_eq!((&told["monitor"]["state"], &told["log"]["state"], &told["log"]["value"]), (&json!(state), &json!(state), &json!(12.5)));
    }
    let log = site.get(&ann, &format!("{own}/logs?limit=2")).await.json();
    let outcomes: Vec<_> = log["items"].as_array().unwrap().iter().map(|line| line["state"].clone()).collect();
    assert_eq!(outcomes, ["error", "warning"], "newest first");
    let next = log["next"].as_str().unwrap();
    assert_eq!(site.get(&ann, &format!("{own}/logs?after={next}")).await.json()["items"][0]["state"], "ok");
    assert_eq!(site.get(&ann, &format!("{place}?state=error")).await.json()["items"][0]["slug"], "up");
    assert_eq!(site.get(&ann, &format!("{place}?state=ok")).await.json()["items"], json!([]));
    refused(&site.get(&ann, &format!("{place}?state=fine")).await, "state");

    let session = format!("eyrie_session={ann}");
    let page = site.ask("GET", place.trim_start_matches("/api/v1").trim_end_matches("/monitors"), &[("cookie", &session)], "").await.text;
    assert!(
        page.contains("Monitors") && page.contains("https://shop.example.org/health") && page.contains("data-state=\"error\""),
        "{page}"
    );
    assert!(page.contains("&lt;i&gt;[31m") && !page.contains("<i>"), "{page}");

    let patch = json!({ "enabled": false });
    assert_eq!(site.put("PATCH", &ann, &own, &[], &patch).await.problem().0, 428);
    refused(&site.put("PATCH", &ann, &own, &[("if-match", "\"1\"")], &json!({ "thresholds": null })).await, "thresholds");
    let changed = site.put("PATCH", &ann, &own, &[("if-match", "\"1\"")], &patch).await;
    assert_eq!((changed.header("etag"), &changed.json()["state"]), ("\"2\"", &json!("unknown")));
    assert_eq!(site.put("PATCH", &ann, &own, &[("if-match", "\"1\"")], &patch).await.status, 412);
    assert_eq!(site.post(&ann, &results, &json!({ "outcome": "passed" })).await.problem(), (409, "conflict".to_owned()));
    assert_eq!(site.put("DELETE", &ann, &own, &[], &json!({})).await.status, 204);
    for gone in [own.clone(), format!("{own}/logs")] {
        assert_eq!(site.get(&ann, &gone).await.status, 404);
    }

    let about = format!("monitor {}", own.rsplit('/').next().unwrap());
    let audit = site.get(&ann, "/api/v1/audit?limit=100").await.json();
    let entries = audit["items"].as_array().unwrap().iter().filter(|entry| entry["resource"] == about);
    let actions: Vec<_> = entries.map(|entry| entry["action"].as_str().unwrap()).collect();
    let record = "monitor.record";
    assert_eq!(actions, ["monitor.delete", "monitor.update", record, record, record, "monitor.create"]);
}

#[tokio::test]
async fn what_is_hidden_is_missing_and_a_user_only_reads() {
    let (site, ann) = Site::with_ann().await;
    let bob = site.outsider().await;
    let (project, place) = place(&site).await;
    let made = site.post(&ann, &place, &up()).await;
    let own = made.header("location").to_owned();
    let missing = site.get(&bob, "/api/v1/no/such/route").await;
    let (patch, result, tag) = (json!({ "enabled": false }), json!({ "outcome": "failed" }), [("if-match", "\"1\"")]);
    let changes = async |token: &str, own: &str| {
        [
            site.put("PATCH", token, own, &tag, &patch).await,
            site.put("DELETE", token, own, &[], &json!({})).await,
            site.post(token, &format!("{own}/results"), &result).await,
        ]
    };
    for own in [own.as_str(), &format!("/api/v1/monitors/{NOBODY}"), "/api/v1/monitors/x"] {
        let mut answers = vec![site.get(&bob, own).await, site.get(&bob, &format!("{own}/logs")).await];
        answers.extend(changes(&bob, own).await);
        for answer in answers {
            assert_eq!(
                (answer.status, &answer.text, answer.headers.len()),
                (missing.status, &missing.text, missing.headers.len()),
                "{own}"
            );
        }
    }
    for place in [place.as_str(), &format!("/api/v1/deployments/{NOBODY}/monitors")] {
        assert_eq!(site.get(&bob, place).await.text, missing.text);
        assert_eq!(site.post(&bob, place, &up()).await.text, missing.text);
    }
    assert_eq!(site.get(&ann, &own).await.json(), made.json(), "nothing has changed");

    let users = site.get(&ann, "/api/v1/users").await.json();
    let bobs = users["items"].as_array().unwrap().iter().find(|user| user["name"] == "bob").unwrap()["id"].as_str().unwrap().to_owned();
    let member = format!("/api/v1/projects/{project}/members/{bobs}");
    assert!(site.put("PUT", &ann, &member, &[], &json!({ "role": "user" })).await.status.is_success());
    assert_eq!(site.get(&bob, &own).await.json(), made.json());
    for answer in changes(&bob, &own).await.into_iter().chain([site.post(&bob, &place, &up()).await]) {
        assert_eq!(answer.problem(), (403, "denied".to_owned()), "{}", answer.text);
    }
    assert_eq!(site.get(&ann, &own).await.json(), made.json(), "nothing has changed");

    // A checker has a token of its own, which records results and changes nothing.
    let deployment = place.trim_start_matches("/api/v1/deployments/").trim_end_matches("/monitors");
    let new = json!({ "name": "checker", "target": { "deployment": deployment }, "origin": "probe", "days": 1 });
    let checker = site.post(&ann, "/api/v1/tokens", &new).await.json()["secret"].as_str().unwrap().to_owned();
    let [changed, deleted, recorded] = changes(&checker, &own).await;
    assert_eq!((changed.status.as_u16(), deleted.status.as_u16(), recorded.status.as_u16()), (403, 403, 201), "{}", recorded.text);
    assert_eq!(recorded.json()["monitor"]["state"], "warning");
}
