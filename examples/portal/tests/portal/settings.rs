//! Settings over REST: refused where they are set, explained, changed field by field, compared.

use eyrie_core::model::{Plan, PlannedRelease};
use serde_json::{Value, json};

use crate::site::Site;

/// A deployment of a service, with the places of itself and its group.
async fn deployment(site: &Site, ann: &str) -> (String, String) {
    site.post(ann, "/api/v1/services/sync", &Value::Null).await;
    let deployed = site.get(ann, "/api/v1/services/housekeeping/deployment").await.json();
    let text = |key: &str| deployed[key].as_str().unwrap().to_owned();
    (format!("/api/v1/deployments/{}", text("id")), format!("/api/v1/groups/{}", text("group_id")))
}

#[tokio::test]
async fn fields_are_set_explained_and_inherited_again() {
    let (site, ann) = Site::with_ann().await;
    let (place, group) = deployment(&site, &ann).await;
    let patch = async |place: &str, version: &str, fields: Value| {
        site.put("PATCH", &ann, place, &[("if-match", version)], &json!({ "settings_patch": fields })).await
    };
    assert_eq!(patch(&group, "\"1\"", json!({ "timeout_seconds": 60, "colour": "red" })).await.status, 200);
    assert_eq!(patch(&place, "\"1\"", json!({ "timeout_seconds": 30 })).await.status, 200);
    let bad = patch(&place, "\"2\"", json!({ "timeout_seconds": "s3cret" })).await;
    assert_eq!((bad.problem(), &bad.json()["field"]), ((422, "invalid".to_owned()), &json!("settings.timeout_seconds")));
    assert!(!bad.text.contains("s3cret"), "{}", bad.text);
    let explained = site.get(&ann, &format!("{place}/settings")).await;
    assert_eq!(explained.header("etag"), "\"2\"");
    let timeout = json!({ "value": 30, "level": "deployment", "hides": [{ "level": "group", "value": 60 }] });
    let colour = json!({ "value": "red", "level": "group" });
    assert_eq!(explained.json()["settings"], json!({ "colour": colour, "timeout_seconds": timeout }));
    let page = site.ask("GET", place.trim_start_matches("/api/v1"), &[("cookie", &format!("eyrie_session={ann}"))], "").await;
    for shown in ["<code>30</code>", "data-level=\"deployment\"", "<code>60</code> <span class=\"level\" data-level=\"group\">"] {
        assert!(page.text.contains(shown), "{shown} is not in {}", page.text);
    }
    assert_eq!(patch(&place, "\"2\"", json!({ "timeout_seconds": null })).await.json()["settings"], json!({}));
    assert_eq!(patch(&place, "\"2\"", json!({ "timeout_seconds": 1 })).await.status, 412, "somebody else was faster");
    let both = json!({ "settings": {}, "settings_patch": {} });
    let both = site.put("PATCH", &ann, &place, &[("if-match", "\"3\"")], &both).await;
    assert_eq!((both.problem().0, both.json()["field"].clone()), (422, json!("settings_patch")));
}

#[tokio::test]
async fn types_and_releases_can_be_looked_at() {
    let (site, ann) = Site::with_ann().await;
    let (place, _) = deployment(&site, &ann).await;
    assert_eq!(site.get(&ann, "/api/v1/deployment-types").await.json()["items"][0]["name"], "service");
    let schema = site.get(&ann, "/api/v1/deployment-types/service/schema").await.json();
    assert_eq!(schema["properties"]["timeout_seconds"]["type"], "integer");
    for unknown in ["own", "No Type"] {
        let answer = site.get(&ann, &format!("/api/v1/deployment-types/{}/schema", unknown.replace(' ', "%20"))).await;
        assert_eq!(answer.problem(), (404, "not-found".to_owned()));
    }
    let wanted = site.get(&ann, &format!("{place}/diff")).await.json();
    assert_eq!((&wanted["from"], &wanted["to"], &wanted["changes"][0]["path"]), (&Value::Null, &Value::Null, &json!("")));
    let plan = |tag: &str| {
        let release = PlannedRelease { config: json!({ "image": tag }), leaves_running: true };
        Plan::builder().step("only", "test.done", |step| step).release(release).build().unwrap()
    };
    let first = site.run_of(plan("a")).await;
    let again =
        site.eyrie.acting_as(eyrie_core::model::Principal::local_operator()).run_plan(first.deployment_id, plan("b")).await.unwrap();
    let second = site.ended(again.id).await;
    let (before, after) = (first.release_id.unwrap().to_string(), second.release_id.unwrap().to_string());
    let expected = json!({ "from": before, "to": after, "changes": [{ "path": "/image", "before": "a", "after": "b" }], "more": false });
    assert_eq!(site.get(&ann, &format!("/api/v1/releases/{after}/diff")).await.json(), expected);
    assert_eq!(site.get(&ann, &format!("/api/v1/releases/{after}/diff?against={before}")).await.json(), expected);
    let bob = site.outsider().await;
    let missing = site.get(&bob, "/api/v1/no/such/route").await.text;
    for hidden in [format!("/api/v1/releases/{after}/diff"), format!("{place}/diff"), format!("{place}/settings")] {
        assert_eq!(site.get(&bob, &hidden).await.text, missing, "{hidden}");
    }
}
