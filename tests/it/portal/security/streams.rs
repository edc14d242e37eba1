//! Streams of events: only of what one may read, and not for longer than that.

use std::time::{Duration, Instant};

use eyrie_tests::world::Kind;
use reqwest::{Method, Response};
use serde_json::json;

use super::{Client, Town};
use crate::engine::on_databases;

on_databases! {
    a_stream_ends_when_its_reader_may_not_read_any_more;
    a_stream_of_another_project_is_not_there;
}

/// How long a stream may stay open after that.
const LIMIT: Duration = Duration::from_secs(5);

async fn opened(client: &Client, path: &str) -> Response {
    let response = client.send(Method::GET, path, &[], None).await;
    assert_eq!(response.status(), 200, "{path}");
    response
}

/// Waits for the stream's end.
async fn ended(mut stream: Response) {
    while let Ok(Some(_)) = stream.chunk().await {}
}

async fn a_stream_ends_when_its_reader_may_not_read_any_more(kind: Kind) {
    let town = Town::new(kind).await;
    let project = town.first.0["projects"][0].as_str();
    let script = "echo begun\nsleep 300";
    town.field.write("first", json!({}), script);
    let run = town.ann.post(&format!("deployments/{}/runs", town.first.0["deployments"][0]), &[], &json!({})).await.1;
    let run = run["id"].as_str().unwrap();
    town.ann.until(run, "running").await;
    let paths = [format!("runs/{run}/events"), "events".to_owned()];
    let alice = format!("users/{}", town.alice_ids[0]);
    let tag = async || town.ann.get(&alice).await.1["version"].to_string();
    for way in ["removed from the project", "session revoked", "password changed", "disabled"] {
        super::member(&town.ann, project, &town.alice_ids[0], "user").await;
        let session = Client::sign_in(&town.server.url, "alice").await;
        let mut streams = Vec::new();
        for path in &paths {
            streams.push(opened(&session, path).await);
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        let begun = Instant::now();
        let version = format!("\"{}\"", tag().await);
        let answer = match way {
            "removed from the project" => {
                town.ann.send(Method::DELETE, &format!("projects/{project}/members/{}", town.alice_ids[0]), &[], None).await
            }
            "session revoked" => session.send(Method::DELETE, "sessions/current", &[], None).await,
            "password changed" => {
                let body = json!({ "password": super::super::PASSWORD });
                town.ann.send(Method::PATCH, &alice, &[("if-match", &version)], Some(&body)).await
            }
            _ => town.ann.send(Method::PATCH, &alice, &[("if-match", &version)], Some(&json!({ "disabled": true }))).await,
        };
        assert!(answer.status().is_success(), "{way}: {}", answer.text().await.unwrap());
        // Whoever is still signed in keeps the stream over all runs; there is nothing in it any more.
        if way == "removed from the project" {
            streams.pop();
        }
        for stream in streams {
            tokio::time::timeout(LIMIT, ended(stream)).await.unwrap_or_else(|_| panic!("{way}: still open after {:?}", begun.elapsed()));
        }
    }
    town.ann.post(&format!("runs/{run}/cancel"), &[], &json!({})).await;
    town.server.stop();
}

async fn a_stream_of_another_project_is_not_there(kind: Kind) {
    let town = Town::new(kind).await;
    let run = |ids: &super::Ids| format!("runs/{}/events", ids.0["runs"][0]);
    assert_eq!(town.alice.send(Method::GET, &run(&town.second), &[], None).await.status(), 404);
    assert_eq!(town.bob.send(Method::GET, &run(&town.first), &[], None).await.status(), 404);
    // The stream over all runs has the events of one's own only.
    let mut stream = opened(&town.alice, "events").await;
    let start = async |ids: &super::Ids| {
        let (_, run) = town.ann.post(&format!("deployments/{}/runs", ids.0["deployments"][0]), &[], &json!({})).await;
        town.ann.end_of(run["id"].as_str().unwrap()).await;
        run["id"].as_str().unwrap().to_owned()
    };
    let (others, own) = (start(&town.second).await, start(&town.first).await);
    let mut heard = String::new();
    let until = async {
        while !(heard.contains(&own) && heard.contains("succeeded")) {
            heard.push_str(std::str::from_utf8(&stream.chunk().await.unwrap().unwrap()).unwrap());
        }
    };
    tokio::time::timeout(Duration::from_secs(30), until).await.expect("her own run's end");
    assert!(!heard.contains(&others), "{heard}");
    town.server.stop();
}
