//! The audit over HTTP: what is asked for, what comes out, and whose request it was.

use eyrie_core::{Timestamp, id::TokenId};
use serde_json::{Value, json};

use crate::site::Site;

fn items(page: &Value) -> &Vec<Value> {
    page["items"].as_array().unwrap()
}

#[tokio::test]
async fn entries_name_the_request_and_the_token() {
    let (site, ann) = Site::with_ann().await;
    let bearer = format!("Bearer {ann}");
    let make = async |slug: &str, ids: &[&str]| {
        let mut headers = vec![("authorization", bearer.as_str()), ("content-type", "application/json")];
        headers.extend(ids.iter().map(|id| ("x-request-id", *id)));
        site.ask("POST", "/api/v1/projects", &headers, json!({ "slug": slug }).to_string()).await
    };
    let named = make("one", &["from-outside.7"]).await;
    assert_eq!((named.status.as_u16(), named.header("x-request-id")), (201, "from-outside.7"));
    // What is no id, or is said twice, is replaced by one that is.
    for (slug, ids) in [("two", vec![]), ("three", vec!["a b"]), ("four", vec!["a", "b"]), ("five", vec!["<b>"])] {
        let made = make(slug, &ids).await;
        let id: uuid::Uuid = made.header("x-request-id").parse().unwrap();
        let page = site.get(&ann, "/api/v1/audit?action=project.create&limit=1").await.json();
        assert_eq!(items(&page)[0]["request_id"], id.to_string(), "{slug}");
    }
    let session = site.get(&ann, "/api/v1/tokens?kind=session").await.json()["items"][0]["id"].clone();
    let about = format!("project {}", named.json()["id"].as_str().unwrap());
    let page = site.get(&ann, &format!("/api/v1/audit?resource={}", about.replace(' ', "+"))).await.json();
    let [entry] = items(&page).as_slice() else { panic!("{page}") };
    assert_eq!((&entry["request_id"], &entry["token_id"], &entry["origin"]), (&json!("from-outside.7"), &session, &json!("test")));

    // A refusal, too; and a problem has the header like any answer.
    let mallory = site.outsider().await;
    let headers = [("authorization", &*format!("Bearer {mallory}")), ("x-request-id", "refused-1")];
    let refused = site.ask("GET", "/api/v1/users", &headers, "").await;
    assert_eq!((refused.status.as_u16(), refused.header("x-request-id")), (403, "refused-1"));
    let page = site.get(&ann, "/api/v1/audit?verdict=refused&action=user.manage").await.json();
    assert_eq!(items(&page)[0]["request_id"], "refused-1");
    let wrong = json!({ "name": "ann", "password": "wrong" }).to_string();
    let headers = [("content-type", "application/json"), ("x-request-id", "sign-in-1")];
    assert_eq!(site.ask("POST", "/api/v1/sessions", &headers, wrong).await.status, 401);
    let page = site.get(&ann, "/api/v1/audit?verdict=refused&action=session.begin").await.json();
    assert_eq!(items(&page)[0]["request_id"], "sign-in-1");
}

#[tokio::test]
async fn filters_and_the_export_agree() {
    let (site, ann) = Site::with_ann().await;
    let project = site.post(&ann, "/api/v1/projects", &json!({ "slug": "store" })).await.json();
    let project = project["id"].as_str().unwrap();
    for n in 0..250 {
        let group = json!({ "slug": format!("g{n}"), "group_type": "own" });
        assert_eq!(site.post(&ann, &format!("/api/v1/projects/{project}/groups"), &group).await.status, 201);
    }
    let user = site.get(&ann, "/api/v1/users").await.json()["items"][0]["id"].as_str().unwrap().to_owned();
    let now = Timestamp::now();
    let nobody = TokenId::new();
    for (query, expected) in [
        (format!("project={project}&action=group.create"), 250),
        (format!("project={project}&user={user}"), 251),
        (format!("project={project}&verdict=refused"), 0),
        (format!("project={project}&until={now}"), 251),
        (format!("project={project}&since={now}"), 0),
        (format!("project={project}&token_id={nobody}"), 0),
    ] {
        let (mut listed, mut after) = (Vec::new(), String::new());
        loop {
            let page = site.get(&ann, &format!("/api/v1/audit?{query}&limit=200{after}")).await.json();
            listed.extend(items(&page).clone());
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => break,
            }
        }
        let export = site.get(&ann, &format!("/api/v1/audit/export?{query}")).await;
        assert_eq!((export.status.as_u16(), export.header("content-type")), (200, "application/x-ndjson"));
        let lines: Vec<Value> = export.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((listed.len(), &lines), (expected, &listed), "{query}");
    }
    for (query, field) in [
        ("since=yesterday", "since"),
        ("until=1", "until"),
        ("verdict=maybe", "verdict"),
        ("user=ann", "user"),
        ("token_id=x", "token_id"),
        ("colour=red", "colour"),
    ] {
        for place in ["audit", "audit/export"] {
            let refused = site.get(&ann, &format!("/api/v1/{place}?{query}")).await;
            assert_eq!((refused.status.as_u16(), &refused.json()["field"]), (422, &json!(field)), "{place}?{query}");
        }
    }
    let mallory = site.outsider().await;
    assert_eq!(site.get(&mallory, "/api/v1/audit/export").await.status, 403);
    assert_eq!(site.get(&mallory, &format!("/api/v1/audit/export?project={project}")).await.status, 404);
}

#[tokio::test]
async fn the_page_filters_and_exports_alike() {
    let (site, ann) = Site::with_ann().await;
    let project = site.post(&ann, "/api/v1/projects", &json!({ "slug": "store" })).await.json();
    let place = format!("/projects/{}/audit", project["id"].as_str().unwrap());
    let session = format!("eyrie_session={ann}");
    let shown = async |path: &str| site.ask("GET", path, &[("cookie", &session)], "").await;
    let blank = "resource=&user=&token_id=&action=&verdict=&since=&until=";
    let page = shown(&format!("{place}?{blank}")).await;
    assert_eq!(page.status, 200, "{}", page.text);
    assert!(page.text.contains("project.create"));
    let none = shown(&format!("{place}?action=run.start&resource=%22%3E%3Cscript%3E")).await;
    assert!(none.text.contains("No entries.") && !none.text.contains("\"><script>"), "{}", none.text);
    let export = shown(&format!("{place}/export?{blank}")).await;
    assert_eq!(export.header("content-type"), "application/x-ndjson");
    assert_eq!(export.text.lines().count(), 1);
    assert_eq!(shown("/audit/export?action=project.create").await.text.lines().count(), 1);
    assert_eq!(shown(&format!("{place}?since=yesterday")).await.status, 422);
    let mallory = site.outsider().await;
    let mallory = format!("eyrie_session={mallory}");
    for (path, status) in [(format!("{place}/export"), 404), ("/audit/export".to_owned(), 403), (place, 404)] {
        assert_eq!(site.ask("GET", &path, &[("cookie", &mallory)], "").await.status, status, "{path}");
    }
    assert_eq!(site.ask("GET", "/audit/export", &[], "").await.header("location"), "/login");
}
