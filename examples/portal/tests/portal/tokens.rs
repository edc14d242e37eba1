//! Tokens over HTTP: made, listed, replaced and revoked, through REST and on their pages.

use eyrie_core::model::{NewProject, Principal};
use serde_json::json;

use crate::{
    browser::{hidden, send},
    site::Site,
};

#[tokio::test]
async fn a_token_is_made_replaced_and_revoked_over_rest() {
    let (site, ann) = Site::with_ann().await;
    let project = site.post(&ann, "/api/v1/projects", &json!({ "slug": "store" })).await.json()["id"].clone();
    let new = |can| json!({ "name": "ci", "target": { "project": project }, "capabilities": can, "origin": "ci", "days": 7 });
    for (field, body) in [
        ("capabilities", new(json!([]))),
        ("capabilities", new(json!(["everything"]))),
        ("target", json!({ "name": "ci", "target": { "moon": project }, "origin": "ci", "days": 7 })),
    ] {
        let refused = site.post(&ann, "/api/v1/tokens", &body).await;
        assert!(refused.status.is_client_error(), "{field}: {}", refused.text);
        assert!(refused.json()["field"].as_str().unwrap().starts_with(field), "{field}: {}", refused.text);
    }
    let made = site.post(&ann, "/api/v1/tokens", &new(json!(["read"]))).await;
    assert_eq!(made.status, 201);
    let (first, token) = (made.json()["secret"].as_str().unwrap().to_owned(), made.json()["token"].clone());
    assert_eq!((&token["capabilities"], &token["project_id"]), (&json!(["read"]), &project));
    let place = format!("/api/v1/tokens/{}", token["id"].as_str().unwrap());
    assert_eq!(site.get(&ann, &place).await.json(), token);
    let reads = format!("/api/v1/projects/{}", project.as_str().unwrap());
    assert_eq!(site.get(&first, &reads).await.status, 200);
    assert!(site.get(&ann, &place).await.json()["last_used_at"].is_string());

    let rotated = site.post(&ann, &format!("{place}/rotate"), &json!({ "overlap_seconds": 60 })).await;
    assert_eq!(rotated.status, 201, "{}", rotated.text);
    assert_eq!(rotated.json()["token"]["replaces"], token["id"]);
    let second = rotated.json()["secret"].as_str().unwrap().to_owned();
    assert_eq!([site.get(&first, &reads).await.status, site.get(&second, &reads).await.status], [200, 200]);
    let listed = site.get(&ann, &format!("/api/v1/tokens?project={}&kind=service", project.as_str().unwrap())).await;
    assert_eq!(listed.json()["items"].as_array().unwrap().len(), 2);
    assert!(!listed.text.contains(&first) && !listed.text.contains(&second) && !listed.text.contains("secret"));
    assert_eq!(site.ask("DELETE", &place, &[("authorization", &format!("Bearer {ann}"))], "").await.status, 204);
    assert_eq!([site.get(&first, &reads).await.status, site.get(&second, &reads).await.status], [401, 200]);
    let (status, _) = site.post(&ann, &format!("{place}/rotate"), &json!({})).await.problem();
    assert_eq!(status, 409, "it is revoked");
}

#[tokio::test]
async fn the_pages_show_a_secret_once() {
    let (site, ann) = Site::with_ann().await;
    let me = site.eyrie.acting_as(Principal::local_operator());
    let project = me.create_project(NewProject::new("store").unwrap()).await.unwrap().id;
    let (session, place) = (format!("eyrie_session={ann}"), format!("/projects/{project}/tokens"));
    let shown = async |path: &str| site.ask("GET", path, &[("cookie", &session)], "").await;
    let page = shown(&place).await;
    assert_eq!(page.status, 200, "{}", page.text);
    let csrf = hidden(&page.text, "csrf");
    let form = |more: &str| format!("csrf={csrf}&name=from+%3Cci%3E&target=project%3A{project}&origin=ci&days=3{more}");
    assert_eq!(send(&site, &place, &session, &[], &form("").replace(&csrf, "0")).await.status, 403);
    assert_eq!(send(&site, &place, &session, &[], &form("").replace("project%3A", "moon%3A")).await.status, 422);
    let made = send(&site, &place, &session, &[], &form("&deploy=true")).await;
    assert_eq!((made.status.as_u16(), made.header("cache-control")), (200, "no-store"), "{}", made.text);
    let secret = |text: &str| text.split_once("<code>eyv_").map(|(_, rest)| format!("eyv_{}", rest.split('<').next().unwrap()));
    let first = secret(&made.text).expect("the secret is shown");
    assert_eq!(site.get(&first, &format!("/api/v1/projects/{project}")).await.status, 200);
    let listed = shown(&place).await.text;
    assert!(listed.contains("from &lt;ci&gt;") && listed.contains("read, deploy") && !listed.contains("eyv_"), "{listed}");
    assert!(shown("/tokens").await.text.contains("session of ann"));

    let id = listed.split_once("/tokens/").unwrap().1.split('/').next().unwrap().to_owned();
    assert_eq!(send(&site, &format!("/tokens/{id}/rotate"), &session, &[], "csrf=0").await.status, 403);
    let replaced = send(&site, &format!("/tokens/{id}/rotate"), &session, &[], &format!("csrf={csrf}")).await;
    let second = secret(&replaced.text).expect("the new secret is shown");
    assert_ne!(first, second);
    assert_eq!(send(&site, &format!("/tokens/{id}/revoke"), &session, &[], &format!("csrf={csrf}")).await.header("location"), place);
    let status = async |secret: &str| site.get(secret, &format!("/api/v1/projects/{project}")).await.status.as_u16();
    assert_eq!([status(&first).await, status(&second).await], [401, 200]);

    let mallory = site.outsider().await;
    let mallory = format!("eyrie_session={mallory}");
    assert_eq!(site.ask("GET", &place, &[("cookie", &mallory)], "").await.status, 404);
    let own = site.ask("GET", "/tokens", &[("cookie", &mallory)], "").await;
    let csrf = hidden(&own.text, "csrf");
    assert_eq!(send(&site, &format!("/tokens/{id}/revoke"), &mallory, &[], &format!("csrf={csrf}")).await.status, 404);
    assert_eq!(send(&site, &place, &mallory, &[], &form("").replace(&hidden(&page.text, "csrf"), &csrf)).await.status, 404);
}
