//! Where a run stands, over HTTP and on the pages.

use eyrie_core::model::{Plan, Principal, Role};
use serde_json::{Value, json};

use crate::site::Site;

#[tokio::test]
async fn a_place_is_told_and_shown() {
    let (site, ann) = Site::with_ann().await;
    let sign_off = || Plan::builder().approval("sign-off", Role::Admin, |step| step).build().unwrap();
    let first = site.run_of(sign_off()).await;
    let me = site.eyrie.acting_as(Principal::local_operator());
    let second = me.run_plan(first.deployment_id, sign_off()).await.unwrap();
    let third = me.run_plan(first.deployment_id, sign_off()).await.unwrap();
    let place = async |run: &eyrie_core::model::Run| site.get(&ann, &format!("/api/v1/runs/{}/queue", run.id)).await.json();
    assert_eq!(place(&first).await, json!({ "position": 1, "behind": null, "wait": { "reason": "approval" } }));
    let expected = json!({ "position": 3, "behind": { "run": second.id }, "wait": { "reason": "turn" } });
    assert_eq!(place(&third).await, expected);
    for path in [format!("deployments/{}", first.deployment_id), format!("projects/{}", first.project_id)] {
        let whole = site.get(&ann, &format!("/api/v1/{path}/queue")).await.json();
        let ids: Vec<_> = whole["items"].as_array().unwrap().iter().map(|item| item["id"].clone()).collect();
        assert_eq!(ids, [json!(first.id), json!(second.id), json!(third.id)], "{path}");
        assert_eq!((&whole["items"][2]["queue"], &whole["next"]), (&expected, &Value::Null));
        let page = site.get(&ann, &format!("/api/v1/{path}/queue?limit=2")).await.json();
        let rest = site.get(&ann, &format!("/api/v1/{path}/queue?after={}", page["next"].as_str().unwrap())).await.json();
        assert_eq!((rest["items"].as_array().unwrap().len(), &rest["items"][0]["id"]), (1, &json!(third.id)));
        assert_eq!(site.get(&ann, &format!("/api/v1/{path}/queue?colour=red")).await.problem().0, 422);
        let bob = if path.starts_with("deployments") { site.outsider().await } else { site.session("bob").await };
        assert_eq!(site.get(&bob, &format!("/api/v1/{path}/queue")).await.problem().0, 404);
        assert_eq!(site.get(&bob, &format!("/api/v1/runs/{}/queue", third.id)).await.problem().0, 404);
    }
    let session = format!("eyrie_session={ann}");
    let page = async |path: String| site.ask("GET", &path, &[("cookie", &session)], "").await.text;
    let shown = page(format!("/runs/{}", third.id)).await;
    let told = format!("third, behind run <a href=\"/runs/{0}\"><code>{0}</code></a>", second.id);
    assert!(shown.contains(&told), "{shown}");
    assert!(page(format!("/runs/{}", first.id)).await.contains("first, waits for an approval"));
    let shown = page(format!("/deployments/{}", first.deployment_id)).await;
    assert!(shown.contains("<h2>Queue</h2>") && shown.contains(&told), "{shown}");
    for run in [&third, &second, &first] {
        me.cancel_run(run.id, "").await.unwrap();
    }
    assert_eq!(place(&third).await, json!({ "position": null, "behind": null, "wait": null }));
    assert!(!page(format!("/runs/{}", third.id)).await.contains("id=\"place\""));
    assert!(!page(format!("/deployments/{}", first.deployment_id)).await.contains("<h2>Queue</h2>"));
}

#[tokio::test]
async fn settings_of_the_queue_are_refused_by_name() {
    let (site, ann) = Site::with_ann().await;
    for (key, value) in [("queue_policy", json!("latest")), ("max_running", json!(-1)), ("max_running", json!("2"))] {
        let body = json!({ "slug": "blog", "settings": { key: value } });
        let refused = site.post(&ann, "/api/v1/projects", &body).await;
        assert_eq!(refused.problem(), (422, "invalid".to_owned()));
        assert!(refused.text.contains(key), "{}", refused.text);
    }
    assert_eq!(site.get(&ann, "/api/v1/projects").await.json()["items"], json!([]));
    let good = json!({ "slug": "blog", "settings": { "queue_policy": "coalesce_latest", "max_running": 3 } });
    assert_eq!(site.post(&ann, "/api/v1/projects", &good).await.status, 201);
}
