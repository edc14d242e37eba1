//! Clusters and datasources over HTTP: what operators, admins, members and others may.

use serde_json::{Value, json};

use crate::site::Site;

#[tokio::test]
async fn a_cluster_lives_and_goes() {
    let (site, ann) = Site::with_ann().await;
    let made = site.post(&ann, "/api/v1/clusters", &json!({ "name": "Frankfurt 1" })).await;
    assert_eq!((made.status.as_u16(), made.json()["state"].clone()), (201, json!("draft")), "{}", made.text);
    let place = made.header("location").to_owned();
    let moved = async |version: u64, asked: &str| {
        let version = format!("\"{version}\"");
        site.put("POST", &ann, &format!("{place}/state"), &[("if-match", &version)], &json!({ "move": asked })).await
    };
    assert_eq!(moved(1, "activate").await.problem(), (409, "illegal-transition".to_owned()));
    assert_eq!(moved(7, "begin").await.problem(), (412, "precondition-failed".to_owned()));
    assert_eq!(moved(1, "explode").await.problem().0, 422);
    for (version, asked, state) in [
        (1, "begin", "init"),
        (2, "fail", "draft"),
        (3, "begin", "init"),
        (4, "activate", "active"),
        (5, "change", "transitioning"),
        (6, "activate", "active"),
        (7, "cancel", "cancel"),
        (8, "delete", "delete"),
    ] {
        let answer = moved(version, asked).await;
        assert_eq!((answer.status.as_u16(), answer.json()["state"].clone()), (200, json!(state)), "{}", answer.text);
    }
    assert_eq!(moved(9, "begin").await.problem().0, 409);
    assert_eq!(site.get(&ann, "/api/v1/clusters").await.json()["items"], json!([]));
    assert_eq!(site.get(&ann, &place).await.json()["state"], "delete", "what is left says that it was there");
    assert_eq!(site.post(&ann, "/api/v1/clusters", &json!({ "name": "Frankfurt 1" })).await.status, 201, "its name is free again");
}

#[tokio::test]
async fn who_sees_and_links_a_cluster() {
    let (site, ann) = Site::with_ann().await;
    let run = site.markup_run().await;
    let (project, deployment) = (run.project_id, run.deployment_id);
    let bob = site.outsider().await;
    let bob_id =
        site.get(&ann, "/api/v1/users").await.json()["items"].as_array().unwrap().iter().find(|user| user["name"] == "bob").unwrap()["id"]
            .as_str()
            .unwrap()
            .to_owned();
    // A project keeps an admin, whatever becomes of bob.
    let users = site.get(&ann, "/api/v1/users").await.json();
    let own = users["items"].as_array().unwrap().iter().find(|user| user["name"] == "ann").unwrap()["id"].as_str().unwrap().to_owned();
    let place = format!("/api/v1/projects/{project}/members/{own}");
    assert!(site.put("PUT", &ann, &place, &[], &json!({ "role": "admin" })).await.status.is_success());
    let id = site.post(&ann, "/api/v1/clusters", &json!({ "name": "shared" })).await.json()["id"].as_str().unwrap().to_owned();
    let (cluster, grant) = (format!("/api/v1/clusters/{id}"), format!("/api/v1/clusters/{id}/grants/{project}"));
    let link = format!("/api/v1/deployments/{deployment}/clusters/{id}");
    let role = async |role: &str| {
        let place = format!("/api/v1/projects/{project}/members/{bob_id}");
        assert!(site.put("PUT", &ann, &place, &[], &json!({ "role": role })).await.status.is_success());
    };
    let ask = async |who: &str, method: &str, place: &str| site.put(method, who, place, &[], &Value::Null).await;
    let missing = site.get(&bob, "/api/v1/no/such/route").await.text;

    role("admin").await;
    assert_eq!(site.get(&bob, &cluster).await.text, missing, "not granted: not there");
    assert_eq!(ask(&bob, "PUT", &link).await.text, missing);
    assert_eq!(ask(&bob, "PUT", &grant).await.text, missing);
    assert_eq!(ask(&ann, "PUT", &grant).await.status, 204);
    assert_eq!(ask(&ann, "PUT", &grant).await.status, 204, "once more is the same");
    assert_eq!(site.get(&bob, &cluster).await.json(), json!({ "id": id, "slug": "shared", "state": "draft" }), "name and state only");
    assert_eq!(site.get(&bob, &format!("/api/v1/clusters?project={project}")).await.json()["items"][0]["slug"], "shared");
    assert_eq!(site.get(&bob, "/api/v1/clusters").await.problem().0, 403);
    assert_eq!(ask(&bob, "DELETE", &grant).await.problem().0, 403, "who sees it hears that it may not");
    assert_eq!(site.get(&bob, &format!("{cluster}/grants")).await.problem().0, 403);
    let version = [("if-match", "\"1\"")];
    assert_eq!(site.put("PATCH", &bob, &cluster, &version, &json!({ "name": "mine" })).await.problem().0, 403);
    role("developer").await;
    assert_eq!(ask(&bob, "PUT", &link).await.problem().0, 403, "only admins link");
    role("admin").await;
    assert_eq!(ask(&bob, "PUT", &link).await.status, 204);
    let effective = site.get(&bob, &format!("/api/v1/deployments/{deployment}/clusters")).await.json();
    assert_eq!(effective["items"], json!([{ "cluster": { "id": id, "slug": "shared", "state": "draft" }, "level": "deployment" }]));

    let refused = ask(&ann, "DELETE", &grant).await;
    assert_eq!(refused.problem(), (409, "conflict".to_owned()));
    assert!(refused.text.contains(&format!("deployment {deployment}")), "it says what is linked: {}", refused.text);
    let start = site.post(&ann, &format!("/api/v1/runs/{}/rerun", run.id), &Value::Null).await;
    assert_eq!(start.problem(), (409, "conflict".to_owned()), "a cluster in draft takes no runs");
    assert!(start.text.contains("draft"), "{}", start.text);
    for (version, asked) in [("\"1\"", "begin"), ("\"2\"", "activate")] {
        let place = format!("{cluster}/state");
        assert_eq!(site.put("POST", &ann, &place, &[("if-match", version)], &json!({ "move": asked })).await.status, 200);
    }
    assert_eq!(site.post(&ann, &format!("/api/v1/runs/{}/rerun", run.id), &Value::Null).await.status, 202);
    assert_eq!(ask(&bob, "DELETE", &link).await.status, 204);
    assert_eq!(ask(&bob, "DELETE", &link).await.text, missing);
    assert_eq!(ask(&ann, "DELETE", &grant).await.status, 204);
    assert_eq!(site.get(&bob, &cluster).await.text, missing);
    assert_eq!(ask(&ann, "DELETE", &grant).await.text, missing);
}

#[tokio::test]
async fn datasources_and_where_backups_go() {
    let (site, ann) = Site::with_ann().await;
    let run = site.markup_run().await;
    let bob = site.outsider().await;
    let missing = site.get(&bob, "/api/v1/no/such/route").await.text;
    let group = site.get(&ann, &format!("/api/v1/deployments/{}", run.deployment_id)).await.json()["group_id"].as_str().unwrap().to_owned();
    let other = site.post(&ann, "/api/v1/projects", &json!({ "slug": "other" })).await.json()["id"].clone();
    let made = async |slug: &str, project: &Value, usage: &str| {
        let config = json!({ "endpoint": "https://s3.example.org", "bucket": "back-ups" });
        let new = json!({ "slug": slug, "project_id": project, "data_type": "s3like", "usage": usage, "config": config });
        let answer = site.post(&ann, "/api/v1/datasources", &new).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.json()["id"].as_str().unwrap().to_owned()
    };
    let project = json!(run.project_id);
    let own = made("backups", &project, "remote_backup").await;
    let shared = made("backups", &Value::Null, "remote_backup").await;
    let database = made("files", &project, "file_storage").await;
    let theirs = made("backups", &other, "remote_backup").await;
    let seen = site.get(&bob, &format!("/api/v1/datasources/{shared}")).await.json();
    assert_eq!(seen, json!({ "id": shared, "slug": "backups", "name": "backups", "data_type": "s3like", "usage": "remote_backup" }));
    assert_eq!(site.get(&bob, "/api/v1/datasources").await.json()["items"], json!([seen]));
    assert_eq!(site.get(&bob, &format!("/api/v1/datasources/{own}")).await.text, missing);
    assert_eq!(site.get(&bob, &format!("/api/v1/datasources?project={}", run.project_id)).await.text, missing);
    let version = [("if-match", "\"1\"")];
    for id in [&own, &shared] {
        let refused = site.put("PATCH", &bob, &format!("/api/v1/datasources/{id}"), &version, &json!({ "name": "x" })).await;
        assert!([403, 404].contains(&refused.status.as_u16()), "{}", refused.text);
        assert_eq!(site.put("DELETE", &bob, &format!("/api/v1/datasources/{id}"), &[], &Value::Null).await.status, refused.status);
    }

    let scopes = format!("/api/v1/groups/{group}/scopes");
    for (id, fits) in [(&own, true), (&shared, true), (&database, false), (&theirs, false)] {
        let new = json!({ "slug": format!("s{}", &id[24..]), "backup_dest_datasource_id": id });
        let answer = site.post(&ann, &scopes, &new).await;
        match fits {
            true => assert_eq!(answer.status, 201, "{}", answer.text),
            false => assert_eq!((answer.problem().0, &answer.json()["field"]), (422, &json!("backup_dest_datasource_id"))),
        }
    }
    let scope = site.get(&ann, &scopes).await.json()["items"][0].clone();
    assert_eq!(scope["backup_dest_datasource_id"], json!(own));
    let place = format!("/api/v1/datasources/{own}");
    assert_eq!(site.put("DELETE", &ann, &place, &[], &Value::Null).await.problem(), (409, "conflict".to_owned()));
    let scope = format!("/api/v1/scopes/{}", scope["id"].as_str().unwrap());
    let kept = site.put("PATCH", &ann, &scope, &version, &json!({ "name": "Staging" })).await.json();
    assert_eq!(kept["backup_dest_datasource_id"], json!(own), "what is not said stays");
    let patch = json!({ "backup_dest_datasource_id": null });
    let cleared = site.put("PATCH", &ann, &scope, &[("if-match", "\"2\"")], &patch).await.json();
    assert_eq!(cleared["backup_dest_datasource_id"], Value::Null);
    assert_eq!(site.put("DELETE", &ann, &place, &[], &Value::Null).await.status, 204);
}
