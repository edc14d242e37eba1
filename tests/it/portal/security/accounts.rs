//! The first account, and guessing at passwords.

use eyrie_tests::world::Kind;
use reqwest::header;
use serde_json::json;

use super::{Client, Field, Server, Town};
use crate::engine::on_databases;

on_databases! {
    whoever_comes_first_is_nobody;
    guesses_tell_nothing;
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
