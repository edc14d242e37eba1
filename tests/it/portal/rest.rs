//! Runs over HTTP: started once, followed without a gap, reported to, and by whom.

use std::fs;

use reqwest::Method;
use serde_json::{Value, json};

use super::{Client, Field, HELLO, Server, reported};

#[tokio::test]
async fn the_same_key_starts_one_run() {
    let field = Field::new();
    field.write("hello", json!({ "steps": ["Greet"] }), HELLO);
    let (server, ann) = field.serve().await;
    let start = async || ann.post("services/hello/runs", &[("idempotency-key", "push-7")], &json!({ "context": { "env": {} } })).await;
    let (first, second) = tokio::join!(start(), start());
    assert_eq!((first.0.as_u16(), second.0.as_u16()), (202, 202));
    assert_eq!(first.1["id"], second.1["id"]);
    let run = first.1["id"].as_str().unwrap();
    let view = ann.end_of(run).await;
    assert_eq!((&view["state"], &view["origin"]), (&json!("succeeded"), &json!("api")));
    assert_eq!(start().await.1["id"], first.1["id"], "also when it has ended");
    assert_eq!(reported(&view), ["Greet: succeeded hello"]);
    assert_eq!(ann.log(run).await, "a line\n");
    assert_eq!(ann.get("runs").await.1["items"].as_array().unwrap().len(), 1);
    let log = server.stop();
    let script = log.lines().find(|line| line.contains("script started")).expect("the script's start is logged");
    assert!(script.contains(&format!("run={run}")) && script.contains("step=0") && script.contains("pid="), "{script}");
}

/// Reads at most `most` events from behind `after`, then hangs up.
async fn listen(ann: &Client, run: &str, after: u64, most: usize) -> Vec<Value> {
    let last = after.to_string();
    let mut response = ann.send(Method::GET, &format!("runs/{run}/events"), &[("last-event-id", &last)], None).await;
    if response.status() == 204 {
        return Vec::new();
    }
    assert_eq!(response.status(), 200);
    let (mut text, mut events) = (String::new(), Vec::new());
    while let Some(bytes) = response.chunk().await.unwrap() {
        text.push_str(std::str::from_utf8(&bytes).unwrap());
        while let Some((block, rest)) = text.split_once("\n\n") {
            let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
            if let (Some(id), Some(data)) = (field("id:"), field("data:")) {
                let event: Value = serde_json::from_str(data).unwrap();
                assert_eq!(event["seq"].to_string(), id);
                events.push(event);
            }
            text = rest.to_owned();
            if events.len() == most {
                return events;
            }
        }
    }
    events
}

#[tokio::test]
async fn a_stream_that_breaks_again_and_again_delivers_every_event_once() {
    let field = Field::new();
    let script = "for n in $(seq 1 30); do\necho \"{\\\"name\\\": \\\"s$n\\\", \\\"state\\\": \\\"running\\\"}\"\nsleep 0.02\necho \"{\\\"name\\\": \\\"s$n\\\", \\\"state\\\": \\\"success\\\"}\"\ndone";
    field.write("slow", json!({}), script);
    let (server, ann) = field.serve().await;
    let run = ann.deploy("slow", json!({})).await;
    let whole = tokio::spawn({
        let (ann, run) = (ann.clone(), run.clone());
        async move { listen(&ann, &run, 0, usize::MAX).await }
    });
    let mut pieces: Vec<Value> = Vec::new();
    for most in [1, 2, 5, 7].into_iter().cycle().take(200) {
        let after = pieces.last().map_or(0, |event| event["seq"].as_u64().unwrap());
        let more = listen(&ann, &run, after, most).await;
        if more.is_empty() {
            break;
        }
        pieces.extend(more);
    }
    let view = ann.end_of(&run).await;
    let seqs: Vec<_> = pieces.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, (1..=view["last_seq"].as_u64().unwrap()).collect::<Vec<_>>());
    assert_eq!(whole.await.unwrap(), pieces);
    assert!(pieces.len() > 60 && pieces.last().unwrap()["state"] == "succeeded");
    server.stop();
}

const REPORTER: &str = r#"#!/usr/bin/env python3
import json
import sys
import urllib.error
import urllib.request

with open(sys.argv[2]) as file:
    given = json.load(file)
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def send(method, url, body, token=given["access_token"]):
    headers = {"Authorization": "Bearer " + token, "Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method=method)
    try:
        with opener.open(request, timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def step(report_id, name, **fields):
    print(name, send("POST", given["steps_url"], {"name": name, "report_id": report_id, **fields}), flush=True)


for _ in range(2):
    step("1", "Copy", state="running")
for _ in range(3):
    step("2", "Copy", state="success", message="12 files")
step("3", "Copy", state="success", message="another with the name")
step("4", "Check", error_message="an error", state="success")
step("x" * 300, "Refused", state="success")
print("spoilt", send("POST", given["steps_url"], {"name": "a"}, given["access_token"][:-1]), flush=True)
print("others", send("POST", given["steps_url"].replace("/steps", "/services/sync"), {}), flush=True)
print("finish", send("PUT", given["deployment_finish_url"], {}), flush=True)
with open(given["context"]["env"]["KEEP"], "w") as file:
    json.dump(given, file)
"#;

#[tokio::test]
async fn a_script_reports_over_http_with_the_token_of_its_run() {
    let field = Field::new();
    field.write("remote", json!({ "steps": ["Copy"] }), REPORTER);
    let (server, ann) = field.serve().await;
    let keep = field.file("kept.json");
    let run = ann.deploy("remote", json!({ "KEEP": keep })).await;
    let view = ann.end_of(&run).await;
    let log = ann.log(&run).await;
    assert_eq!(view["state"], "succeeded", "{log}");
    assert_eq!(reported(&view), ["Copy: succeeded 12 files", "Copy: succeeded another with the name", "Check: succeeded an error"]);
    let expected =
        "Copy 204\nCopy 204\nCopy 204\nCopy 204\nCopy 204\nCopy 204\nCheck 204\nRefused 422\nspoilt 401\nothers 403\nfinish 204\n";
    assert_eq!(log, expected);
    let events = listen(&ann, &run, 0, usize::MAX).await;
    let of_copy: Vec<_> = events.iter().filter(|event| event["name"] == "Copy").map(|event| event["state"].as_str().unwrap()).collect();
    assert_eq!(of_copy, ["pending", "running", "succeeded", "succeeded"], "a repeat made no event");

    let kept: Value = serde_json::from_str(&fs::read_to_string(&keep).unwrap()).unwrap();
    let token = kept["access_token"].as_str().unwrap();
    assert!(token.starts_with("eyr_") && kept["steps_url"] == format!("{}/api/v1/steps", server.url));
    let script = Client::with_token(&server.url, token);
    assert_eq!(script.post("steps", &[], &json!({ "name": "late", "state": "success" })).await.0, 401, "the run has ended");
    assert_eq!(script.get(&format!("runs/{run}")).await.0, 401);
    assert_eq!(ann.get(&format!("runs/{run}")).await.1, view);
    let events = serde_json::to_string(&events).unwrap();
    assert!(!events.contains(token) && !view.to_string().contains(token));
    server.stop();
}

#[tokio::test]
async fn a_failure_reported_over_http_fails_the_run() {
    let field = Field::new();
    let failing = REPORTER.replace("\"Check\", error_message=\"an error\", state=\"success\"", "\"Check\", error_message=\"an error\"");
    field.write("remote", json!({}), &failing);
    let (server, ann) = field.serve().await;
    let run = ann.deploy("remote", json!({ "KEEP": field.file("kept.json") })).await;
    let view = ann.end_of(&run).await;
    assert_eq!(view["state"], "failed", "{view}");
    assert!(view["message"].as_str().unwrap().ends_with("reported 1 step failed: Check"), "{view}");
    assert!(reported(&view).contains(&"Check: failed an error".to_owned()));
    server.stop();
}

#[tokio::test]
async fn a_service_token_starts_its_own_deployment_only() {
    let field = Field::new();
    field.write("hello", json!({}), HELLO);
    field.write("other", json!({}), HELLO);
    let (server, ann) = field.serve().await;
    let made = field.eyrie(&["token", "add", "hello", "--origin", "ci", "--days", "1"]);
    made.has(0, &["eyv_"]);
    let ci = Client::with_token(&server.url, made.out.trim());
    let run = ci.deploy("hello", json!({})).await;
    let view = ci.end_of(&run).await;
    assert_eq!((&view["state"], &view["origin"]), (&json!("succeeded"), &json!("ci")));
    assert_eq!(listen(&ci, &run, 0, usize::MAX).await.last().unwrap()["state"], "succeeded");
    let others = ann.deploy("other", json!({})).await;
    ann.end_of(&others).await;
    let start = json!({ "context": {} });
    let (status, missing) = ci.post("services/other/runs", &[], &start).await;
    assert_eq!(
        (status.as_u16(), ci.post("services/no-such/runs", &[], &start).await),
        (404, (status, missing)),
        "what it may not see is not there"
    );
    assert_eq!(ci.get(&format!("runs/{others}")).await.0, 404);
    for (path, body) in [
        ("services/sync", json!({})),
        ("users", json!({ "name": "eve", "password": "long enough it is" })),
        ("projects", json!({ "slug": "own" })),
    ] {
        let (status, answer) = ci.post(path, &[], &body).await;
        assert_eq!(status, 403, "{path}: {answer}");
    }
    assert_eq!(ann.get("runs").await.1["items"].as_array().unwrap().len(), 2);
    server.stop();
}

#[tokio::test]
async fn nothing_secret_is_logged_however_much_is() {
    let field = Field::new();
    field.write("remote", json!({}), REPORTER);
    field.eyrie_with(&["user", "add", "ann", "--operator"], super::PASSWORD).well("added ann\n");
    let server = {
        let mut verbose = field.command(&["serve", "--shutdown-grace", "1"]);
        verbose.env("EYRIE_LOG", "debug");
        Server::start_as(&field, verbose)
    };
    let ann = Client::sign_in(&server.url, "ann").await;
    let run = ann.deploy("remote", json!({ "KEEP": field.file("kept.json"), "SECRET": "swordfish" })).await;
    assert_eq!(ann.end_of(&run).await["state"], "succeeded");
    let refused = ann.http.get(format!("{}/api/v1/runs?token={}", server.url, ann.token)).send().await.unwrap();
    assert_eq!(refused.status(), 400);
    let log = server.stop();
    assert!(log.contains("answered") && log.contains(&run), "{log}");
    assert!(!log.contains("swordfish"));
}
