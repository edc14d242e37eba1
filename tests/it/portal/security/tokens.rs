//! Tokens that are no good: every route refuses them, and nothing happens.

use eyrie_tests::world::Kind;
use reqwest::Method;
use serde_json::json;

use super::{Client, NOBODY, Town, whole};
use crate::engine::on_databases;

on_databases! {
    a_bad_token_opens_nothing;
    a_token_in_the_address_is_refused;
    a_token_ends_and_reaches_no_further_than_it_is_bound;
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

async fn a_token_ends_and_reaches_no_further_than_it_is_bound(kind: Kind) {
    let town = Town::new(kind).await;
    let id = |ids: &super::Ids, kind: &str| ids.0[kind][0].clone();
    let make = async |target: serde_json::Value| {
        let new = json!({ "name": "ci", "target": target, "capabilities": ["deploy"], "origin": "ci", "days": 1 });
        let (status, made) = town.alice.post("tokens", &[], &new).await;
        assert_eq!(status, 201, "{made}");
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        (Client { token: text(&made["secret"]), ..town.ann.clone() }, text(&made["token"]["id"]))
    };
    let start = async |client: &Client, ids: &super::Ids| {
        client.post(&format!("deployments/{}/runs", id(ids, "deployments")), &[], &json!({})).await.0.as_u16()
    };
    // Whatever it is bound to in the first project, it starts runs there and knows nothing of the second.
    let before = town.ann.get(&format!("runs?project={}", id(&town.second, "projects"))).await.1;
    for kind in ["projects", "groups", "deployments", "services"] {
        let (token, token_id) = make(json!({ kind.trim_end_matches('s'): id(&town.first, kind) })).await;
        assert_eq!(start(&token, &town.first).await, 202, "{kind}");
        for (kind, ids) in &town.second.0 {
            let (status, told) = token.get(&format!("{kind}/{}", ids[0])).await;
            assert!(matches!(status.as_u16(), 403..=405), "{kind}: {status} {told}");
        }
        assert_eq!(start(&token, &town.second).await, 404, "{kind}");
        // It can do what it is for and nothing else.
        let run = id(&town.first, "runs");
        let cancel = token.post(&format!("runs/{run}/cancel"), &[], &json!({ "reason": "x" })).await.0;
        let rotate = token.post(&format!("tokens/{token_id}/rotate"), &[], &json!({})).await.0;
        for status in [cancel, rotate] {
            assert!(matches!(status.as_u16(), 403 | 404), "{kind}: {status}");
        }
        // It takes another one's place, and is refused when that has had time enough.
        let (status, next) = town.alice.post(&format!("tokens/{token_id}/rotate"), &[], &json!({ "overlap_seconds": 1 })).await;
        assert_eq!(status, 201, "{next}");
        tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
        assert_eq!(start(&token, &town.first).await, 401, "it has expired");
        let next = Client { token: next["secret"].as_str().unwrap().to_owned(), ..town.ann.clone() };
        assert_eq!(start(&next, &town.first).await, 202);
    }
    assert_eq!(town.ann.get(&format!("runs?project={}", id(&town.second, "projects"))).await.1, before);
    // A discovery token is for discovery, a service token is not.
    let new = json!({ "name": "proxy", "target": { "project": id(&town.first, "projects") }, "origin": "proxy", "days": 1 });
    let (_, discovery) = town.alice.post("discovery/tokens", &[], &new).await;
    let discovery = Client { token: discovery["secret"].as_str().unwrap().to_owned(), ..town.ann.clone() };
    assert_eq!(discovery.get("discovery").await.0, 200);
    assert_eq!(discovery.get("projects").await.0, 401);
    assert_eq!(start(&discovery, &town.first).await, 401);
    // Whoever loses the role loses it for its tokens too; with the password go the sessions.
    let (token, _) = make(json!({ "project": id(&town.first, "projects") })).await;
    let place = format!("projects/{}/members/{}", id(&town.first, "projects"), town.alice_ids[0]);
    let other = json!({ "role": "admin" });
    let bob = town.bob.get("tokens?kind=session").await.1["items"][0]["created_by"].as_str().unwrap().to_owned();
    let resident = format!("projects/{}/members/{bob}", id(&town.first, "projects"));
    assert!(town.ann.send(Method::PUT, &resident, &[], Some(&other)).await.status().is_success());
    assert!(town.ann.send(Method::PUT, &place, &[], Some(&json!({ "role": "user" }))).await.status().is_success());
    assert_eq!(start(&token, &town.first).await, 403);
    assert_eq!(town.alice.get("projects").await.0, 200);
    let user = format!("users/{}", town.alice_ids[0]);
    let version = town.ann.send(Method::GET, &user, &[], None).await.headers()["etag"].to_str().unwrap().to_owned();
    let changed =
        town.ann.send(Method::PATCH, &user, &[("If-Match", &version)], Some(&json!({ "password": "another good password" }))).await;
    assert!(changed.status().is_success(), "{}", changed.status());
    assert_eq!(town.alice.get("projects").await.0, 401);
    town.server.stop();
}
