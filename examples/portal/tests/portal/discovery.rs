//! Discovery: what runs, for a token that gives nothing else.

use eyrie_core::model::{Plan, PlannedRelease, Principal, Run};
use serde_json::{Value, json};

use crate::site::Site;

/// Something that runs, with an address and a label, in the project `blog`.
async fn running(site: &Site, ann: &str) -> Run {
    let release = PlannedRelease { config: json!({}), leaves_running: true };
    let plan = Plan::builder().step("only", "test.done", |step| step).release(release).build().unwrap();
    let run = site.run_of(plan).await;
    let place = format!("/api/v1/deployments/{}", run.deployment_id);
    let reachable = json!({ "settings_patch": { "discovery_targets": ["web:9100", "[::1]:80"], "discovery_labels": { "team": "a" } } });
    let answer = site.put("PATCH", ann, &place, &[("if-match", "\"1\"")], &reachable).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    run
}

async fn token(site: &Site, by: &str, target: Value) -> String {
    let new = json!({ "name": "prometheus", "target": target, "origin": "monitoring", "days": 30 });
    let made = site.post(by, "/api/v1/discovery/tokens", &new).await;
    assert_eq!(made.status, 201, "{}", made.text);
    made.json()["secret"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn what_runs_is_listed_for_scrapers() {
    let (site, ann) = Site::with_ann().await;
    let run = running(&site, &ann).await;
    let release = run.release_id.unwrap().to_string();
    for target in [json!({ "project": run.project_id }), json!("everything")] {
        let token = token(&site, &ann, target).await;
        assert!(token.starts_with("eyd_"));
        let scraped = site.get(&token, "/api/v1/discovery/http-sd").await;
        assert_eq!(scraped.header("content-type"), "application/json");
        let labels = json!({
            "team": "a", "__meta_eyrie_project": "blog", "__meta_eyrie_group": "web", "__meta_eyrie_type": "own", "__meta_eyrie_scope": "",
            "__meta_eyrie_deployment": "site", "__meta_eyrie_deployment_id": run.deployment_id, "__meta_eyrie_release_id": release,
        });
        assert_eq!(scraped.json(), json!([{ "targets": ["web:9100", "[::1]:80"], "labels": labels }]));
        let (bearer, tag) = (format!("Bearer {token}"), scraped.header("etag").to_owned());
        let again = site.ask("GET", "/api/v1/discovery/http-sd", &[("authorization", &bearer), ("if-none-match", &tag)], "").await;
        assert_eq!((again.status.as_u16(), again.text.as_str(), again.header("etag")), (304, "", tag.as_str()));
        let listed = site.get(&token, "/api/v1/discovery").await.json();
        assert_eq!((&listed["items"][0]["state"], &listed["items"][0]["deployment"]), (&json!("running"), &json!("site")));
        assert_eq!(site.get(&token, "/api/v1/discovery?state=stopped").await.json(), json!({ "items": [] }));
        assert_eq!(site.get(&token, "/api/v1/discovery?state=x").await.problem().0, 422);
    }
}

#[tokio::test]
async fn a_discovery_token_gives_nothing_else() {
    let (site, ann) = Site::with_ann().await;
    let run = running(&site, &ann).await;
    let token = token(&site, &ann, json!("everything")).await;
    let document = site.ask("GET", "/api/v1/openapi.json", &[], "").await.json();
    let mut tried = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let listed = matches!(path.as_str(), "/api/v1/discovery" | "/api/v1/discovery/http-sd");
            if listed || operation["security"].is_array() && path != "/metrics" {
                continue;
            }
            let id = if path.contains("/runs/") { run.id.to_string() } else { run.deployment_id.to_string() };
            let path = path.replace("{id}", &id).replace("{user_id}", &id).replace("{step}", "0").replace("{type}", "service");
            let answer = site.put(&method.to_uppercase(), &token, &path, &[("if-match", "\"1\"")], &json!({})).await;
            assert_eq!(answer.status, 401, "{method} {path}: {}", answer.text);
            tried += 1;
        }
    }
    assert!(tried > 60, "{tried}");
    let cookie = format!("eyrie_session={token}");
    assert_eq!(site.ask("GET", "/", &[("cookie", &cookie)], "").await.header("location"), "/login");
}

#[tokio::test]
async fn a_token_lists_what_whoever_made_it_may_read() {
    let (site, ann) = Site::with_ann().await;
    let run = running(&site, &ann).await;
    let bob = site.outsider().await;
    let (project, operator) = (run.project_id, site.eyrie.acting_as(Principal::local_operator()));
    let users = operator.users(Default::default()).await.unwrap();
    let bob_id = users.items.iter().find(|user| user.name.as_str() == "bob").unwrap().id;
    let new = |target: Value| json!({ "name": "x", "target": target, "origin": "o", "days": 1 });
    let everything = site.post(&bob, "/api/v1/discovery/tokens", &new(json!("everything"))).await;
    assert_eq!(everything.problem(), (403, "denied".to_owned()));
    let hidden = site.post(&bob, "/api/v1/discovery/tokens", &new(json!({ "project": project }))).await;
    assert_eq!(hidden.problem(), (404, "not-found".to_owned()));
    operator.set_member(project, bob_id, eyrie_core::model::Role::Admin).await.unwrap();
    let made = token(&site, &bob, json!({ "project": project })).await;
    assert_eq!(site.get(&made, "/api/v1/discovery").await.json()["items"].as_array().unwrap().len(), 1);
    let other = site.post(&ann, "/api/v1/projects", &json!({ "slug": "shop" })).await.json();
    let elsewhere = site.get(&made, &format!("/api/v1/discovery?project={}", other["id"].as_str().unwrap())).await;
    assert_eq!(elsewhere.problem(), (404, "not-found".to_owned()));
    let days = json!({ "name": "x", "target": { "project": project }, "origin": "o", "days": 181 });
    assert_eq!(site.post(&bob, "/api/v1/discovery/tokens", &days).await.json()["field"], "days");
    // A project keeps an admin.
    let ann_id = users.items.iter().find(|user| user.name.as_str() == "ann").unwrap().id;
    operator.set_member(project, ann_id, eyrie_core::model::Role::Admin).await.unwrap();
    operator.remove_member(project, bob_id).await.unwrap();
    assert_eq!(site.get(&made, "/api/v1/discovery").await.problem(), (404, "not-found".to_owned()));
    // People list what they may read, project by project.
    assert_eq!(site.get(&bob, &format!("/api/v1/discovery?project={project}")).await.problem().0, 404);
    assert_eq!(site.get(&bob, "/api/v1/discovery").await.problem().0, 403);
    assert_eq!(site.get(&ann, "/api/v1/discovery").await.status, 200);
}
