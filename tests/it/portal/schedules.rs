//! Schedules and times to wait for, on the command line.

use eyrie_core::{Timestamp, clock::later};
use serde_json::json;

use super::{Field, HELLO, commands::remote};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schedules_are_added_listed_and_removed() {
    let field = Field::new();
    field.write("hello", json!({}), HELLO);
    let (server, ann) = field.serve().await;
    for at_server in [true, false] {
        let eyrie = |arguments: &[&str]| if at_server { remote(&field, &ann, arguments) } else { field.eyrie(arguments) };
        let mut add = vec!["schedule", "add", "hello", "nightly", "30 3 * * MON-FRI", "--time-zone", "Europe/Berlin"];
        add.extend(["--missed", "run_once", "--env", "A=b=c"]);
        eyrie(&add).has(0, &["added nightly, first at "]);
        eyrie(&add).has(2, &["eyrie: "]);
        let listed = eyrie(&["schedule", "list", "hello"]);
        listed.has(0, &["nightly", "30 3 * * MON-FRI", "Europe/Berlin", "deploy"]);
        assert_eq!(listed.out.lines().count(), 2, "{listed:?}");
        let deployment = ann.get("services/hello/deployment").await.1["id"].as_str().unwrap().to_owned();
        let schedules = ann.get(&format!("deployments/{deployment}/schedules")).await.1;
        let kept = &schedules["items"][0];
        assert_eq!((&kept["context"], &kept["missed"]), (&json!({ "env": { "A": "b=c" } }), &json!("run_once")));
        eyrie(&["schedule", "add", "hello", "bad", "0 0 30 2 *"]).has(2, &["never comes"]);
        eyrie(&["schedule", "add", "hello", "bad", "@daily", "--time-zone", "Mars"]).has(2, &["IANA"]);
        eyrie(&["schedule", "add", "nonesuch", "bad", "@daily"]).has(2, &["eyrie: "]);
        eyrie(&["schedule", "remove", "hello", "weekly"]).has(2, &["no schedule weekly"]);
        eyrie(&["schedule", "remove", "hello", "nightly"]).well("removed nightly\n");
        assert_eq!(eyrie(&["schedule", "list", "hello"]).out.lines().count(), 1);
    }
    server.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schedules_are_disabled_and_enabled() {
    let field = Field::new();
    field.write("hello", json!({}), HELLO);
    let (server, ann) = field.serve().await;
    let deployment = ann.get("services/hello/deployment").await.1["id"].as_str().unwrap().to_owned();
    for (at_server, name) in [(true, "nightly"), (false, "weekly")] {
        let eyrie = |arguments: &[&str]| if at_server { remote(&field, &ann, arguments) } else { field.eyrie(arguments) };
        let kept = async || {
            let all = ann.get(&format!("deployments/{deployment}/schedules")).await.1["items"].take();
            let one = all.as_array().unwrap().iter().find(|one| one["slug"] == name).unwrap().clone();
            (one["enabled"].clone(), one["next_fire_at"].is_string(), one["version"].clone())
        };
        let line = || eyrie(&["schedule", "list", "hello"]).out.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
        eyrie(&["schedule", "add", "hello", name, "@weekly"]).has(0, &[]);
        eyrie(&["schedule", "disable", "hello", name]).well(&format!("disabled {name}\n"));
        assert_eq!(kept().await, (json!(false), false, json!(2)));
        assert!(line().contains("disabled"), "{}", line());
        let enabled = eyrie(&["schedule", "enable", "hello", name]);
        enabled.has(0, &[&format!("enabled {name}, next at 2")]);
        assert_eq!(kept().await, (json!(true), true, json!(3)));
        assert!(!line().contains("disabled"), "{}", line());
        for change in ["enable", "disable"] {
            eyrie(&["schedule", change, "hello", "monthly"]).has(2, &["hello has no schedule monthly"]);
        }
    }
    server.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deploy_waits_for_its_time() {
    let field = Field::new();
    field.write("hello", json!({}), HELLO);
    let (server, ann) = field.serve().await;
    let at = later(Timestamp::now(), std::time::Duration::from_secs(2));
    let waits = remote(&field, &ann, &["deploy", "hello", "--not-before", &at.to_string(), "--follow"]);
    waits.has(0, &["Greet: succeeded", "run succeeded"]);
    assert!(Timestamp::now() >= at);
    field.eyrie(&["deploy", "hello", "--not-before", "2199-01-01T00:00:00Z"]).has(2, &["not_before"]);
    field.eyrie(&["deploy", "hello", "--not-before", "tomorrow"]).has(2, &["--not-before"]);
    let run = field.eyrie(&["deploy", "hello", "--not-before", &later(at, std::time::Duration::from_secs(3600)).to_string()]);
    let id = run.out.trim().strip_prefix("run ").unwrap();
    field.eyrie(&["cancel", id]).has(0, &["run cancelled"]);
    server.stop();
}
