//! What a deploy leaves: a release, and something that runs.

use eyrie_core::{
    ErrorKind,
    id::DeploymentId,
    model::{DeployedService, RunKind},
    platform::StartRun,
    store::DeployedServiceFilter,
};
use eyrie_tests::scripts::write_script;
use serde_json::json;

use super::{Site, outcome};

async fn deployed(site: &Site, deployment: DeploymentId) -> Vec<DeployedService> {
    let filter = DeployedServiceFilter { deployment: Some(deployment), ..Default::default() };
    site.world.me.deployed_services(filter, Default::default()).await.unwrap().items
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_success_makes_a_release_and_stop_stops_it() {
    let config = json!({ "scripts": { "stop": "stop.sh" } });
    let site = Site::with(config.clone(), "true").await;
    write_script(&site.file("x/stop.sh"), "grep -o '\"kind\":\"[a-z]*\"' \"$2\"");
    let view = site.deploy_with("x", json!({ "TAG": "v1" })).await;
    let deployment = view.run.deployment_id;
    let release = site.world.me.release(view.run.release_id.expect("a release")).await.unwrap();
    assert_eq!((release.run_id, release.deployment_id, release.plan_hash), (view.run.id, deployment, view.run.plan_hash));
    assert_eq!(release.config, json!({ "service": "x", "config": config, "context": { "env": { "TAG": "v1" } }, "settings": {} }));
    let first = deployed(&site, deployment).await;
    assert_eq!(first.len(), 1);
    assert_eq!((first[0].state.as_str(), first[0].release_id, first[0].run_id), ("running", release.id, view.run.id));

    let run = site.start_as("x", RunKind::Stop, json!({})).await;
    let stop = site.world.end_of(run).await;
    assert_eq!(outcome(&stop), ("succeeded", "succeeded", ""));
    assert_eq!((stop.steps[0].name.as_str(), stop.run.release_id), ("stop script", None));
    assert_eq!(site.log(run).await, "\"kind\":\"stop\"\n");
    let stopped = deployed(&site, deployment).await;
    assert_eq!((stopped.len(), stopped[0].id, stopped[0].state.as_str(), stopped[0].release_id), (1, first[0].id, "stopped", release.id));

    let second = site.deploy("x").await;
    let again = deployed(&site, deployment).await;
    assert_eq!((again.len(), again[0].id, again[0].state.as_str()), (1, first[0].id, "running"));
    assert_eq!(Some(again[0].release_id), second.run.release_id);
    assert_eq!(site.world.me.releases(deployment, Default::default()).await.unwrap().items.len(), 2);
    assert_eq!(site.world.me.release(release.id).await.unwrap(), release, "a release stays as it was");

    site.write("x", config, "exit 1");
    let failed = site.deploy("x").await;
    assert_eq!(failed.run.release_id, None);
    assert_eq!(deployed(&site, deployment).await[0].state.as_str(), "unknown", "nobody knows what a failed deploy has left");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kind_without_a_script_is_refused() {
    let site = Site::with(json!({}), "true").await;
    let deployment = site.deployment("x").await;
    let refused = site.world.me.start_run(deployment, StartRun { kind: RunKind::Stop, ..StartRun::default() }).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    assert!(refused.to_string().contains("scripts.stop"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_leaves_nothing_running_makes_a_release_only() {
    let site = Site::with(json!({ "running": false }), "true").await;
    let view = site.deploy("x").await;
    assert!(view.run.release_id.is_some());
    assert!(deployed(&site, view.run.deployment_id).await.is_empty());
}
