//! A server's first start, and a second one in its way.

use reqwest::header;
use serde_json::json;

use super::{Client, Field, HELLO, PASSWORD, Server};

#[tokio::test]
async fn the_setup_token_makes_the_first_operator() {
    let field = Field::new();
    field.write("hello", json!({}), HELLO);
    let server = Server::start(&field);
    let token = server.setup_token().expect("a token");
    let browser = Client::with_token(&server.url, "").http;
    let page = browser.get(format!("{}/setup", server.url)).send().await.unwrap();
    let visit = page.headers()[header::SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
    let page = page.text().await.unwrap();
    let csrf = page.split_once("name=\"csrf\" value=\"").unwrap().1.split('"').next().unwrap().to_owned();
    let send = async |token: &str| {
        let form = format!("csrf={csrf}&setup={token}&name=ann&password={}", PASSWORD.replace(' ', "+"));
        let post = browser.post(format!("{}/setup", server.url)).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        post.header(header::COOKIE, &visit).body(form).send().await.unwrap().status().as_u16()
    };
    assert_eq!(send("guessed").await, 401);
    assert_eq!(send(&token).await, 303);
    assert_eq!(send(&token).await, 404, "it works once");
    let ann = Client::sign_in(&server.url, "ann").await;
    let run = ann.deploy("hello", json!({})).await;
    assert_eq!(ann.end_of(&run).await["state"], "succeeded");
    let log = server.stop();
    assert!(!log.contains(&token));
    let again = Server::start(&field);
    assert_eq!(again.setup_token(), None);
    assert_eq!(Client::sign_in(&again.url, "ann").await.get("projects").await.0, 200);
    again.stop();
}

#[tokio::test]
async fn a_second_server_on_the_same_port_says_so_and_ends() {
    let field = Field::new();
    let server = Server::start(&field);
    let address = server.url.trim_start_matches("http://").to_owned();
    let other = Field::new();
    let second = other.eyrie(&["serve", "--listen", &address]);
    second.has(2, &[&address, "in use", "--listen"]);
    assert!(second.err.starts_with("eyrie: ") && second.err.lines().count() == 1, "{second:?}");
    assert!(!other.file("eyrie.db").exists(), "nothing was begun");
    std::fs::remove_dir(other.services()).unwrap();
    other.eyrie(&["serve", "--listen", "127.0.0.1:0"]).has(2, &["services directory", "is not there"]);
    server.stop();
}
