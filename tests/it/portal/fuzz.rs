//! Requests made up from the OpenAPI document, by every role: no fault of the server, and no answer that the document does not know.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use super::{Client, Field, HELLO, PASSWORD};

/// Streams, the end of the caller's own session, and what only a run's own token may do.
const LEFT_OUT: &str = "events$|sessions/current|finish$|export$";

/// How many requests each role makes, about: `EYRIE_TEST_FUZZ`.
fn requests() -> usize {
    std::env::var("EYRIE_TEST_FUZZ").map_or(200, |text| text.parse().expect("EYRIE_TEST_FUZZ is a number"))
}

/// The program, as `scripts/test` sets it up.
fn schemathesis() -> PathBuf {
    let program = std::env::var_os("EYRIE_SCHEMATHESIS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/schemathesis/bin/schemathesis"), PathBuf::from);
    assert!(program.exists(), "{} is not there: scripts/schemathesis installs it", program.display());
    program
}

/// Lists of ids, by the segment of the path that stands before them.
#[derive(Debug, Clone, Default)]
struct Ids(BTreeMap<&'static str, Vec<String>>);

impl Ids {
    fn add(&mut self, kind: &'static str, thing: &Value) -> String {
        let id = thing["id"].as_str().unwrap_or_else(|| panic!("{kind}: {thing}")).to_owned();
        self.0.entry(kind).or_default().push(id.clone());
        id
    }
}

/// Makes one thing and says what came back.
async fn made(ann: &Client, path: &str, body: Value) -> Value {
    let (status, thing) = ann.post(path, &[], &body).await;
    assert!(status.is_success(), "{path}: {status} {thing}");
    thing
}

/// A project with one of everything in it.
async fn project(field: &Field, ann: &Client, slug: &str, ids: &mut Ids) -> String {
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
    project
}

/// An account, signed in.
async fn account(field: &Field, ann: &Client, name: &str, operator: bool) -> (Client, String) {
    let arguments: &[&str] = if operator { &["user", "add", name, "--operator"] } else { &["user", "add", name] };
    field.eyrie_with(arguments, PASSWORD).has(0, &[name]);
    let body = json!({ "name": name, "password": PASSWORD });
    let (_, session) = ann.post("sessions", &[], &body).await;
    let client = Client { token: session["token"].as_str().unwrap().to_owned(), ..ann.clone() };
    let (user, session) = (session["user_id"].as_str().unwrap(), session["session_id"].as_str().unwrap());
    (client, format!("{user} {session}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn generated_requests_of_every_role_are_answered_as_the_document_says() {
    let program = schemathesis();
    let field = Field::new();
    field.write("hello", json!({}), HELLO);
    let (server, ann) = field.serve().await;
    made(&ann, "services/sync", json!({})).await;
    let (_, document) = ann.get("openapi.json").await;
    let operations: usize = document["paths"].as_object().unwrap().values().map(|methods| methods.as_object().unwrap().len()).sum();
    let examples = requests().div_ceil(operations).to_string();
    for role in ["operator", "admin", "developer", "user", "outsider", "service-token"] {
        let mut ids = Ids::default();
        let own = project(&field, &ann, &format!("of-{role}"), &mut ids).await;
        project(&field, &ann, &format!("not-of-{role}"), &mut ids).await;
        let (mut caller, kept) = account(&field, &ann, role, role == "operator").await;
        ids.0.insert("kept", kept.split(' ').map(str::to_owned).collect());
        let (_, users) = ann.get("users").await;
        let users = users["items"].as_array().unwrap().iter().filter(|user| user["name"] == "ann" || user["name"] == role);
        users.for_each(|user| drop(ids.add("users", user)));
        if matches!(role, "admin" | "developer" | "user") {
            let place = format!("projects/{own}/members/{}", kept.split(' ').next().unwrap());
            let (status, _) = super::answer(ann.send(reqwest::Method::PUT, &place, &[], Some(&json!({ "role": role }))).await).await;
            assert!(status.is_success());
        }
        let token = json!({ "name": "ci", "target": { "project": own }, "origin": "ci", "days": 1 });
        let token = made(&ann, "tokens", token).await;
        ids.add("tokens", &token["token"]);
        if role == "service-token" {
            caller.token = token["secret"].as_str().unwrap().to_owned();
            let token = token["token"]["id"].as_str().unwrap().to_owned();
            ids.0.insert("kept", vec![token]);
        }
        let list = field.file(&format!("ids-of-{role}.json"));
        std::fs::write(&list, json!(ids.0).to_string()).unwrap();
        let output = Command::new(&program)
            .args(["--config-file", "schemathesis.toml", "run", &format!("{}/api/v1/openapi.json", server.url)])
            .args(["-H", &format!("Authorization: Bearer {}", caller.token), "-n", &examples, "--exclude-path-regex", LEFT_OUT])
            .args(["--continue-on-failure", "--no-color", "--warnings", "off"])
            .env("EYRIE_FUZZ_IDS", &list)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{role}: {said}{}", String::from_utf8_lossy(&output.stderr));
        let count = said.lines().find(|line| line.contains(" generated, ")).unwrap_or_else(|| panic!("{said}")).trim();
        println!("{role}: {count}");
        let (status, _) = caller.get("projects").await;
        assert_eq!(status, 200, "{role} is still known to the server");
    }
    let log = server.stop();
    assert!(!log.contains("panicked") && !log.contains("ERROR"), "{log}");
}
