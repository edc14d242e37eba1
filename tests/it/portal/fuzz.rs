//! Requests made up from the OpenAPI document, by every role: no fault of the server, and no answer that the document does not know.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::json;

use super::{
    Field, HELLO,
    inventory::{Ids, account, made, member, project},
};

/// Streams, the end of the caller's own session, and what only a run's own token may do.
const LEFT_OUT: &str = "events$|sessions/current|finish$";

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
    // It keeps notes beside its settings.
    for file in ["schemathesis.toml", "hooks.py"] {
        std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(file), field.file(file)).unwrap();
    }
    for role in ["operator", "admin", "developer", "user", "outsider", "service-token"] {
        let mut ids = Ids::default();
        let own = project(&field, &ann, &format!("of-{role}"), &mut ids).await;
        project(&field, &ann, &format!("not-of-{role}"), &mut ids).await;
        let (mut caller, own_ids) = account(&field, &ann, role, role == "operator").await;
        ids.0.insert("kept", own_ids.to_vec());
        let (_, users) = ann.get("users").await;
        let users = users["items"].as_array().unwrap().iter().filter(|user| user["name"] == "ann" || user["name"] == role);
        users.for_each(|user| drop(ids.add("users", user)));
        if matches!(role, "admin" | "developer" | "user") {
            member(&ann, &own, &own_ids[0], role).await;
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
            .current_dir(field.dir.path())
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
