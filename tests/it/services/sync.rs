//! The services directory: what is taken over, what is refused, and what may be executed.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use eyrie_core::{deployment_type::service::SCRIPT_ACTION, model::Plan};
use eyrie_tests::scripts::write_script;
use serde_json::json;

use super::{Site, outcome, reported};

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_bad_folder_does_not_hold_up_the_others() {
    let site = Site::with(json!({}), "true").await;
    site.write("z", json!({ "scripts": { "stop": "deploy.sh" } }), "true");
    let bad = |name: &str, text: &str| {
        site.write(name, json!({}), "true");
        fs::write(site.file(name).join("config.json"), text).unwrap();
    };
    bad("broken", "{\n  \"description\": \"b\",\n  \"steps\": [}\n");
    bad("field", "{\n  \"description\": \"f\",\n  \"timeout_seconds\": \"soon\"\n}\n");
    bad("nested", "{\n  \"steps\": [\n    {\"name\": \"ok\"}, {\"name\": \"\"}\n  ]\n}\n");
    bad("scripts", "{\"scripts\": {\"explode\": \"x.sh\"}}");
    bad("list", "[]");
    fs::create_dir(site.file("no-config")).unwrap();
    fs::create_dir(site.file(".hidden")).unwrap();
    fs::write(site.file(".hidden/config.json"), "{").unwrap();
    let report = site.sync().await;
    let synced: Vec<_> = report.synced.iter().map(|service| (service.name.as_str(), service.change)).collect();
    assert_eq!(synced, [("x", "created"), ("z", "created")]);
    let refused: Vec<_> = report.refused.iter().map(|(folder, why)| (folder.as_str(), why.as_str())).collect();
    let expected = [
        ("broken", vec!["broken/config.json", "line 3"]),
        ("field", vec!["field/config.json", "timeout_seconds", "line 3"]),
        ("list", vec!["list/config.json", "must be a JSON object"]),
        ("nested", vec!["nested/config.json", "steps[1].name", "line"]),
        ("scripts", vec!["scripts/config.json", "scripts.explode", "line 1"]),
    ];
    assert_eq!(refused.len(), expected.len(), "{refused:?}");
    for ((folder, why), (expected, words)) in refused.iter().zip(expected) {
        assert_eq!(*folder, expected);
        assert!(words.iter().all(|word| why.contains(word)), "{folder}: {why}");
    }
    let again = site.sync().await;
    assert!(again.synced.iter().all(|service| service.change == "unchanged"));
    site.write("x", json!({ "description": "changed" }), "true");
    fs::remove_dir_all(site.file("z")).unwrap();
    let after = site.sync().await;
    assert_eq!((after.synced[0].change, after.missing.as_slice()), ("updated", ["z".to_owned()].as_slice()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_must_be_an_executable_file_inside_the_root() {
    let site = Site::new().await;
    let outside = site.world.ground.dir.path().join("outside.sh");
    write_script(&outside, "touch \"$0.was-executed\"");
    let cases = ["absolute", "absolute-config", "folder", "linked", "missing", "plain", "upwards"];
    for name in cases {
        site.write(name, json!({}), "true");
    }
    let spoil = |name: &str| {
        let script = site.file(name).join("deploy.sh");
        match name {
            "plain" => set_mode(&script, 0o644),
            _ => fs::remove_file(&script).unwrap(),
        }
        match name {
            "absolute" | "linked" => symlink(&outside, &script).unwrap(),
            "folder" => fs::create_dir(&script).unwrap(),
            "absolute-config" => {
                fs::write(site.file("absolute-config/config.json"), json!({ "deploy_script": outside }).to_string()).unwrap()
            }
            "upwards" => fs::write(site.file("upwards/config.json"), r#"{"deploy_script": "../../outside.sh"}"#).unwrap(),
            _ => {}
        }
    };
    let whys = [
        "outside the services root",
        "outside the services root",
        "not a file",
        "outside the services root",
        "cannot be found",
        "not executable",
        "outside the services root",
    ];

    // At the sync: nothing of it becomes a service.
    let good = site.sync().await;
    assert_eq!(good.synced.len(), cases.len());
    cases.iter().for_each(|name| spoil(name));
    for name in cases {
        fs::rename(site.file(name), site.file(&format!("new-{name}"))).unwrap();
    }
    let report = site.sync().await;
    assert_eq!((report.synced.len(), report.missing.len()), (0, cases.len()));
    for ((folder, why), (name, expected)) in report.refused.iter().zip(cases.iter().zip(whys)) {
        assert_eq!(folder, &format!("new-{name}"));
        assert!(why.contains("deploy_script") && why.contains(expected), "{folder}: {why}");
        fs::rename(site.file(folder), site.file(name)).unwrap();
    }

    // At the run: what was well when it was synced is looked at again.
    for (name, expected) in cases.iter().zip(whys).filter(|(name, _)| !matches!(**name, "absolute-config" | "upwards")) {
        let service = eyrie_core::name::ServiceName::new(*name).unwrap();
        let deployment = site.world.me.service_deployment(&service).await.unwrap();
        let run = site.world.me.start_run(deployment.id, Default::default()).await.unwrap();
        let view = site.world.end_of(run.id).await;
        assert_eq!(view.run.state.as_str(), "failed", "{name}");
        assert!(
            view.steps[0].message.contains("deploy_script") && view.steps[0].message.contains(expected),
            "{name}: {}",
            view.steps[0].message
        );
        assert_eq!(view.steps[0].attempt, 1, "another attempt would not mend it");
    }
    for script in [outside.to_str().unwrap(), "../../outside.sh"] {
        let parameters = json!({ "service": "plain", "script": script, "config": {}, "expected": [] });
        let plan = Plan::builder().step("own", SCRIPT_ACTION, |step| step.parameters(parameters)).build().unwrap();
        let view = site.world.run(plan).await;
        assert_eq!(view.run.state.as_str(), "failed");
        assert!(view.steps[0].message.contains("outside the services root"), "{}", view.steps[0].message);
    }
    assert!(!outside.with_extension("sh.was-executed").exists());
    site.assert_no_context_is_left();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_without_an_interpreter_fails_its_run() {
    let site = Site::with(json!({}), "#!/no/such/interpreter\n").await;
    let view = site.deploy("x").await;
    assert_eq!(view.run.state.as_str(), "failed", "{view:?}");
    site.assert_no_context_is_left();
}

/// As fastdeploy's own services are written.
const DUMMY: &str = r#"#!/usr/bin/env python3
import argparse
import json
import sys
import time


def emit(name, **fields):
    print(json.dumps({"name": name, "started": time.time(), "finished": None, **fields}), flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", required=True)
    with open(parser.parse_args().config) as file:
        config = json.load(file)
    service = config["deploy_script"].split("/")[0]
    env = config["context"]["env"]
    print("deploying", service)
    for step in config["config"]["steps"]:
        emit(step["name"], state="running", error_message="")
        emit(step["name"], state="success", message=f"{service} {env['BRANCH']}", error_message="")
    print("to stderr", file=sys.stderr)


main()
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_services_directory_of_fastdeploy_runs_unchanged() {
    let site = Site::new().await;
    let folder = site.file("test_dummy");
    fs::create_dir(&folder).unwrap();
    fs::write(
        folder.join("config.json"),
        r#"{"deploy_script": "deploy.py", "steps": [{"name": "Gather"}, {"name": "Copy files"}], "name": "test_dummy"}"#,
    )
    .unwrap();
    write_script(&folder.join("deploy.py"), DUMMY);
    let report = site.sync().await;
    assert_eq!((report.synced[0].name.as_str(), report.refused.len()), ("test_dummy", 0));
    let view = site.deploy_with("test_dummy", json!({ "BRANCH": "main" })).await;
    assert_eq!(outcome(&view), ("succeeded", "succeeded", ""));
    assert_eq!(reported(&view), ["Gather: succeeded - test_dummy main", "Copy files: succeeded - test_dummy main"]);
    let log = site.log(view.run.id).await;
    assert!(log.contains("deploying test_dummy\n") && log.contains("to stderr\n"), "{log}");
}
