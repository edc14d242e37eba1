//! A server that goes away while a script runs, and the one after it.

use std::{
    fs,
    time::{Duration, Instant},
};

use eyrie_tests::scripts::{lives, pids, wait_until};
use serde_json::json;

use super::{Client, Field, Server, reported};

/// Takes long the first time; says who it is.
const TWICE: &str = r#"
echo '{"name": "Work", "state": "running"}'
[ -e again ] && { echo '{"name": "Work", "state": "success"}'; exit 0; }
touch again
sleep 300 &
echo "pid $!"
echo "pid $$"
wait
"#;

async fn begun(field: &Field) -> (Server, Client, String, Vec<u32>) {
    field.write("twice", json!({ "steps": ["Work", "Rest"] }), TWICE);
    let (server, ann) = field.serve().await;
    let run = ann.deploy("twice", json!({})).await;
    wait_until(Duration::from_secs(30), "the script's processes", async || pids(&ann.log(&run).await, "pid").len() == 2).await;
    let processes = pids(&ann.log(&run).await, "pid");
    assert!(processes.iter().all(|process| lives(*process)));
    (server, ann, run, processes)
}

async fn finish(field: &Field, ann: &Client, run: &str) -> String {
    let server = Server::start(field);
    let ann = Client { url: server.url.clone(), ..ann.clone() };
    let view = ann.end_of(run).await;
    assert_eq!((&view["state"], &view["steps"][0]["attempt"], &view["epoch"]), (&json!("succeeded"), &json!(2), &json!(2)), "{view}");
    assert_eq!(reported(&view), ["Work: failed interrupted", "Rest: skipped", "Work: succeeded", "Rest: skipped"]);
    server.stop()
}

#[tokio::test]
async fn a_stopped_server_hands_its_run_over() {
    let field = Field::new();
    let (server, ann, run, processes) = begun(&field).await;
    let stopping = Instant::now();
    let log = server.stop();
    let took = stopping.elapsed();
    assert!((Duration::from_secs(1)..Duration::from_secs(15)).contains(&took), "a grace of 1 s, then TERM: {took:?}");
    assert!(!processes.iter().any(|process| lives(*process)));
    assert!(log.contains("running scripts have 1 s to end"), "{log}");
    let view = field.look().await.run(run.parse().unwrap()).await.unwrap();
    assert_eq!((view.run.state.as_str(), view.run.worker_id), ("running", None));
    let step = &view.steps[0];
    assert_eq!((step.state.as_str(), step.attempt), ("pending", 1));
    assert_eq!(step.message, "stopped; the script ended with killed by signal 15 (SIGTERM)");
    assert_eq!((view.steps[1].state.as_str(), view.steps[1].message.as_str()), ("failed", "interrupted"));
    let begun = Instant::now();
    finish(&field, &ann, &run).await;
    assert!(begun.elapsed() < Duration::from_secs(12), "handed back, not left to a lease: {:?}", begun.elapsed());
}

#[tokio::test]
async fn a_killed_servers_script_is_ended_and_its_run_finished() {
    let field = Field::new();
    let (server, ann, run, processes) = begun(&field).await;
    server.kill();
    assert!(processes.iter().all(|process| lives(*process)), "a script outlives its server");
    let log = finish(&field, &ann, &run).await;
    assert!(!processes.iter().any(|process| lives(*process)), "the old group was ended");
    let ended = log.lines().find(|line| line.contains("a script whose worker had died was ended")).expect("it is said");
    assert!(ended.contains(&format!("pid={}", processes[1])), "{ended}");
    let left = fs::read_dir(std::env::temp_dir()).unwrap().filter_map(|entry| fs::read_to_string(entry.ok()?.path()).ok());
    assert!(!left.into_iter().any(|text| text.contains(&run) && text.contains("access_token")), "its context file is gone");
}

/// Reports over HTTP once the server has been told to stop.
const LATE: &str = r#"#!/usr/bin/env python3
import json
import os
import sys
import time
import urllib.request

with open(sys.argv[2]) as file:
    given = json.load(file)
print("begun", flush=True)
while not os.path.exists("stopping"):
    time.sleep(0.02)
body = json.dumps({"name": "Late", "state": "success"}).encode()
headers = {"Authorization": "Bearer " + given["access_token"], "Content-Type": "application/json"}
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
print(opener.open(urllib.request.Request(given["steps_url"], body, headers), timeout=10).status)
"#;

#[tokio::test]
async fn a_script_can_report_while_the_server_waits_for_it() {
    let field = Field::new();
    field.write("late", json!({ "steps": ["Late"] }), LATE);
    field.eyrie_with(&["user", "add", "ann", "--operator"], super::PASSWORD).well("added ann\n");
    let server = Server::start_as(&field, field.command(&["serve", "--shutdown-grace", "30"]));
    let ann = Client::sign_in(&server.url, "ann").await;
    let run = ann.deploy("late", json!({})).await;
    wait_until(Duration::from_secs(30), "the script's first line", async || ann.log(&run).await == "begun\n").await;
    super::signal("TERM", server.child.id());
    wait_until(Duration::from_secs(10), "the server's word", async || server.log().contains("running scripts have 30 s to end")).await;
    fs::write(field.services().join("late/stopping"), "").unwrap();
    let stopping = Instant::now();
    server.stopped();
    assert!(stopping.elapsed() < Duration::from_secs(20), "it ends with its last script: {:?}", stopping.elapsed());
    let view = field.look().await.run(run.parse().unwrap()).await.unwrap();
    assert_eq!((view.run.state.as_str(), view.steps[1].state.as_str()), ("succeeded", "succeeded"), "{}", view.run.message);
    assert_eq!(view.steps.len(), 2);
}
