//! The document holds every route, and nothing in it is open that should not be.

use std::collections::BTreeSet;

use eyrie_core::model::{Plan, Principal, Role};
use serde_json::{Value, json};

use crate::site::Site;

const ID: &str = "01234567-89ab-7cde-8f01-23456789abcd";

/// Method, path and whether it needs no token.
async fn operations(site: &Site) -> Vec<(String, String, bool)> {
    let document = site.ask("GET", "/api/v1/openapi.json", &[], "").await.json();
    let mut found = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let public =
                operation["security"].as_array().is_some_and(|ways| ways.iter().any(|way| way == &Value::Object(Default::default())));
            found.push((method.to_uppercase(), path.clone(), public));
        }
    }
    found
}

#[tokio::test]
async fn every_operation_that_is_not_public_refuses_whoever_is_unknown() {
    let (site, ann) = Site::with_ann().await;
    let spoiled = format!("Bearer {}", ann.replace("eys_", "eyv_"));
    let cookie = format!("eyrie_session={ann}");
    let mut guarded = 0;
    for (method, path, public) in operations(&site).await {
        if public {
            continue;
        }
        guarded += 1;
        let path = path
            .replace("{id}", ID)
            .replace("{user_id}", ID)
            .replace("{project_id}", ID)
            .replace("{cluster_id}", ID)
            .replace("{step}", "0")
            .replace("{type}", "service");
        for header in [
            None,
            Some(("authorization", "Bearer garbage")),
            Some(("authorization", spoiled.as_str())),
            Some(("authorization", "Basic YTpi")),
        ] {
            let answer = site.ask(&method, &path, &Vec::from_iter(header), "{ not json").await;
            assert_eq!(answer.problem(), (401, "unauthenticated".to_owned()), "{method} {path} {header:?}");
            assert_eq!(answer.header("www-authenticate"), "Bearer");
        }
        if !path.ends_with("/events") {
            let answer = site.ask(&method, &path, &[("cookie", &cookie), ("content-type", "application/json")], "{}").await;
            assert_eq!(answer.status, 401, "{method} {path} took a cookie");
        }
    }
    assert!(guarded > 45, "{guarded}");
}

#[tokio::test]
async fn the_document_lists_every_route() {
    let site = Site::new().await;
    let all = operations(&site).await;
    let public: Vec<_> = all.iter().filter(|row| row.2).map(|row| format!("{} {}", row.0, row.1)).collect();
    assert_eq!(public, ["GET /api/v1/openapi.json", "POST /api/v1/sessions", "GET /healthz", "GET /readyz"]);
    let found: BTreeSet<_> = all.iter().map(|row| format!("{} {}", row.0, row.1)).collect();
    let golden: BTreeSet<_> = include_str!("routes.txt").lines().map(str::to_owned).collect();
    assert_eq!(found, golden);
}

/// What the library writes has the fields that the document says.
#[tokio::test]
async fn the_shapes_are_what_is_written() {
    let (site, ann) = Site::with_ann().await;
    let document = site.ask("GET", "/api/v1/openapi.json", &[], "").await.json();
    let run = site.markup_run().await;
    let (project, deployment) = (run.project_id, run.deployment_id);
    let view = site.get(&ann, &format!("/api/v1/deployments/{deployment}")).await.json();
    let group = view["group_id"].as_str().unwrap();
    let scope = site.post(&ann, &format!("/api/v1/groups/{group}/scopes"), &json!({ "slug": "prod" })).await.json();
    let synced = site.post(&ann, "/api/v1/services/sync", &Value::Null).await.json();
    let service = site.get(&ann, &format!("/api/v1/services/{}", synced["synced"][0]["service_id"].as_str().unwrap())).await.json();
    let deployed = site.get(&ann, "/api/v1/services/housekeeping/deployment").await.json();
    let place = format!("/api/v1/deployments/{}/schedules", deployed["id"].as_str().unwrap());
    let schedule = site.post(&ann, &place, &json!({ "slug": "nightly", "cron": "@daily" })).await.json();
    let run = site.get(&ann, &format!("/api/v1/runs/{}", run.id)).await.json();
    let mut plain = run.clone();
    plain.as_object_mut().unwrap().remove("steps");
    let first = async |path: &str| site.get(&ann, path).await.json()["items"][0].clone();
    let target = json!({ "name": "ci", "target": { "project": project }, "origin": "github", "days": 1 });
    let token = site.post(&ann, "/api/v1/tokens", &target).await.json();
    let sign_off = Plan::builder().approval("sign-off", Role::Admin, |step| step).build().unwrap();
    let waiting = site.eyrie.acting_as(Principal::local_operator()).run_plan(deployment, sign_off).await.unwrap();
    site.ended(waiting.id).await;
    let new = serde_json::json!({ "slug": "shop", "url": "https://git.example.org/shop.git" });
    let repository = site.post(&ann, "/api/v1/repositories", &new).await.json();
    let branches = format!("/api/v1/repositories/{}/branches", repository["id"].as_str().unwrap());
    let branch = site.post(&ann, &branches, &serde_json::json!({ "name": "main" })).await.json();
    let commit = serde_json::json!({ "commit": "0123456789abcdef0123456789abcdef01234567" });
    let recorded_branch = site.post(&ann, &format!("/api/v1/branches/{}/commit", branch["id"].as_str().unwrap()), &commit).await.json();
    let image = site.post(&ann, "/api/v1/images", &serde_json::json!({ "reference": "shop:1" })).await.json();
    let deployed_version = format!("\"{}\"", deployed["version"]);
    let subscribe = serde_json::json!({ "image_id": image["id"], "redeploy_on_digest": true });
    let place = format!("/api/v1/deployments/{}", deployed["id"].as_str().unwrap());
    site.put("PATCH", &ann, &place, &[("if-match", &deployed_version)], &subscribe).await;
    let digest = serde_json::json!({ "digest": format!("sha256:{}", "0a".repeat(32)) });
    let recorded_image = site.post(&ann, &format!("/api/v1/images/{}/digest", image["id"].as_str().unwrap()), &digest).await.json();
    let check = serde_json::json!({ "type": "resource", "kind": "cpu" });
    let new = serde_json::json!({ "slug": "cpu", "check": check });
    let monitor = site.post(&ann, &format!("/api/v1/deployments/{deployment}/monitors"), &new).await.json();
    let results = format!("/api/v1/monitors/{}/results", monitor["id"].as_str().unwrap());
    let recorded = site.post(&ann, &results, &serde_json::json!({ "outcome": "passed" })).await.json();
    let queue = first(&format!("/api/v1/deployments/{deployment}/queue")).await;
    let secret = site.post(&ann, &format!("/api/v1/projects/{project}/secrets"), &json!({ "name": "s", "value": "hunter2" })).await.json();
    let cluster = site.post(&ann, "/api/v1/clusters", &json!({ "name": "shared" })).await.json();
    let cluster_id = cluster["id"].as_str().unwrap();
    for place in [format!("clusters/{cluster_id}/grants/{project}"), format!("deployments/{deployment}/clusters/{cluster_id}")] {
        assert_eq!(site.put("PUT", &ann, &format!("/api/v1/{place}"), &[], &json!({})).await.status, 204, "{place}");
    }
    let folder = json!({ "slug": "d", "data_type": "filesystem", "usage": "remote_backup", "config": { "path": "/srv" } });
    let written = [
        ("SecretView", site.get(&ann, &format!("/api/v1/secrets/{}", secret["id"].as_str().unwrap())).await.json()),
        ("Secret", secret),
        ("ClusterGrant", first(&format!("/api/v1/clusters/{cluster_id}/grants")).await),
        ("EffectiveCluster", first(&format!("/api/v1/deployments/{deployment}/clusters")).await),
        ("Cluster", cluster),
        ("Datasource", site.post(&ann, "/api/v1/datasources", &folder).await.json()),
        ("QueuePlace", queue["queue"].clone()),
        ("QueuedRun", queue),
        ("Approval", first(&format!("/api/v1/runs/{}/approvals", waiting.id)).await),
        ("Project", site.get(&ann, &format!("/api/v1/projects/{project}")).await.json()),
        ("Group", first(&format!("/api/v1/projects/{project}/groups")).await),
        ("Scope", scope),
        ("Deployment", first(&format!("/api/v1/groups/{group}/deployments")).await),
        ("DeploymentView", view),
        ("Service", service),
        ("SyncReport", synced),
        ("Schedule", schedule),
        ("Repository", repository),
        ("Branch", branch),
        ("RecordedBranch", recorded_branch),
        ("Image", image),
        ("Redeploy", recorded_image["redeploys"][0].clone()),
        ("RecordedImage", recorded_image),
        ("Monitor", monitor.clone()),
        ("MonitorThresholds", monitor["thresholds"].clone()),
        ("MonitorLog", recorded["log"].clone()),
        ("RecordedResult", recorded),
        ("Step", run["steps"][0].clone()),
        ("Run", plain),
        ("RunView", run),
        ("User", first("/api/v1/users").await),
        ("Token", token["token"].clone()),
        ("NewTokenSecret", token),
        ("AuditEntry", first("/api/v1/audit").await),
        ("SettingsView", site.get(&ann, &format!("/api/v1/deployments/{}/settings", deployed["id"].as_str().unwrap())).await.json()),
        ("ReleaseDiff", site.get(&ann, &format!("/api/v1/deployments/{}/diff", deployed["id"].as_str().unwrap())).await.json()),
        ("DeploymentType", first("/api/v1/deployment-types").await),
    ];
    for (name, value) in written {
        let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
        assert_eq!(keys(&value), keys(&document["components"]["schemas"][name]["properties"]), "{name}");
    }
}
