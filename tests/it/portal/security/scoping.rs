//! Ids of another project's things, in paths and in bodies: they answer as what does not exist, to the byte, and nothing changes.

use eyrie_tests::world::Kind;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Ids, NOBODY, Town, whole};
use crate::engine::on_databases;

on_databases! {
    another_projects_ids_in_paths;
    another_projects_ids_in_bodies;
    a_member_cannot_rise;
}

/// The path with ids of these things in it; none when it has none, or there is nothing of that kind.
pub(super) fn placed(path: &str, ids: &Ids, user: &str) -> Option<String> {
    let mut segments: Vec<&str> = path.trim_start_matches("/api/v1/").split('/').collect();
    let mut found = false;
    for place in 1..segments.len() {
        match segments[place] {
            "{id}" => {
                segments[place] = ids.0.get(segments[place - 1])?.first()?;
                found = true;
            }
            "{user_id}" => segments[place] = user,
            "{step}" => segments[place] = "0",
            other if other.starts_with('{') => segments[place] = NOBODY,
            _ => {}
        }
    }
    found.then(|| segments.join("/"))
}

/// A body that the route takes, as far as it needs one.
fn body(path: &str) -> Value {
    match path.rsplit('/').next().unwrap_or_default() {
        "groups" => json!({ "slug": "new", "group_type": "service" }),
        "scopes" | "deployments" => json!({ "slug": "new" }),
        "schedules" => json!({ "slug": "new", "cron": "@daily" }),
        "{user_id}" => json!({ "role": "admin" }),
        "branches" => json!({ "name": "new" }),
        "commit" => json!({ "commit": "1".repeat(40) }),
        "digest" => json!({ "digest": format!("sha256:{}", "1".repeat(64)) }),
        "monitors" => json!({ "slug": "new", "check": { "type": "http_request", "url": "https://shop.example.org/health" } }),
        "results" => json!({ "outcome": "passed" }),
        "secrets" => json!({ "name": "new", "value": "swordfish" }),
        "value" => json!({ "value": "swordfish" }),
        "limit" => json!({ "max_running": 1 }),
        "state" => json!({ "move": "begin" }),
        "owner" => json!({ "user_id": NOBODY }),
        "{id}" if path.contains("/services/") => json!({ "config": { "deploy_script": "deploy.sh" } }),
        _ => json!({}),
    }
}

async fn another_projects_ids_in_paths(kind: Kind) {
    let town = Town::new(kind).await;
    let before = town.everything().await;
    let ask = async |method: &Method, path: &str, body: &Value| {
        let body = (method != Method::GET).then_some(body);
        whole(town.alice.send(method.clone(), path, &[("if-match", "\"1\"")], body).await).await
    };
    let missing = ask(&Method::GET, &format!("projects/{NOBODY}"), &Value::Null).await;
    assert_eq!(missing.0, 404);
    let mut tried = 0;
    for (method, path) in town.operations().await {
        let Some(others) = placed(&path, &town.second, &town.alice_ids[0]) else { continue };
        let answer = ask(&method, &others, &body(&path)).await;
        // What nobody has answers the same; what is malformed is told of before anything is looked for.
        let mut nobodys = others.clone();
        for id in town.second.0.values().flatten() {
            nobodys = nobodys.replace(id.as_str(), NOBODY);
        }
        assert_eq!(answer, ask(&method, &nobodys, &body(&path)).await, "{method} {path} of another project");
        assert!(answer == missing || matches!(answer.0, 403 | 422), "{method} {path}: {answer:?}");
        tried += 1;
        // The same on her own answers something else: it is the id that was refused.
        if method == Method::GET && !path.ends_with("/events") && answer.0 == 404 && !path.contains("{user_id}") {
            let own = placed(&path, &town.first, &town.alice_ids[0]).unwrap();
            assert_ne!(ask(&method, &own, &Value::Null).await.0, 404, "{path}");
        }
    }
    assert!(tried > 75, "{tried}");
    assert_eq!(town.everything().await, before, "nothing changed");
    town.server.stop();
}

async fn another_projects_ids_in_bodies(kind: Kind) {
    let town = Town::new(kind).await;
    let before = town.everything().await;
    let own = |kind: &str| town.first.0[kind][0].as_str();
    let other = |kind: &str| town.second.0[kind][0].as_str();
    let deployments = format!("groups/{}/deployments", own("groups"));
    let deployment = format!("deployments/{}", own("deployments"));
    let path = |kind: &str| format!("{kind}/{}", own(kind));
    let [scope, repository, datasource, image] = ["scopes", "repositories", "datasources", "images"].map(path);
    let link = format!("{deployment}/clusters/{}", other("clusters"));
    let new_token = |target: Value| json!({ "name": "t", "target": target, "origin": "o", "days": 1 });
    for (method, path, body) in [
        (Method::POST, deployments.as_str(), json!({ "slug": "x", "scope_id": other("scopes") })),
        (Method::POST, &deployments, json!({ "slug": "x", "service_id": other("services") })),
        (Method::PATCH, &deployment, json!({ "scope_id": other("scopes") })),
        (Method::POST, &deployments, json!({ "slug": "x", "branch_id": other("branches") })),
        (Method::POST, &deployments, json!({ "slug": "x", "image_id": other("images") })),
        (Method::PATCH, &deployment, json!({ "branch_id": other("branches") })),
        (Method::PATCH, &deployment, json!({ "image_id": other("images") })),
        (Method::PATCH, &deployment, json!({ "settings": { "password": { "$secret": other("secrets") } } })),
        (Method::PATCH, &scope, json!({ "backup_dest_datasource_id": other("datasources") })),
        (Method::PATCH, &repository, json!({ "credentials_secret_id": other("secrets") })),
        (Method::PATCH, &datasource, json!({ "credentials_secret_id": other("secrets") })),
        (Method::PATCH, &image, json!({ "repository_id": other("repositories") })),
        (Method::PUT, &link, json!({})),
        (Method::POST, "tokens", new_token(json!({ "project": other("projects") }))),
        (Method::POST, "tokens", new_token(json!({ "group": other("groups") }))),
        (Method::POST, "tokens", new_token(json!({ "deployment": other("deployments") }))),
        (Method::POST, "tokens", new_token(json!({ "service": other("services") }))),
        (Method::POST, "discovery/tokens", new_token(json!({ "project": other("projects") }))),
        (Method::POST, "repositories", json!({ "project_id": other("projects"), "slug": "x", "url": "https://git.example.org/x.git" })),
        (Method::POST, "images", json!({ "project_id": other("projects"), "reference": "registry.example.org/x:main" })),
        (Method::POST, "services", json!({ "project_id": other("projects"), "name": "x", "config": { "deploy_script": "deploy.sh" } })),
    ] {
        let answer = town.alice.send(method.clone(), path, &[("if-match", "\"1\"")], Some(&body)).await;
        let (status, _, told) = whole(answer).await;
        assert!(matches!(status, 404 | 422), "{method} {path} {body}: {status} {told}");
        // What is missing and what is somebody else's cannot be told apart here either.
        let nobodys = |text: &str| town.second.0.values().flatten().fold(text.to_owned(), |text, id| text.replace(id.as_str(), NOBODY));
        let none: Value = serde_json::from_str(&nobodys(&body.to_string())).unwrap();
        let unknown = whole(town.alice.send(method, &nobodys(path), &[("if-match", "\"1\"")], Some(&none)).await).await;
        assert_eq!((status, told), (unknown.0, unknown.2), "{path} {body}");
    }
    for filter in ["project", "deployment"] {
        let path = format!("runs?{filter}={}", other(&format!("{filter}s")));
        assert_eq!(town.alice.get(&path).await.0, 404, "{path}");
    }
    assert_eq!(town.everything().await, before, "nothing changed");
    town.server.stop();
}

async fn a_member_cannot_rise(kind: Kind) {
    let town = Town::new(kind).await;
    let project = town.first.0["projects"][0].as_str();
    let (carol, carol_ids) = super::account(&town.field, &town.ann, "carol", false).await;
    let place = |user: &str| format!("projects/{project}/members/{user}");
    for role in ["user", "developer"] {
        super::member(&town.ann, project, &carol_ids[0], role).await;
        let before = town.everything().await;
        for (method, path, body) in [
            (Method::PUT, place(&carol_ids[0]), json!({ "role": "admin" })),
            (Method::PUT, place(&town.alice_ids[0]), json!({ "role": "user" })),
            (Method::DELETE, place(&town.alice_ids[0]), json!({})),
            (Method::POST, "users".to_owned(), json!({ "name": "eve", "password": "long enough it is", "operator": true })),
            (Method::PATCH, format!("users/{}", town.alice_ids[0]), json!({ "disabled": true })),
            (Method::PATCH, format!("projects/{project}"), json!({ "name": "mine" })),
        ] {
            let (status, _, told) = whole(carol.send(method.clone(), &path, &[("if-match", "\"1\"")], Some(&body)).await).await;
            assert!(status == 403 && told.contains("denied"), "{role} {method} {path}: {status} {told}");
        }
        assert_eq!(town.everything().await, before, "nothing changed");
    }
    town.server.stop();
}
