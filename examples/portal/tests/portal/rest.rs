//! Versions, keys and refusals of the REST interface.

use serde_json::{Value, json};

use crate::site::Site;

#[tokio::test]
async fn changes_need_the_version_that_was_read() {
    let (site, ann) = Site::with_ann().await;
    let made = site.post(&ann, "/api/v1/projects", &json!({ "slug": "blog" })).await;
    assert_eq!((made.status.as_u16(), made.header("etag")), (201, "\"1\""));
    let place = made.header("location").to_owned();
    let patch = json!({ "name": "The blog" });
    assert_eq!(site.put("PATCH", &ann, &place, &[], &patch).await.problem(), (428, "precondition-required".to_owned()));
    for wrong in ["\"7\"", "W/\"1\"", "*", "1"] {
        assert_eq!(
            site.put("PATCH", &ann, &place, &[("if-match", wrong)], &patch).await.problem(),
            (412, "precondition-failed".to_owned())
        );
    }
    let changed = site.put("PATCH", &ann, &place, &[("if-match", "\"1\"")], &patch).await;
    assert_eq!((changed.status.as_u16(), changed.header("etag")), (200, "\"2\""));
    assert_eq!(site.put("PATCH", &ann, &place, &[("if-match", "\"1\"")], &patch).await.status, 412);
    assert_eq!(site.get(&ann, &place).await.json()["name"], "The blog");
    assert_eq!(site.put("DELETE", &ann, &place, &[], &json!({})).await.status, 204);
    assert_eq!(site.get(&ann, &place).await.status, 404);
}

#[tokio::test]
async fn refusals_say_what_is_wrong() {
    let (site, ann) = Site::with_ann().await;
    let field = |answer: &crate::site::Answered| answer.json()["field"].clone();
    let bad = site.post(&ann, "/api/v1/projects", &json!({ "slug": "Not A Slug" })).await;
    assert_eq!((bad.problem(), field(&bad)), ((422, "invalid".to_owned()), json!("slug")));
    assert!(bad.json()["detail"].as_str().unwrap().starts_with("may hold only"), "{}", bad.text);
    let unknown = site.post(&ann, "/api/v1/projects", &json!({ "slug": "a", "colour": "red" })).await;
    assert_eq!((unknown.problem().0, field(&unknown)), (422, json!("colour")));
    let missing = site.post(&ann, "/api/v1/projects", &json!({})).await;
    assert_eq!((missing.problem().0, field(&missing)), (422, json!("slug")));
    let bearer = format!("Bearer {ann}");
    let json_headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    assert_eq!(site.ask("POST", "/api/v1/projects", &json_headers, "{\"slug\":").await.problem(), (400, "malformed".to_owned()));
    assert_eq!(site.ask("POST", "/api/v1/projects", &json_headers[..1], "{}").await.problem().0, 415);
    let large = format!("{{\"slug\":\"{}\"}}", "a".repeat(1 << 20));
    assert_eq!(site.ask("POST", "/api/v1/projects", &json_headers, large).await.problem(), (413, "too-large".to_owned()));
    assert_eq!(site.ask("PUT", "/api/v1/projects", &json_headers, "{}").await.problem(), (405, "method-not-allowed".to_owned()));
    assert_eq!(site.post(&ann, "/api/v1/projects", &json!({ "slug": "a" })).await.status, 201);
    assert_eq!(site.post(&ann, "/api/v1/projects", &json!({ "slug": "a" })).await.problem(), (409, "already-exists".to_owned()));
    for (query, name) in
        [("limit=0", "limit"), ("limit=x", "limit"), ("after=x", "after"), ("colour=red", "colour"), ("limit=1&limit=2", "limit")]
    {
        let answer = site.get(&ann, &format!("/api/v1/projects?{query}")).await;
        assert_eq!((answer.problem().0, field(&answer)), (422, json!(name)));
    }
    let bob = site.outsider().await;
    let denied = site.get(&bob, "/api/v1/users").await;
    assert_eq!(denied.problem(), (403, "denied".to_owned()));
}

#[tokio::test]
async fn lists_are_pages() {
    let (site, ann) = Site::with_ann().await;
    for n in 0..5 {
        site.post(&ann, "/api/v1/projects", &json!({ "slug": format!("p{n}") })).await;
    }
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = site.get(&ann, &format!("/api/v1/projects?limit=2{after}")).await.json();
        seen.extend(page["items"].as_array().unwrap().iter().map(|item| item["slug"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(seen, ["p0", "p1", "p2", "p3", "p4"]);
}

#[tokio::test]
async fn a_service_is_deployed_by_name_once_per_key() {
    let (site, ann) = Site::with_ann().await;
    let report = site.post(&ann, "/api/v1/services/sync", &Value::Null).await.json();
    let row = report["synced"].as_array().unwrap().iter().find(|row| row["name"] == "fails-midway").unwrap().clone();
    let key = [("idempotency-key", "push-1")];
    let first = site.put("POST", &ann, "/api/v1/services/fails-midway/runs", &key, &json!({})).await;
    assert_eq!(first.status, 202, "{}", first.text);
    let id = first.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(first.header("location"), format!("/api/v1/runs/{id}"));
    let by_id = format!("/api/v1/services/{}/runs", row["service_id"].as_str().unwrap());
    assert_eq!(site.put("POST", &ann, &by_id, &key, &json!({})).await.json()["id"], json!(id));
    let deployment = format!("/api/v1/deployments/{}/runs", row["deployment_id"].as_str().unwrap());
    assert_eq!(site.put("POST", &ann, &deployment, &key, &json!({})).await.json()["id"], json!(id));
    let other = site.put("POST", &ann, &deployment, &key, &json!({ "context": { "env": { "A": "b" } } })).await;
    assert_eq!(other.problem(), (409, "conflict".to_owned()));
    let empty = site.put("POST", &ann, &deployment, &[("idempotency-key", "")], &json!({})).await;
    assert_eq!((empty.problem().0, empty.json()["field"].clone()), (422, json!("Idempotency-Key")));
    assert_eq!(site.post(&ann, "/api/v1/services/no-such/runs", &json!({})).await.problem().0, 404);
    let run = site.ended(id.parse().unwrap()).await;
    assert_eq!(run.state.as_str(), "failed");
    let log = site.get(&ann, &format!("/api/v1/runs/{id}/log")).await;
    assert_eq!(log.header("content-type"), "text/plain; charset=utf-8");
    let end: usize = log.header("eyrie-log-end").parse().unwrap();
    assert_eq!(end, log.text.len());
    assert!(end > 10);
    let rest = site.get(&ann, &format!("/api/v1/runs/{id}/log?offset=7")).await;
    assert_eq!(rest.text, &log.text[7..]);
    assert_eq!(site.get(&ann, &format!("/api/v1/runs/{id}/log?offset={end}")).await.text, "");
    let cancel = site.post(&ann, &format!("/api/v1/runs/{id}/cancel"), &json!({ "reason": "too late" })).await;
    assert_eq!(cancel.problem(), (409, "illegal-transition".to_owned()));
}
