//! The first account, and guessing at passwords.

use eyrie_tests::world::Kind;
use reqwest::header;
use serde_json::json;

use super::{Client, Field, Server, Town};
use crate::engine::on_databases;

on_databases! {
    whoever_comes_first_is_nobody;
    guesses_tell_nothing;
    guesses_cost_time_after_a_restart_too;
}

async fn whoever_comes_first_is_nobody(kind: Kind) {
    let field = if kind == Kind::Postgres { Field::on_postgres().await } else { Field::new() };
    let server = Server::start(&field);
    let stranger = Client::with_token(&server.url, "");
    let name = json!({ "name": "eve", "password": "long enough it is", "operator": true });
    assert_eq!(stranger.post("users", &[], &name).await.0, 401);
    assert_eq!(stranger.post("sessions", &[], &json!({ "name": "eve", "password": "long enough it is" })).await.0, 401);
    let page = stranger.http.get(format!("{}/setup", server.url)).send().await.unwrap();
    let visit = page.headers()[header::SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
    let page = page.text().await.unwrap();
    assert!(!page.contains(&server.setup_token().expect("the server's owner has a token")));
    let csrf = page.split_once("name=\"csrf\" value=\"").unwrap().1.split('"').next().unwrap();
    for setup in ["", "guessed", csrf] {
        let form = format!("csrf={csrf}&setup={setup}&name=eve&password=long+enough+it+is");
        let post = stranger.http.post(format!("{}/setup", server.url)).header(header::COOKIE, &visit);
        let answer = post.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(form).send().await.unwrap();
        assert!(matches!(answer.status().as_u16(), 401 | 429), "{setup:?}: {}", answer.status());
    }
    assert_eq!(stranger.post("sessions", &[], &json!({ "name": "eve", "password": "long enough it is" })).await.0, 401, "nobody was made");
    server.stop();
}

async fn guesses_tell_nothing(kind: Kind) {
    let town = Town::new(kind).await;
    let stranger = Client::with_token(&town.server.url, "");
    let guess = async |name: &str| {
        super::whole(
            stranger
                .http
                .post(format!("{}/api/v1/sessions", town.server.url))
                .json(&json!({ "name": name, "password": "wrong wrong wrong" }))
                .send()
                .await
                .unwrap(),
        )
        .await
    };
    let (known, unknown) = (guess("alice").await, guess("nonesuch").await);
    assert_eq!((known.0, &known), (401, &unknown), "whether there is such a user cannot be told");
    town.server.stop();
}

async fn guesses_cost_time_after_a_restart_too(kind: Kind) {
    let town = Town::new(kind).await;
    let guess = async |url: &str, name: &str, password: &str| {
        let stranger = Client::with_token(url, "");
        let answer = stranger.http.post(format!("{url}/api/v1/sessions")).json(&json!({ "name": name, "password": password }));
        let answer = answer.send().await.unwrap();
        let wait = answer.headers().get(header::RETRY_AFTER).map(|wait| wait.to_str().unwrap().parse::<u64>().unwrap());
        (answer.status().as_u16(), wait, answer.text().await.unwrap())
    };
    // Until it costs some seconds, so that none of what follows takes longer than that.
    let (mut failed, mut waits) = (0, 0);
    let told = loop {
        let (status, wait, told) = guess(&town.server.url, "alice", "wrong wrong wrong").await;
        match (status, wait) {
            (401, None) => failed += 1,
            (429, Some(wait @ 9..=31)) => break (wait, told),
            (429, Some(_)) => {
                waits += 1;
                tokio::time::sleep(std::time::Duration::from_millis(250)).await;
            }
            other => panic!("{other:?}: {told}"),
        }
    };
    assert!((8..=10).contains(&failed) && waits > 0, "{failed} failures, {waits} waits");
    assert!(told.1.contains("too many failed attempts") && !told.1.contains("alice"), "{told:?}");
    let (status, _, right) = guess(&town.server.url, "alice", super::super::PASSWORD).await;
    assert_eq!(status, 429, "the right password says no more than a wrong one: {right}");
    // Others' names push nothing out: from here they wait soon, and are not kept one by one.
    let mut flood = 0;
    for other in 0..200 {
        let (status, ..) = guess(&town.server.url, &format!("nobody{other}"), "x").await;
        assert!(matches!(status, 401 | 429), "{status}");
        flood += u32::from(status == 429);
    }
    assert!(flood > 100, "one address tries as often as it likes");
    assert_eq!(guess(&town.server.url, "alice", "wrong wrong wrong").await.0, 429);
    assert_eq!(town.ann.get("projects").await.0, 200, "whoever is signed in does not wait");

    let entries = town.ann.get("audit?limit=200").await.1;
    let refused: Vec<_> = entries["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["action"] == "session.begin" && entry["verdict"] == "refused")
        .collect();
    assert!((2..=8).contains(&refused.len()), "one line a minute for alice, and one for all who are nobody: {refused:?}");
    assert!(!format!("{refused:?}").contains("nobody1"), "names that nobody has stand nowhere");

    town.server.stop();
    let server = Server::start(&town.field);
    assert_eq!(guess(&server.url, "alice", "wrong wrong wrong").await.0, 429, "a restart forgives nothing");
    server.stop();
}
