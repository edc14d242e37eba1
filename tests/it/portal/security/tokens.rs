//! Tokens that are no good: every route refuses them, and nothing happens.

use eyrie_tests::world::Kind;
use reqwest::Method;
use serde_json::json;

use super::{Client, NOBODY, Town, whole};
use crate::engine::on_databases;

on_databases! {
    a_bad_token_opens_nothing;
    a_token_in_the_address_is_refused;
}

async fn a_bad_token_opens_nothing(kind: Kind) {
    let town = Town::new(kind).await;
    let project = town.first.0["projects"][0].as_str();
    let made = async || {
        let new = json!({ "name": "ci", "target": { "project": project }, "origin": "ci", "days": 1 });
        let (status, made) = town.ann.post("tokens", &[], &new).await;
        assert_eq!(status, 201);
        (made["secret"].as_str().unwrap().to_owned(), made["token"]["id"].as_str().unwrap().to_owned())
    };
    let (revoked, revoked_id) = made().await;
    assert_eq!(town.ann.send(Method::DELETE, &format!("tokens/{revoked_id}"), &[], None).await.status(), 204);
    let ended = Client::sign_in(&town.server.url, "alice").await;
    assert_eq!(ended.send(Method::DELETE, "sessions/current", &[], None).await.status(), 204);
    let (good, _) = made().await;
    let spoiled = good.replace("eyv_", "eys_");
    let before = town.everything().await;
    let bad = ["", "garbage", &revoked, &ended.token, &spoiled, &format!("{good}x")];
    let mut refused = 0;
    for (method, path) in town.operations().await {
        let path = path.replace("{step}", "0").replace("{id}", NOBODY).replace("{user_id}", NOBODY);
        let path = path.trim_start_matches("/api/v1/");
        if matches!(path, "openapi.json" | "sessions" | "/healthz" | "/readyz" | "/metrics") {
            continue;
        }
        for token in bad {
            let client = Client { token: token.to_owned(), ..town.ann.clone() };
            let (status, _, told) = whole(client.send(method.clone(), path, &[], Some(&json!({}))).await).await;
            assert_eq!(status, 401, "{method} {path} with {token:?}: {told}");
            refused += 1;
        }
    }
    assert!(refused > 6 * 60, "{refused}");
    assert_eq!(town.everything().await, before, "nothing changed");
    town.server.stop();
}

async fn a_token_in_the_address_is_refused(kind: Kind) {
    let town = Town::new(kind).await;
    let token = town.alice.token.as_str();
    let stranger = Client::with_token(&town.server.url, "");
    for (path, client) in [("projects?token=", &town.alice), ("projects?access_token=", &stranger), ("runs?limit=1&token=", &stranger)] {
        let answer = client.send(Method::GET, &format!("{path}{token}"), &[], None).await;
        assert_eq!(answer.status(), 400, "{path}");
    }
    assert!(!town.server.stop().contains(token));
}
