//! The example services of this repository, as they are.

use std::{fs, path::PathBuf, time::SystemTime};

use eyrie_core::store::DeployedServiceFilter;
use serde_json::json;

use super::{Site, outcome, reported};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_of_them_are_taken() {
    let report = Site::with_examples().await.sync().await;
    let names: Vec<_> = report.synced.iter().map(|service| service.name.as_str()).collect();
    assert_eq!(names, ["ansible-site", "chatty", "fails-midway", "housekeeping", "static-site"]);
    assert!(report.refused.is_empty(), "{:?}", report.refused);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_static_site_is_released_twice() {
    let site = Site::with_examples().await;
    let root = site.world.ground.dir.path().join("site");
    let source = site.world.ground.dir.path().join("source");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("README.md"), "# First\n\nA page.\n").unwrap();
    let env = json!({ "SITE_ROOT": root, "SITE_SOURCE": source });
    let mut releases: Vec<PathBuf> = Vec::new();
    for title in ["First", "Second"] {
        fs::write(source.join("README.md"), format!("# {title}\n\nA page.\n")).unwrap();
        let view = site.deploy_with("static-site", env.clone()).await;
        assert_eq!(outcome(&view), ("succeeded", "succeeded", ""), "{}", site.log(view.run.id).await);
        let names: Vec<_> = view.steps[1..].iter().map(|step| (step.name.as_str(), step.state.as_str())).collect();
        let steps = ["Collect pages", "Build HTML", "Pack release", "Unpack release", "Switch", "Smoke check", "Prune old releases"];
        assert_eq!(names, steps.map(|step| (step, "succeeded")));
        let current = fs::read_link(root.join("current")).unwrap();
        assert!(fs::read_to_string(root.join("current/readme.html")).unwrap().contains(&format!(">{title}</h1>")));
        let made: serde_json::Value = serde_json::from_str(&fs::read_to_string(root.join("current/release.json")).unwrap()).unwrap();
        assert_eq!(made["run_id"], json!(view.run.id));
        assert!(!releases.contains(&current), "the link was switched");
        releases.push(current);
    }
    assert!(releases.iter().all(|release| root.join(release).join("index.html").exists()), "both are kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn housekeeping_leaves_nothing_running() {
    let site = Site::with_examples().await;
    let scratch = site.world.ground.dir.path().join("scratch");
    let env = json!({ "SCRATCH": scratch });
    assert_eq!(site.deploy_with("housekeeping", env.clone()).await.run.state.as_str(), "succeeded");
    for (name, old) in [("old", true), ("new", false)] {
        let file = fs::File::create(scratch.join(name)).unwrap();
        if old {
            file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        }
    }
    let view = site.deploy_with("housekeeping", env).await;
    assert_eq!(outcome(&view), ("succeeded", "succeeded", ""));
    assert_eq!((scratch.join("old").exists(), scratch.join("new").exists()), (false, true));
    assert_eq!(reported(&view)[1], "Remove old files: succeeded - removed 1 files, 0 B");
    let filter = DeployedServiceFilter { deployment: Some(view.run.deployment_id), ..Default::default() };
    assert!(site.world.me.deployed_services(filter, Default::default()).await.unwrap().items.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fails_midway_fails_in_its_third_step() {
    let site = Site::with_examples().await;
    let view = site.deploy("fails-midway").await;
    assert_eq!(outcome(&view), ("failed", "failed", "the script ended with exit code 3; failed: Migrate data"));
    assert_eq!(
        reported(&view),
        [
            "Check settings: succeeded - 2 settings",
            "Back up data: succeeded - 3 tables",
            "Migrate data: failed - migration 0007 failed: column 'owner' exists already",
            "Restart: skipped"
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chatty_is_heard_to_the_last_line() {
    let site = Site::with_examples().await;
    let view = site.deploy("chatty").await;
    assert_eq!(outcome(&view), ("succeeded", "succeeded", ""));
    assert_eq!(reported(&view)[0], "Print lines: succeeded - 100000 lines");
    let log = site.log(view.run.id).await;
    let mut count = 0;
    for (place, line) in log.lines().enumerate() {
        assert_eq!(line, format!("line {:07} of 100000: all is well", place + 1));
        count += 1;
    }
    assert_eq!(count, 100_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ansible_site_has_the_steps_of_its_playbook() {
    let site = Site::with_examples().await;
    let folder = site.world.ground.dir.path().join("ansible-site");
    let view = site.deploy_with("ansible-site", json!({ "ANSIBLE_SITE_DIR": folder })).await;
    let names: Vec<_> = view.steps[1..].iter().map(|step| (step.name.as_str(), step.state.as_str())).collect();
    let [first, rest @ ..] =
        ["Gathering Facts", "Check the settings", "Create the site folder", "Write the page", "Read the page back", "Check the page"];
    let path = std::env::var_os("PATH").unwrap_or_default();
    let (all, begun, others) = match std::env::split_paths(&path).any(|folder| folder.join("ansible-playbook").exists()) {
        true => ("succeeded", "succeeded", "succeeded"),
        false => ("failed", "failed", "skipped"),
    };
    assert_eq!(view.run.state.as_str(), all, "{}", site.log(view.run.id).await);
    assert_eq!(names, [vec![(first, begun)], rest.map(|task| (task, others)).to_vec()].concat());
}
