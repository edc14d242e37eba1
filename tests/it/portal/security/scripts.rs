//! Executables: only operators add them, from inside the services directory.

use std::{fs, os::unix::fs::symlink};

use eyrie_tests::world::Kind;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Town, whole};
use crate::engine::on_databases;

on_databases! {
    a_service_names_nothing_outside_its_folder;
    only_operators_add_executables;
}

async fn a_service_names_nothing_outside_its_folder(kind: Kind) {
    let town = Town::new(kind).await;
    town.field.write("evil", json!({}), "true");
    let folder = town.field.services().join("evil");
    let outside = town.field.file("outside.sh");
    fs::copy(folder.join("deploy.sh"), &outside).unwrap();
    symlink(&outside, folder.join("link.sh")).unwrap();
    symlink(town.field.dir.path(), folder.join("up")).unwrap();
    let before = town.everything().await;
    let project = town.first.0["projects"][0].as_str();
    for script in ["../../outside.sh", outside.to_str().unwrap(), "link.sh", "up/outside.sh", "/bin/sh", "deploy.sh\0", "no-such.sh"] {
        let body = json!({ "project_id": project, "name": "evil", "config": { "deploy_script": script } });
        let (status, _, told) = whole(town.ann.send(Method::POST, "services", &[], Some(&body)).await).await;
        let told: Value = serde_json::from_str(&told).unwrap();
        assert_eq!((status, &told["field"]), (422, &json!("config.deploy_script")), "{script:?}: {told}");
    }
    assert_eq!(town.everything().await, before, "nothing changed");
    town.server.stop();
}

async fn only_operators_add_executables(kind: Kind) {
    let town = Town::new(kind).await;
    let before = town.everything().await;
    let (project, service) = (town.first.0["projects"][0].as_str(), town.first.0["services"][0].as_str());
    let config = json!({ "config": { "deploy_script": "deploy.sh" } });
    for (method, path, body) in [
        (
            Method::POST,
            "services".to_owned(),
            json!({ "project_id": project, "name": "first", "config": { "deploy_script": "deploy.sh" } }),
        ),
        (Method::PUT, format!("services/{service}"), config),
        (Method::POST, "services/sync".to_owned(), json!({})),
        (Method::DELETE, format!("services/{service}"), json!({})),
    ] {
        let answer = whole(town.alice.send(method.clone(), &path, &[("if-match", "\"1\"")], Some(&body)).await).await;
        assert_eq!(answer.0, 403, "an admin's {method} {path}: {}", answer.2);
    }
    assert_eq!(town.everything().await, before, "nothing changed");
    town.server.stop();
}
