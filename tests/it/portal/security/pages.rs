//! Browsers: forms from elsewhere, markup in messages, and what the pages' headers allow.

use eyrie_tests::world::Kind;
use reqwest::header;
use serde_json::json;

use super::Town;
use crate::engine::on_databases;

on_databases! {
    a_form_from_elsewhere_is_refused;
    markup_in_messages_is_text;
}

async fn a_form_from_elsewhere_is_refused(kind: Kind) {
    let town = Town::new(kind).await;
    let before = town.everything().await;
    let deployment = &town.first.0["deployments"][0];
    let cookie = format!("eyrie_session={}", town.alice.token);
    let page = town.alice.http.get(format!("{}/deployments/{deployment}", town.server.url)).header(header::COOKIE, &cookie).send().await;
    let page = page.unwrap().text().await.unwrap();
    let csrf = page.split_once("name=\"csrf\" value=\"").expect("a form").1.split('"').next().unwrap();
    let send = async |csrf: &str, headers: &[(&str, &str)]| {
        let mut post = town.alice.http.post(format!("{}/deployments/{deployment}/runs", town.server.url)).header(header::COOKIE, &cookie);
        for (name, value) in headers {
            post = post.header(*name, *value);
        }
        let form = format!("csrf={csrf}&kind=deploy");
        post.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(form).send().await.unwrap().status().as_u16()
    };
    assert_eq!(send(csrf, &[("origin", "https://evil.example")]).await, 403);
    assert_eq!(send(csrf, &[("sec-fetch-site", "cross-site")]).await, 403);
    assert_eq!(send("guessed", &[]).await, 403);
    assert_eq!(send("", &[]).await, 403);
    // The interface for programs takes no cookies at all.
    let api = town.alice.http.post(format!("{}/api/v1/deployments/{deployment}/runs", town.server.url)).header(header::COOKIE, &cookie);
    assert_eq!(api.json(&json!({})).send().await.unwrap().status(), 401);
    assert_eq!(town.everything().await, before, "nothing changed");
    assert_eq!(send(csrf, &[("sec-fetch-site", "same-origin")]).await, 303, "the same form from its page does start a run");
    town.server.stop();
}

async fn markup_in_messages_is_text(kind: Kind) {
    let town = Town::new(kind).await;
    let evil = "<script>alert(1)</script><a href=\\\"javascript:alert(2)\\\">x</a>";
    let line = format!("{{\"name\": \"{evil}\", \"state\": \"failure\", \"message\": \"{evil}\"}}");
    town.field.write("first", json!({}), &format!("cat <<'END'\n{line}\n\u{1b}[31m<img src=x onerror=alert(3)>\nEND\nexit 3"));
    let (_, run) = town.ann.post(&format!("deployments/{}/runs", town.first.0["deployments"][0]), &[], &json!({})).await;
    let run = run["id"].as_str().unwrap();
    assert_eq!(town.ann.end_of(run).await["state"], "failed");
    let cookie = format!("eyrie_session={}", town.alice.token);
    for path in [format!("runs/{run}"), format!("deployments/{}", town.first.0["deployments"][0]), "runs".to_owned()] {
        let page = town.alice.http.get(format!("{}/{path}", town.server.url)).header(header::COOKIE, &cookie).send().await.unwrap();
        assert_eq!(page.status(), 200, "{path}");
        let policy = page.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
        assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe"), "{policy}");
        let page = page.text().await.unwrap();
        assert!(!page.contains("<script>alert") && !page.contains("<img src=x") && !page.contains("href=\"javascript"), "{path}: {page}");
        if path.ends_with(run) {
            assert!(page.contains("&lt;script&gt;alert(1)"), "{page}");
        }
        assert!(!page.contains('\u{1b}'), "{path}");
    }
    town.server.stop();
}
