//! Secrets over HTTP: written, and seen nowhere.

use eyrie_core::model::Plan;
use serde_json::{Value, json};

use crate::site::Site;

const CANARY: &str = "canary-7Zq-of-the-deep";

/// Every address that can be read, with the ids of what was made.
async fn readable(site: &Site, ids: &[(&str, String)]) -> Vec<String> {
    let document = site.ask("GET", "/api/v1/openapi.json", &[], "").await.json();
    let mut paths = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        if methods.get("get").is_none() || path.ends_with("/events") {
            continue;
        }
        match path.contains('{') {
            false => {
                paths.push(path.clone());
                paths.extend(
                    ids.iter()
                        .filter(|(kind, _)| ["projects", "deployments"].contains(kind))
                        .map(|(kind, id)| format!("{path}?{}={id}", kind.trim_end_matches('s'))),
                );
            }
            true => {
                let kind = path.trim_start_matches("/api/v1/").split('/').next().unwrap();
                let fitting = ids.iter().filter(|(of, _)| *of == kind);
                paths.extend(fitting.map(|(_, id)| path.replace("{id}", id)));
            }
        }
    }
    for (kind, page) in [("projects", "projects"), ("deployments", "deployments"), ("runs", "runs")] {
        paths.extend(ids.iter().filter(|(of, _)| *of == kind).map(|(_, id)| format!("/{page}/{id}")));
    }
    paths.push("/".to_owned());
    paths
}

#[tokio::test]
async fn no_answer_shows_a_value() {
    let (site, ann) = Site::with_ann().await;
    let first = site.markup_run().await;
    let (project, deployment) = (first.project_id.to_string(), first.deployment_id.to_string());
    let mine = site.post(&ann, &format!("/api/v1/projects/{project}/secrets"), &json!({ "name": "mine", "value": CANARY })).await;
    let shared = site.post(&ann, "/api/v1/secrets", &json!({ "name": "shared", "value": CANARY })).await;
    assert_eq!((mine.status.as_u16(), shared.status.as_u16()), (201, 201), "{}", mine.text);
    let (mine, shared) = (mine.json()["id"].as_str().unwrap().to_owned(), shared.json()["id"].as_str().unwrap().to_owned());
    let value = format!("/api/v1/secrets/{mine}/value");
    let replaced = site.put("PUT", &ann, &value, &[("if-match", "\"1\"")], &json!({ "value": format!("{CANARY} two") })).await;
    assert_eq!((replaced.status.as_u16(), replaced.header("etag")), (200, "\"2\""), "{}", replaced.text);
    let settings = json!({ "settings": { "db": { "password": { "$secret": mine } } } });
    let version = [("if-match", "\"1\"")];
    let changed = site.put("PATCH", &ann, &format!("/api/v1/deployments/{deployment}"), &version, &settings).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    let plan =
        Plan::builder().step("leak", "test.markup", |step| step.parameters(json!({ "password": { "$secret": mine } }))).build().unwrap();
    let local = site.eyrie.acting_as(eyrie_core::model::Principal::local_operator());
    let run = site.ended(local.run_plan(first.deployment_id, plan).await.unwrap().id).await;
    let log = site.get(&ann, &format!("/api/v1/runs/{}/log", run.id)).await;
    assert!(log.text.contains(r#"{"password":"***"}"#), "the step was given the value: {}", log.text);
    let new = json!({ "name": "shared", "credentials_secret_id": shared, "api_endpoint": "https://k8s.example.org" });
    let cluster = site.post(&ann, "/api/v1/clusters", &new).await.json()["id"].as_str().unwrap().to_owned();
    let new = json!({
        "slug": "d", "project_id": project, "data_type": "postgres", "usage": "primary_database",
        "config": { "host": "db", "database": "shop" }, "credentials_secret_id": mine,
    });
    let datasource = site.post(&ann, "/api/v1/datasources", &new).await;
    assert_eq!(datasource.status, 201, "{}", datasource.text);
    let datasource = datasource.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(site.put("DELETE", &ann, &format!("/api/v1/secrets/{mine}"), &[], &Value::Null).await.problem().0, 409);

    let ids = [
        ("projects", project),
        ("deployments", deployment),
        ("runs", run.id.to_string()),
        ("secrets", mine),
        ("secrets", shared),
        ("clusters", cluster),
        ("datasources", datasource),
    ];
    let cookie = format!("eyrie_session={ann}");
    let mut answered = 0;
    for path in readable(&site, &ids).await {
        let bearer = format!("Bearer {ann}");
        let answer = site.ask("GET", &path, &[("authorization", &bearer), ("cookie", &cookie)], "").await;
        assert!(!answer.status.is_server_error(), "{path}: {}", answer.text);
        assert!(!answer.text.contains("canary"), "{path} shows it: {}", answer.text);
        answered += usize::from(answer.status.is_success());
    }
    assert!(answered > 25, "{answered}");
}

#[tokio::test]
async fn refusals_do_not_show_what_was_sent() {
    let (site, ann) = Site::with_ann().await;
    let run = site.markup_run().await;
    let place = format!("/api/v1/projects/{}/secrets", run.project_id);
    for (body, field) in [
        (json!({ "name": "a b", "value": CANARY }), "name"),
        (json!({ "name": "a", "value": [CANARY] }), "value"),
        (json!({ "name": "a", "value": { CANARY: 1 } }), "value"),
        (json!({ "name": "a", "value": 123_456_789 }), "value"),
        (json!({ "name": "a", "value": "12345" }), "value"),
        (json!({ "name": "a", "value": "canary".repeat(20_000) }), "value"),
        (json!({ "name": "a", "valu": CANARY }), "valu"),
        (json!({ "name": "a" }), "value"),
    ] {
        let answer = site.post(&ann, &place, &body).await;
        assert_eq!((answer.problem().0, &answer.json()["field"]), (422, &json!(field)), "{}", answer.text);
        assert!(!answer.text.contains("canary") && !answer.text.contains("12345"), "{}", answer.text);
    }
    let new = json!({ "slug": "d", "data_type": "mysql", "usage": "primary_database", "config": { "host": format!("me:{CANARY}@db"), "database": "a" } });
    let answer = site.post(&ann, "/api/v1/datasources", &new).await;
    assert_eq!((answer.problem().0, &answer.json()["field"]), (422, &json!("config.host")));
    assert!(!answer.text.contains("canary"), "{}", answer.text);
    let new = json!({ "name": "c", "api_endpoint": format!("https://me:{CANARY}@k8s") });
    let answer = site.post(&ann, "/api/v1/clusters", &new).await;
    assert_eq!((answer.problem().0, &answer.json()["field"]), (422, &json!("api_endpoint")));
    assert!(!answer.text.contains("canary"), "{}", answer.text);
    assert_eq!(site.get(&ann, &place).await.json()["items"], json!([]), "nothing was kept");
    let audit = site.get(&ann, "/api/v1/audit").await.text;
    assert!(!audit.contains("canary"), "{audit}");
}

#[tokio::test]
async fn secrets_of_others_are_not_there() {
    let (site, ann) = Site::with_ann().await;
    let run = site.markup_run().await;
    let bob = site.outsider().await;
    let missing = site.get(&bob, "/api/v1/no/such/route").await;
    let new = json!({ "name": "a", "value": CANARY });
    let mine = site.post(&ann, &format!("/api/v1/projects/{}/secrets", run.project_id), &new).await.json()["id"].clone();
    let shared = site.post(&ann, "/api/v1/secrets", &new).await.json()["id"].clone();
    for id in [mine.as_str().unwrap(), shared.as_str().unwrap(), "01234567-89ab-7cde-8f01-23456789abcd"] {
        assert_eq!(site.get(&bob, &format!("/api/v1/secrets/{id}")).await.text, missing.text);
        let place = format!("/api/v1/secrets/{id}/value");
        assert_eq!(site.put("PUT", &bob, &place, &[("if-match", "\"1\"")], &json!({ "value": CANARY })).await.text, missing.text);
        assert_eq!(site.put("DELETE", &bob, &format!("/api/v1/secrets/{id}"), &[], &Value::Null).await.text, missing.text);
    }
    assert_eq!(site.get(&bob, &format!("/api/v1/projects/{}/secrets", run.project_id)).await.text, missing.text);
    assert_eq!(site.post(&bob, &format!("/api/v1/projects/{}/secrets", run.project_id), &new).await.text, missing.text);
    assert_eq!(site.get(&bob, "/api/v1/secrets").await.problem(), (403, "denied".to_owned()));
    assert_eq!(site.post(&bob, "/api/v1/secrets", &new).await.problem(), (403, "denied".to_owned()));
}
