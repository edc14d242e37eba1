//! Whatever changes something leaves one entry in the audit, and so does whatever is refused; none of them holds a secret.

use std::collections::{BTreeMap, BTreeSet};

use eyrie_tests::world::Kind;
use reqwest::{Method, header};
use serde_json::{Value, json};

use super::{super::PASSWORD, Client, NOBODY, Town, whole};
use crate::engine::on_databases;

on_databases! {
    each_mutation_leaves_one_entry;
    what_comes_from_outside_is_shown_escaped;
}

const SECRET: &str = "canary-of-the-audit-4711";

/// Operations that are not tried here, and why.
const ELSEWHERE: [(&str, &str); 7] = [
    ("POST /api/v1/steps", "a script's reports are events of its run"),
    ("PUT /api/v1/runs/finish", "changes nothing"),
    ("POST /api/v1/runs/{id}/steps/{step}/approve", "no type of the server's own plans approvals; tests/it/engine/approval.rs"),
    ("POST /api/v1/runs/{id}/steps/{step}/reject", "the same"),
    ("POST /api/v1/runs/{id}/retry-undo", "no type of the server's own plans an undo; tests/it/engine/undo.rs"),
    ("POST /api/v1/runs/{id}/steps/{step}/skip-undo", "the same"),
    ("POST /api/v1/services/sync", "one entry a service; asked for apart"),
];
/// What anybody may do who is signed in.
const EVERYBODYS: [&str; 3] = ["POST /api/v1/projects", "POST /api/v1/sessions", "DELETE /api/v1/sessions/current"];

/// Somebody who does everything, after somebody else was refused the same.
struct Tour<'a> {
    ann: &'a Client,
    mallory: &'a Client,
    done: BTreeMap<String, String>,
    mallory_id: &'a str,
    refused: u64,
}

impl Tour<'_> {
    /// Carries out one operation of the document, with these ids in its path.
    async fn act(&mut self, operation: &str, ids: &[&str], body: Value) -> Value {
        let (method, template) = operation.split_once(" /api/v1/").unwrap();
        let mut path = template.to_owned();
        for id in ids {
            let (start, end) = (path.find('{').unwrap(), path.find('}').unwrap());
            path.replace_range(start..=end, id);
        }
        let method: Method = method.parse().unwrap();
        let mut headers = Vec::new();
        // Where a version is asked for, it is the one that is there.
        let there = self.ann.send(Method::GET, path.trim_end_matches("/value").trim_end_matches("/state"), &[], None).await;
        let tag = there.headers().get(header::ETAG).map(|tag| tag.to_str().unwrap().to_owned());
        headers.extend(tag.as_deref().filter(|_| method != Method::DELETE).map(|tag| ("if-match", tag)));
        if !EVERYBODYS.contains(&operation) {
            let (status, _, told) = whole(self.mallory.send(method.clone(), &path, &headers, Some(&body)).await).await;
            assert!(matches!(status, 403 | 404), "{operation}: {status} {told}");
            self.refused += 1;
            assert_eq!(self.refusals().await, self.refused, "{operation} was refused, and that stands nowhere");
        }
        let request = format!("tour-{}", self.done.len());
        headers.push(("x-request-id", &request));
        let answer = self.ann.send(method, &path, &headers, Some(&body)).await;
        let (status, _, told) = whole(answer).await;
        assert!((200..300).contains(&status), "{operation}: {status} {told}");
        self.done.insert(request, operation.to_owned());
        serde_json::from_str(&told).unwrap_or_default()
    }

    /// How many refusals of mallory stand in the audit. Those that are alike are counted on one line.
    async fn refusals(&self) -> u64 {
        let (_, page) = self.ann.get(&format!("audit?verdict=refused&limit=200&user={}", self.mallory_id)).await;
        page["items"].as_array().unwrap().iter().map(|entry| entry["count"].as_u64().unwrap()).sum()
    }

    /// The same, for what answers with something that has an id.
    async fn make(&mut self, operation: &str, ids: &[&str], body: Value) -> String {
        let made = self.act(operation, ids, body).await;
        made["id"].as_str().unwrap_or_else(|| panic!("{operation}: {made}")).to_owned()
    }
}

async fn each_mutation_leaves_one_entry(kind: Kind) {
    let town = Town::new(kind).await;
    let (mallory, mallory_ids) = super::account(&town.field, &town.ann, "mallory", false).await;
    let mut tour = Tour { ann: &town.ann, mallory: &mallory, mallory_id: &mallory_ids[0], done: BTreeMap::new(), refused: 0 };
    everything(&town, &mut tour).await;

    let driven: BTreeSet<_> = tour.done.values().map(String::as_str).collect();
    for (method, path) in town.operations().await {
        let operation = format!("{method} {path}");
        let is_elsewhere = ELSEWHERE.iter().any(|(known, _)| *known == operation);
        let is_safe = method == Method::GET || !path.starts_with("/api/");
        assert!(is_safe || is_elsewhere != driven.contains(operation.as_str()), "{operation} is tried {is_elsewhere} or listed, not both");
    }

    let export = town.ann.send(Method::GET, "audit/export", &[], None).await.text().await.unwrap();
    for secret in [SECRET, PASSWORD, "eys_", "eyv_", "eyr_", "eyd_", "another good password"] {
        assert!(!export.contains(secret), "{secret}");
    }
    let entries: Vec<Value> = export.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let session = town.ann.get("tokens?kind=session").await.1["items"].clone();
    let ann = session.as_array().unwrap().iter().find(|one| one["name"] == "session of ann").unwrap();
    for (request, operation) in &tour.done {
        let of_it: Vec<_> = entries.iter().filter(|entry| entry["request_id"] == **request).collect();
        let [entry] = of_it.as_slice() else { panic!("{operation} left {of_it:?}") };
        assert_eq!((&entry["verdict"], &entry["origin"]), (&json!("allowed"), &json!("api")), "{operation}");
        let is_session = operation.contains("/sessions");
        assert!(is_session || (entry["token_id"] == ann["id"] && entry["principal"]["id"] == ann["created_by"]), "{operation}: {entry}");
        assert!(!is_session || entry["action"].as_str().unwrap().starts_with("session."), "{entry}");
    }

    let (status, synced) = town.ann.post("services/sync", &[("x-request-id", "sync-1")], &json!({})).await;
    assert_eq!(status, 200, "{synced}");
    let (_, page) = town.ann.get("audit?limit=50").await;
    let of_sync = page["items"].as_array().unwrap().iter().filter(|entry| entry["request_id"] == "sync-1");
    assert!(of_sync.count() >= synced["synced"].as_array().unwrap().len(), "{page}");
    town.server.stop();
}

/// Makes, changes and deletes one of everything.
async fn everything(town: &Town, tour: &mut Tour<'_>) {
    let alice = town.alice_ids[0].as_str();
    let user = tour.make("POST /api/v1/users", &[], json!({ "name": "carol", "password": PASSWORD })).await;
    tour.act("PATCH /api/v1/users/{id}", &[&user], json!({ "password": "another good password" })).await;
    let session = tour.act("POST /api/v1/sessions", &[], json!({ "name": "ann", "password": PASSWORD })).await;
    let other = Client { token: session["token"].as_str().unwrap().to_owned(), ..town.ann.clone() };
    let ended = other.send(Method::DELETE, "sessions/current", &[("x-request-id", "tour-end")], None).await;
    assert_eq!(ended.status(), 204);
    tour.done.insert("tour-end".to_owned(), "DELETE /api/v1/sessions/current".to_owned());

    let project = tour.make("POST /api/v1/projects", &[], json!({ "slug": "tour" })).await;
    tour.act("PATCH /api/v1/projects/{id}", &[&project], json!({ "name": "Tour" })).await;
    tour.act("PUT /api/v1/projects/{id}/members/{user_id}", &[&project, alice], json!({ "role": "admin" })).await;
    tour.act("PUT /api/v1/projects/{id}/owner", &[&project], json!({ "user_id": alice })).await;
    let group = tour.make("POST /api/v1/projects/{id}/groups", &[&project], json!({ "slug": "web", "group_type": "service" })).await;
    tour.act("PATCH /api/v1/groups/{id}", &[&group], json!({ "name": "Web" })).await;
    tour.act("PUT /api/v1/groups/{id}/members/{user_id}", &[&group, alice], json!({ "role": "developer" })).await;
    let scope = tour.make("POST /api/v1/groups/{id}/scopes", &[&group], json!({ "slug": "production" })).await;
    tour.act("PATCH /api/v1/scopes/{id}", &[&scope], json!({ "name": "Production" })).await;
    let config = json!({ "deploy_script": "deploy.sh" });
    let new = json!({ "project_id": project, "name": "first", "config": config });
    let service = tour.make("POST /api/v1/services", &[], new).await;
    tour.act("PUT /api/v1/services/{id}", &[&service], json!({ "config": config })).await;
    let new = json!({ "slug": "site", "service_id": service });
    let deployment = tour.make("POST /api/v1/groups/{id}/deployments", &[&group], new).await;
    tour.act("PATCH /api/v1/deployments/{id}", &[&deployment], json!({ "name": "Site" })).await;
    tour.act("PUT /api/v1/deployments/{id}/members/{user_id}", &[&deployment, alice], json!({ "role": "developer" })).await;
    let new = json!({ "slug": "nightly", "cron": "@daily" });
    let schedule = tour.make("POST /api/v1/deployments/{id}/schedules", &[&deployment], new).await;
    tour.act("PATCH /api/v1/schedules/{id}", &[&schedule], json!({ "enabled": false })).await;
    let check = json!({ "type": "http_request", "url": "https://shop.example.org/health" });
    let monitor = tour.make("POST /api/v1/deployments/{id}/monitors", &[&deployment], json!({ "slug": "up", "check": check })).await;
    tour.act("PATCH /api/v1/monitors/{id}", &[&monitor], json!({ "interval_seconds": 120 })).await;
    tour.act("POST /api/v1/monitors/{id}/results", &[&monitor], json!({ "outcome": "passed" })).await;

    let new = json!({ "project_id": project, "slug": "shop", "url": "https://git.example.org/shop.git" });
    let repository = tour.make("POST /api/v1/repositories", &[], new).await;
    tour.act("PATCH /api/v1/repositories/{id}", &[&repository], json!({ "name": "Shop" })).await;
    let branch = tour.make("POST /api/v1/repositories/{id}/branches", &[&repository], json!({ "name": "main" })).await;
    tour.act("POST /api/v1/branches/{id}/commit", &[&branch], json!({ "commit": "1".repeat(40) })).await;
    let new = json!({ "project_id": project, "reference": "registry.example.org/shop:main" });
    let image = tour.make("POST /api/v1/images", &[], new).await;
    tour.act("PATCH /api/v1/images/{id}", &[&image], json!({ "repository_id": repository })).await;
    tour.act("POST /api/v1/images/{id}/digest", &[&image], json!({ "digest": format!("sha256:{}", "1".repeat(64)) })).await;

    let new = json!({ "name": "password", "value": SECRET });
    let secret = tour.make("POST /api/v1/projects/{id}/secrets", &[&project], new.clone()).await;
    tour.act("PUT /api/v1/secrets/{id}/value", &[&secret], json!({ "value": format!("{SECRET}-2") })).await;
    let shared = tour.make("POST /api/v1/secrets", &[], new).await;
    let new = json!({ "project_id": project, "slug": "backups", "data_type": "filesystem", "usage": "remote_backup", "config": { "path": "/srv" } });
    let datasource = tour.make("POST /api/v1/datasources", &[], new).await;
    tour.act("PATCH /api/v1/datasources/{id}", &[&datasource], json!({ "name": "Backups" })).await;
    let cluster = tour.make("POST /api/v1/clusters", &[], json!({ "name": "tour" })).await;
    tour.act("PATCH /api/v1/clusters/{id}", &[&cluster], json!({ "name": "Tour" })).await;
    tour.act("PUT /api/v1/clusters/{id}/limit", &[&cluster], json!({ "max_running": 3 })).await;
    tour.act("PUT /api/v1/clusters/{id}/grants/{project_id}", &[&cluster, &project], json!({})).await;
    for (kind, id) in [("groups", &group), ("scopes", &scope), ("deployments", &deployment)] {
        tour.act(&format!("PUT /api/v1/{kind}/{{id}}/clusters/{{cluster_id}}"), &[id, &cluster], json!({})).await;
        tour.act(&format!("DELETE /api/v1/{kind}/{{id}}/clusters/{{cluster_id}}"), &[id, &cluster], json!({})).await;
    }
    tour.act("DELETE /api/v1/clusters/{id}/grants/{project_id}", &[&cluster, &project], json!({})).await;
    tour.act("POST /api/v1/clusters/{id}/state", &[&cluster], json!({ "move": "begin" })).await;

    let target = json!({ "name": "t", "target": { "project": project }, "origin": "o", "days": 1 });
    let token = tour.act("POST /api/v1/tokens", &[], target.clone()).await["token"]["id"].as_str().unwrap().to_owned();
    tour.act("POST /api/v1/tokens/{id}/rotate", &[&token], json!({})).await;
    let token = tour.act("POST /api/v1/discovery/tokens", &[], target).await["token"]["id"].as_str().unwrap().to_owned();
    tour.act("DELETE /api/v1/tokens/{id}", &[&token], json!({})).await;

    town.field.write("first", json!({}), "exit 1");
    let run = tour.make("POST /api/v1/deployments/{id}/runs", &[&deployment], json!({})).await;
    town.ann.end_of(&run).await;
    tour.act("POST /api/v1/runs/{id}/resume", &[&run], json!({ "reason": "once more" })).await;
    town.ann.end_of(&run).await;
    tour.act("POST /api/v1/runs/{id}/steps/{step}/retry", &[&run, "0"], json!({ "reason": "and again" })).await;
    town.ann.end_of(&run).await;
    town.field.write("first", json!({}), "sleep 60");
    let slow = tour.make("POST /api/v1/runs/{id}/rerun", &[&run], json!({})).await;
    town.ann.until(&slow, "running").await;
    tour.act("POST /api/v1/runs/{id}/cancel", &[&slow], json!({ "reason": "too slow" })).await;
    town.ann.end_of(&slow).await;
    town.field.write("first", json!({}), super::HELLO);
    let run = tour.make("POST /api/v1/services/{id}/runs", &[&service], json!({})).await;
    town.ann.end_of(&run).await;

    tour.act("DELETE /api/v1/schedules/{id}", &[&schedule], json!({})).await;
    tour.act("DELETE /api/v1/monitors/{id}", &[&monitor], json!({})).await;
    tour.act("DELETE /api/v1/deployments/{id}/members/{user_id}", &[&deployment, alice], json!({})).await;
    let spare = tour.make("POST /api/v1/groups/{id}/deployments", &[&group], json!({ "slug": "spare" })).await;
    tour.act("DELETE /api/v1/deployments/{id}", &[&spare], json!({})).await;
    tour.act("DELETE /api/v1/scopes/{id}", &[&scope], json!({})).await;
    tour.act("DELETE /api/v1/images/{id}", &[&image], json!({})).await;
    tour.act("DELETE /api/v1/branches/{id}", &[&branch], json!({})).await;
    tour.act("DELETE /api/v1/repositories/{id}", &[&repository], json!({})).await;
    tour.act("DELETE /api/v1/datasources/{id}", &[&datasource], json!({})).await;
    for secret in [&secret, &shared] {
        tour.act("DELETE /api/v1/secrets/{id}", &[secret], json!({})).await;
    }
    tour.act("DELETE /api/v1/groups/{id}/members/{user_id}", &[&group, alice], json!({})).await;
    let spare = tour.make("POST /api/v1/projects/{id}/groups", &[&project], json!({ "slug": "spare", "group_type": "service" })).await;
    tour.act("DELETE /api/v1/groups/{id}", &[&spare], json!({})).await;
    let new = json!({ "project_id": project, "name": "spare", "config": config });
    town.field.write("spare", json!({}), super::HELLO);
    let spare = tour.make("POST /api/v1/services", &[], new).await;
    tour.act("DELETE /api/v1/services/{id}", &[&spare], json!({})).await;
    let bob = town.bob.get("tokens?kind=session").await.1["items"][0]["created_by"].as_str().unwrap().to_owned();
    tour.act("PUT /api/v1/projects/{id}/members/{user_id}", &[&project, &bob], json!({ "role": "user" })).await;
    tour.act("DELETE /api/v1/projects/{id}/members/{user_id}", &[&project, &bob], json!({})).await;
    let spare = tour.make("POST /api/v1/projects", &[], json!({ "slug": "spare" })).await;
    tour.act("DELETE /api/v1/projects/{id}", &[&spare], json!({})).await;
    assert_ne!(spare, NOBODY);
}

async fn what_comes_from_outside_is_shown_escaped(kind: Kind) {
    let town = Town::new(kind).await;
    let run = town.first.0["runs"][0].as_str();
    let forged = "done\r\n2027-01-01T00:00:00Z  ERROR forged \u{1b}[31mred\u{1b}[0m \u{202e}desrever";
    town.field.write("first", json!({}), "sleep 60");
    let (_, again) = town.ann.post(&format!("runs/{run}/rerun"), &[], &json!({})).await;
    let again = again["id"].as_str().unwrap();
    town.ann.until(again, "running").await;
    let (status, told) = town.ann.post(&format!("runs/{again}/cancel"), &[], &json!({ "reason": forged })).await;
    assert!(status.is_success() || status == 422, "{status} {told}");
    town.ann.send(Method::GET, "users", &[("x-request-id", "a\u{9b}31m")], None).await;
    let session = format!("eyrie_session={}", town.ann.token);
    for page in ["/audit".to_owned(), format!("/runs/{again}")] {
        let shown = town.ann.http.get(format!("{}{page}", town.server.url)).header(header::COOKIE, &session).send().await.unwrap();
        assert_eq!(shown.status(), 200, "{page}");
        let shown = shown.text().await.unwrap();
        assert!(!shown.contains(['\u{1b}', '\r', '\u{202e}']), "{page}");
    }
    let listed = town.field.eyrie(&["audit", "list", "--limit", "200"]);
    assert_eq!(listed.code, 0, "{listed:?}");
    assert!(
        !listed.out.contains(['\u{1b}', '\r']) && !listed.out.lines().any(|line| line.contains("forged") && !line.contains("run.cancel")),
        "{}",
        listed.out
    );
    let exported = town.field.eyrie(&["audit", "export"]);
    assert!(exported.out.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()) && !exported.out.contains('\u{1b}'));
    let log = town.server.stop();
    assert!(!log.lines().any(|line| line.starts_with("2027-01-01")), "a line was forged");
}
