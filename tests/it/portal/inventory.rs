//! Accounts, and projects with one of everything in them.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};

use super::{Client, Field, HELLO, PASSWORD, answer};

/// Lists of ids, by the segment of the path that stands before them.
#[derive(Debug, Clone, Default)]
pub(super) struct Ids(pub(super) BTreeMap<&'static str, Vec<String>>);

impl Ids {
    pub(super) fn add(&mut self, kind: &'static str, thing: &Value) -> String {
        let id = thing["id"].as_str().unwrap_or_else(|| panic!("{kind}: {thing}")).to_owned();
        self.0.entry(kind).or_default().push(id.clone());
        id
    }
}

/// Makes one thing and says what came back.
pub(super) async fn made(ann: &Client, path: &str, body: Value) -> Value {
    let (status, thing) = ann.post(path, &[], &body).await;
    assert!(status.is_success(), "{path}: {status} {thing}");
    thing
}

/// A project with one of everything in it.
pub(super) async fn project(field: &Field, ann: &Client, slug: &str, ids: &mut Ids) -> String {
    field.write(slug, json!({}), HELLO);
    let project = ids.add("projects", &made(ann, "projects", json!({ "slug": slug })).await);
    let group = made(ann, &format!("projects/{project}/groups"), json!({ "slug": "web", "group_type": "service" })).await;
    let group = ids.add("groups", &group);
    let scope = ids.add("scopes", &made(ann, &format!("groups/{group}/scopes"), json!({ "slug": "production" })).await);
    let service = json!({ "project_id": project, "name": slug, "config": { "deploy_script": "deploy.sh" } });
    let service = ids.add("services", &made(ann, "services", service).await);
    let new = json!({ "slug": "site", "scope_id": scope, "service_id": service });
    let deployment = ids.add("deployments", &made(ann, &format!("groups/{group}/deployments"), new).await);
    let schedule = json!({ "slug": "nightly", "cron": "@daily" });
    ids.add("schedules", &made(ann, &format!("deployments/{deployment}/schedules"), schedule).await);
    let run = ids.add("runs", &made(ann, &format!("deployments/{deployment}/runs"), json!({})).await);
    ann.end_of(&run).await;
    for (kind, path) in [("releases", "releases"), ("deployed-services", "deployed-services")] {
        for thing in ann.get(&format!("{path}?deployment={deployment}")).await.1["items"].as_array().unwrap() {
            ids.add(kind, thing);
        }
    }
    sources_and_places(ann, &project, &deployment, ids).await;
    project
}

/// Where deployments come from and go to, and what is watched and hidden.
async fn sources_and_places(ann: &Client, project: &str, deployment: &str, ids: &mut Ids) {
    let url = "https://git.example.org/shop.git";
    let repository = made(ann, "repositories", json!({ "project_id": project, "slug": "shop", "url": url })).await;
    let repository = ids.add("repositories", &repository);
    ids.add("branches", &made(ann, &format!("repositories/{repository}/branches"), json!({ "name": "main" })).await);
    let image = json!({ "project_id": project, "reference": "registry.example.org/shop:main" });
    ids.add("images", &made(ann, "images", image).await);
    let check = json!({ "type": "http_request", "url": "https://shop.example.org/health" });
    let monitor = made(ann, &format!("deployments/{deployment}/monitors"), json!({ "slug": "up", "check": check })).await;
    ids.add("monitors", &monitor);
    let secret = json!({ "name": "password", "value": "swordfish" });
    ids.add("secrets", &made(ann, &format!("projects/{project}/secrets"), secret).await);
    let config = json!({ "path": "/srv/backups" });
    let datasource =
        json!({ "project_id": project, "slug": "backups", "data_type": "filesystem", "usage": "remote_backup", "config": config });
    ids.add("datasources", &made(ann, "datasources", datasource).await);
    let cluster = made(ann, "clusters", json!({ "name": format!("of {project}") })).await;
    let cluster = ids.add("clusters", &cluster);
    let grant = ann.send(Method::PUT, &format!("clusters/{cluster}/grants/{project}"), &[], None).await;
    assert!(grant.status().is_success(), "{}", grant.status());
}

/// An account, signed in, with the ids of its user and of its session.
pub(super) async fn account(field: &Field, ann: &Client, name: &str, operator: bool) -> (Client, [String; 2]) {
    let arguments: &[&str] = if operator { &["user", "add", name, "--operator"] } else { &["user", "add", name] };
    field.eyrie_with(arguments, PASSWORD).has(0, &[name]);
    let session = made(ann, "sessions", json!({ "name": name, "password": PASSWORD })).await;
    let text = |key: &str| session[key].as_str().unwrap().to_owned();
    (Client { token: text("token"), ..ann.clone() }, [text("user_id"), text("session_id")])
}

/// Gives somebody a role in a project.
pub(super) async fn member(ann: &Client, project: &str, user: &str, role: &str) {
    let place = format!("projects/{project}/members/{user}");
    let (status, told) = answer(ann.send(Method::PUT, &place, &[], Some(&json!({ "role": role }))).await).await;
    assert!(status.is_success(), "{status} {told}");
}
