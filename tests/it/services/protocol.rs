//! Lines become steps and log; the exit code decides.

use std::time::Duration;

use eyrie_core::model::RunEventBody;
use eyrie_tests::scripts::wait_until;
use serde_json::json;

use super::{Site, outcome, reported};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_become_steps_and_everything_else_log() {
    let script = r#"
echo 'first, some log'
echo '{"name": "build", "state": "running"}'
echo '{"name": "build", "state": "success", "message": "12 files"}'
echo '{"name": "copy", "state": "success", "message": "one"}'
echo '{"name": "copy", "state": "success", "message": "two"}'
echo '{"name": "new", "state": "success"}'
echo '{"name": "odd", "state": "success", "message": "fine", "error_message": "but look"}'
echo '{"state": "success"}'
echo '{"name": "build", "state": "splendid"}'
echo '["name"]'
echo 'an error line' >&2
printf 'no line end'
"#;
    let site = Site::with(json!({ "steps": [{ "name": "build" }, { "name": "copy" }, { "name": "never" }] }), script).await;
    let view = site.deploy("x").await;
    assert_eq!(outcome(&view), ("succeeded", "succeeded", ""));
    assert_eq!(
        reported(&view),
        [
            "build: succeeded - 12 files",
            "copy: succeeded - one",
            "never: skipped",
            "copy: succeeded - two",
            "new: succeeded",
            "odd: succeeded - but look"
        ]
    );
    let log = site.log(view.run.id).await;
    let mut lines: Vec<_> = log.lines().collect();
    let place = lines.iter().position(|line| *line == "an error line").expect("stderr is log");
    lines.remove(place);
    assert_eq!(
        lines,
        ["first, some log", r#"{"state": "success"}"#, r#"{"name": "build", "state": "splendid"}"#, r#"["name"]"#, "no line end"]
    );
    let events = site.world.events_of(view.run.id).await;
    let of_build: Vec<_> = events
        .iter()
        .filter_map(|event| match &event.body {
            RunEventBody::Step { name, state, .. } if name.as_str() == "build" => Some(state.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(of_build, ["pending", "running", "succeeded"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_unfinished_at_the_end_follows_the_exit_code() {
    let lines = r#"
echo '{"name": "waits", "state": "pending", "message": "soon"}'
echo '{"name": "says", "state": "running", "message": "half way"}'
echo '{"name": "runs", "state": "running"}'
"#;
    let site = Site::with(json!({}), lines).await;
    let view = site.deploy("x").await;
    assert_eq!(outcome(&view), ("succeeded", "succeeded", ""));
    let end = "runs: succeeded - ended with the script, which succeeded";
    assert_eq!(reported(&view), ["Unknown step: skipped", "waits: skipped - soon", "says: succeeded - half way", end]);
    site.write("x", json!({}), &format!("{lines}\nexit 4"));
    let view = site.deploy("x").await;
    assert_eq!(outcome(&view), ("failed", "failed", "the script ended with exit code 4"));
    assert_eq!(view.run.message, "step \"deploy script\" failed: the script ended with exit code 4");
    assert_eq!(
        reported(&view),
        ["says: failed - half way", "runs: failed - the script ended during this step", "waits: skipped - soon"],
        "expected were the two that succeeded before"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exit_code_fails_a_run_whose_steps_all_succeeded() {
    let site = Site::with(json!({ "steps": ["a"] }), r#"echo '{"name": "a", "state": "success"}'; exit 7"#).await;
    let view = site.deploy("x").await;
    assert_eq!(outcome(&view), ("failed", "failed", "the script ended with exit code 7"));
    assert_eq!(reported(&view), ["a: succeeded"]);
    site.write("x", json!({ "steps": ["a"] }), "kill -SEGV $$");
    let view = site.deploy("x").await;
    assert_eq!(outcome(&view).2, "the script ended with killed by signal 11 (SIGSEGV)");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_step_fails_the_run_of_a_script_that_ends_well() {
    let script = r#"
echo '{"name": "a", "state": "failure", "error_message": "no room"}'
echo '{"name": "b", "state": "success"}'
echo '{"name": "c", "error_message": "an error without a state is a failure"}'
"#;
    let site = Site::with(json!({ "steps": ["a", "b"] }), script).await;
    let view = site.deploy("x").await;
    assert_eq!(outcome(&view), ("failed", "failed", "the script ended well, but reported 2 steps failed: a"));
    assert_eq!(reported(&view), ["a: failed - no room", "b: succeeded", "c: failed - an error without a state is a failure"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_message_is_cut_and_is_whole_in_the_log() {
    let script = r#"#!/usr/bin/env python3
import json
for name, count in ("short", 4096), ("long", 5000):
    print(json.dumps({"name": name, "state": "success", "message": "é" * count}))
"#;
    let site = Site::with(json!({ "steps": ["short", "long"] }), script).await;
    let view = site.deploy("x").await;
    assert_eq!(view.run.state.as_str(), "succeeded");
    let whole = "é".repeat(4096);
    assert!(view.steps[1].message == whole, "4096 characters are kept");
    assert_eq!(view.steps[2].message.chars().count(), 4096);
    assert!(whole.starts_with(view.steps[2].message.trim_end_matches('…')));
    assert_eq!(site.log(view.run.id).await, format!("long: {}\n", "é".repeat(5000)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_only_holds_a_report_somewhere_is_log() {
    let script = r#"
head -c 65536 /dev/zero | tr '\0' x
echo '{"name": "fake", "state": "failure"}'
echo '{"name": "real", "state": "success"}'
"#;
    let site = Site::with(json!({}), script).await;
    let view = site.deploy("x").await;
    assert_eq!(outcome(&view), ("succeeded", "succeeded", ""));
    assert_eq!(reported(&view), ["Unknown step: skipped", "real: succeeded"]);
    let log = site.log(view.run.id).await;
    assert!(log.ends_with("xx{\"name\": \"fake\", \"state\": \"failure\"}\n") && log.len() == 65536 + 37, "{} bytes", log.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expected_steps_come_from_the_last_success_then_the_config_then_the_playbook() {
    let says =
        |names: &[&str]| names.iter().map(|name| format!("echo '{{\"name\": \"{name}\", \"state\": \"success\"}}'\n")).collect::<String>();
    let config = json!({ "steps": [{ "name": "a" }, { "name": "b" }], "ansible_playbook": "play.yml" });
    let site = Site::with(config.clone(), &says(&["b", "c", "b"])).await;
    std::fs::write(site.file("x/play.yml"), "- hosts: all\n  tasks:\n    - name: Install\n      ping:\n    - name: Start\n      ping:\n")
        .unwrap();
    assert_eq!(reported(&site.deploy("x").await), ["a: skipped", "b: succeeded", "c: succeeded", "b: succeeded"], "the config's");
    site.write("x", config.clone(), "exit 1");
    assert_eq!(reported(&site.deploy("x").await), ["b: skipped", "c: skipped", "b: skipped"], "the last successful run's");
    site.write("x", config, &says(&["b"]));
    assert_eq!(reported(&site.deploy("x").await), ["b: succeeded", "c: skipped", "b: skipped"], "not those of a failed run");
    assert_eq!(reported(&site.deploy("x").await), ["b: succeeded"]);
    site.write("play", json!({ "ansible_playbook": "play.yml" }), "true");
    std::fs::copy(site.file("x/play.yml"), site.file("play/play.yml")).unwrap();
    assert_eq!(reported(&site.deploy("play").await), ["Gathering Facts: skipped", "Install: skipped", "Start: skipped"]);
    site.write("none", json!({}), "true");
    assert_eq!(reported(&site.deploy("none").await), ["Unknown step: skipped"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_are_no_text_are_replaced() {
    let script = r#"
printf 'a\377\376b\n'
printf '{"name": "s\377p", "state": "success", "message": "m\300"}\n'
printf '\000\n'
"#;
    let site = Site::with(json!({}), script).await;
    let view = site.deploy("x").await;
    assert_eq!(reported(&view), ["Unknown step: skipped", "s\u{fffd}p: succeeded - m\u{fffd}"]);
    assert_eq!(site.log(view.run.id).await, "a\u{fffd}\u{fffd}b\n\0\n");
}

/// Three more than are recorded: the bound is said once, the run ends, and with the script's exit code.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_steps_are_recorded_and_no_more() {
    let script = r#"seq 1 10003 | sed 's/.*/{"name": "s&", "state": "success"}/'"#;
    let site = Site::with(json!({ "steps": ["s1"] }), script).await;
    let run = site.start("x").await;
    let ended = async || site.world.me.run(run).await.unwrap().run.state.is_terminal();
    wait_until(Duration::from_secs(240), "the run's end", ended).await;
    let view = site.world.me.run(run).await.unwrap();
    assert_eq!(outcome(&view), ("succeeded", "succeeded", ""));
    assert_eq!(view.steps.len(), 1 + 10_000);
    assert!(view.steps.iter().all(|step| step.state.as_str() == "succeeded"));
    assert_eq!(view.steps[10_000].name.as_str(), "s10000");
    assert_eq!(site.log(run).await, "eyrie: a step can report at most 10000 steps; further ones are not recorded\n");
}
