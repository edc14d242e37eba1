//! The server's keyring: made at the first start, asked for at every other one, rotated by a command beside the server.

use std::fs;

use reqwest::Method;
use serde_json::json;

use super::{Client, Field, Server};

const CANARY: &str = "canary-7Zq-of-the-deep";

/// Shows what it is given.
const SHOWS: &str = "cp \"$2\" kept.json\ncat \"$2\"; echo\n";

#[tokio::test]
async fn a_keyring_is_made_needed_and_rotated() {
    let field = Field::new();
    field.write("shows", json!({}), SHOWS);
    let (server, ann) = field.serve().await;
    let keyring = field.file("eyrie.db.keyring");
    assert!(keyring.exists(), "it is made where nothing is sealed");
    let (_, deployed) = ann.get("services/shows/deployment").await;
    let (project, deployment) = (deployed["project_id"].as_str().unwrap(), deployed["id"].as_str().unwrap());
    let (status, made) = ann.post(&format!("projects/{project}/secrets"), &[], &json!({ "name": "password", "value": CANARY })).await;
    assert_eq!(status, 201, "{made}");
    let settings = json!({ "settings": { "password": { "$secret": made["id"] } } });
    let version = [("if-match", "\"1\"")];
    let changed = ann.send(Method::PATCH, &format!("deployments/{deployment}"), &version, Some(&settings)).await;
    assert_eq!(changed.status(), 200);
    let deploys = async |ann: &Client| {
        let run = ann.deploy("shows", json!({})).await;
        let ended = ann.end_of(&run).await;
        assert_eq!(ended["state"], "succeeded", "{ended}");
        let given = fs::read_to_string(field.services().join("shows/kept.json")).unwrap();
        assert!(given.contains(&format!("\"password\":\"{CANARY}\"")), "{given}");
        let log = ann.log(&run).await;
        assert!(log.contains("\"password\":\"***\"") && log.contains("\"access_token\":\"***\""), "{log}");
        assert!(!log.contains("canary"), "{log}");
    };
    deploys(&ann).await;

    field.eyrie(&["keyring", "status"]).has(0, &["key version 1: 1 values", "newest"]);
    field.eyrie(&["keyring", "retire", "1"]).has(2, &["eyrie: ", "rotate first"]);
    field.eyrie(&["keyring", "rotate"]).has(0, &["key version 2 added"]);
    field.eyrie(&["keyring", "retire", "1"]).has(0, &["key version 1 retired"]);
    field.eyrie(&["keyring", "status"]).has(0, &["key version 2: 1 values"]);
    deploys(&ann).await;
    assert!(!server.stop().contains("canary"), "the server's own log");
    let raw = fs::read(field.file("eyrie.db")).unwrap();
    assert!(!raw.windows(6).any(|piece| piece == b"canary"), "the store's file");

    let kept = fs::read(&keyring).unwrap();
    fs::remove_file(&keyring).unwrap();
    let serve = ["serve", "--listen", "127.0.0.1:0"];
    field.eyrie(&serve).has(2, &["eyrie: ", "there is no keyring at", "needs key version 2"]);
    assert!(!keyring.exists(), "none is made where something is sealed");
    field.eyrie(&["runs"]).has(0, &["succeeded"]);
    fs::write(&keyring, &kept[..kept.len() / 2]).unwrap();
    field.eyrie(&serve).has(2, &["others than its owner"]);
    fs::remove_file(&keyring).unwrap();
    let elsewhere = Field::new();
    elsewhere.eyrie(&["keyring", "status"]).has(0, &["key version 1: 0 values"]);
    let other = elsewhere.file("eyrie.db.keyring");
    field
        .eyrie(&["--keyring", other.to_str().unwrap(), "serve", "--listen", "127.0.0.1:0"])
        .has(2, &["needs key version 2", "does not hold it"]);
    fs::copy(&other, &keyring).unwrap();
    fs::write(&keyring, &kept).unwrap();
    let again = Server::start(&field);
    let ann = Client::sign_in(&again.url, "ann").await;
    deploys(&ann).await;
    again.stop();
}
