//! Pages and forms as a browser meets them.

use crate::site::{Answered, PASSWORD, Site};

/// The value of a hidden field.
pub(crate) fn hidden(page: &str, name: &str) -> String {
    let (_, rest) = page.split_once(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("no field {name} in {page}"));
    rest.split('"').next().unwrap().to_owned()
}

fn cookie(answer: &Answered, name: &str) -> String {
    let mut lines = answer.headers.get_all("set-cookie").iter().map(|line| line.to_str().unwrap());
    let line = lines.rfind(|line| line.starts_with(name)).unwrap();
    assert!(line.contains("; Path=/; HttpOnly; SameSite=Lax"), "{line}");
    line.split(';').next().unwrap().to_owned()
}

pub(crate) async fn send(site: &Site, path: &str, cookie: &str, more: &[(&str, &str)], body: &str) -> Answered {
    let mut headers = vec![("content-type", "application/x-www-form-urlencoded"), ("cookie", cookie)];
    headers.extend(more);
    site.ask("POST", path, &headers, body.to_owned()).await
}

#[tokio::test]
async fn the_setup_page_needs_its_token_and_vanishes() {
    let site = Site::new().await;
    let token = site.options.setup.as_ref().unwrap().reveal().to_owned();
    assert_eq!(site.ask("GET", "/login", &[], "").await.header("location"), "/setup");
    let page = site.ask("GET", "/setup", &[], "").await;
    assert_eq!(page.status, 200);
    assert!(!page.text.contains(&token));
    let (visit, csrf) = (cookie(&page, "eyrie_visit"), hidden(&page.text, "csrf"));
    let body = |token: &str, csrf: &str| format!("csrf={csrf}&setup={token}&name=ann&password={}", PASSWORD.replace(' ', "+"));
    assert_eq!(send(&site, "/setup", &visit, &[], &body("wrong", &csrf)).await.status, 401);
    assert_eq!(send(&site, "/setup", &visit, &[], &body("", &csrf)).await.status, 401);
    assert_eq!(send(&site, "/setup", "", &[], &body(&token, &csrf)).await.status, 403);
    assert_eq!(send(&site, "/setup", &visit, &[("sec-fetch-site", "cross-site")], &body(&token, &csrf)).await.status, 403);
    assert!(!site.eyrie.has_users().await.unwrap());
    let made = send(&site, "/setup", &visit, &[("sec-fetch-site", "same-origin"), ("origin", "null")], &body(&token, &csrf)).await;
    assert_eq!((made.status.as_u16(), made.header("location")), (303, "/"), "{}", made.text);
    let session = cookie(&made, "eyrie_session");
    assert_eq!(site.ask("GET", "/", &[("cookie", &session)], "").await.status, 200);
    assert_eq!(site.ask("GET", "/setup", &[], "").await.status, 404);
    assert_eq!(send(&site, "/setup", &visit, &[], &body(&token, &csrf)).await.status, 404);
    let mut without = Site::new().await;
    without.options.setup = None;
    without.router = eyrie_portal::router(without.eyrie.clone(), without.options.clone());
    assert_eq!(without.ask("GET", "/setup", &[], "").await.status, 404);
}

#[tokio::test]
async fn signing_in_sets_a_cookie_and_signing_out_ends_it() {
    let (site, _) = Site::with_ann().await;
    assert_eq!(site.ask("GET", "/", &[], "").await.header("location"), "/login");
    let page = site.ask("GET", "/login", &[("x-forwarded-proto", "https")], "").await;
    let (visit, csrf) = (cookie(&page, "eyrie_visit"), hidden(&page.text, "csrf"));
    assert!(page.header("set-cookie").ends_with("; Secure"));
    let wrong = send(&site, "/login", &visit, &[], &format!("csrf={csrf}&name=%3Cann%3E&password=nonsense")).await;
    assert_eq!(wrong.status, 401);
    assert!(wrong.text.contains("the name or the password is wrong") && wrong.text.contains("value=\"&lt;ann&gt;\""));
    let right = format!("csrf={csrf}&name=ann&password={}", PASSWORD.replace(' ', "+"));
    assert_eq!(send(&site, "/login", "eyrie_visit=another", &[], &right).await.status, 403);
    assert_eq!(send(&site, "/login", &visit, &[("origin", "https://evil.test")], &right).await.status, 403);
    let session = cookie(&send(&site, "/login", &visit, &[("origin", "http://portal.test")], &right).await, "eyrie_session");
    let home = site.ask("GET", "/", &[("cookie", &session)], "").await;
    assert_eq!(home.status, 200);
    let csrf = hidden(&home.text, "csrf");
    assert_eq!(send(&site, "/logout", &session, &[], "csrf=0").await.status, 403);
    assert_eq!(send(&site, "/logout", &session, &[], &format!("csrf={csrf}")).await.status, 303);
    assert_eq!(site.ask("GET", "/", &[("cookie", &session)], "").await.header("location"), "/login");
}

#[tokio::test]
async fn buttons_work_from_the_portals_own_pages_only() {
    let (site, ann) = Site::with_ann().await;
    let session = format!("eyrie_session={ann}");
    let report = site.post(&ann, "/api/v1/services/sync", &serde_json::Value::Null).await.json();
    let row = report["synced"].as_array().unwrap().iter().find(|row| row["name"] == "fails-midway").unwrap().clone();
    let deployment = format!("/deployments/{}", row["deployment_id"].as_str().unwrap());
    for path in ["/", "/runs", "/docs", &deployment, &format!("/services/{}", row["service_id"].as_str().unwrap())] {
        let page = site.ask("GET", path, &[("cookie", &session)], "").await;
        assert_eq!(page.status, 200, "{path}: {}", page.text);
        assert!(!page.text.contains("style=") && !page.text.contains("<script>") && !page.text.contains("onclick"), "{path}");
    }
    let page = site.ask("GET", &deployment, &[("cookie", &session)], "").await.text;
    let form = format!("csrf={}&key={}&kind=deploy&env=A%3Db%0D%0A", hidden(&page, "csrf"), hidden(&page, "key"));
    let start = format!("{deployment}/runs");
    assert_eq!(send(&site, &start, &session, &[("sec-fetch-site", "cross-site")], &form).await.status, 403);
    assert_eq!(send(&site, &start, &session, &[("sec-fetch-site", "same-site")], &form).await.status, 403);
    assert_eq!(send(&site, &start, &session, &[("origin", "http://evil.test")], &form).await.status, 403);
    assert_eq!(send(&site, &start, &session, &[], "csrf=&key=x").await.status, 403);
    assert_eq!(send(&site, &start, "", &[], &form).await.header("location"), "/login");
    assert_eq!(site.get(&ann, "/api/v1/runs").await.json()["items"].as_array().unwrap().len(), 0);
    let started = send(&site, &start, &session, &[("sec-fetch-site", "same-origin")], &form).await;
    assert_eq!(started.status, 303, "{}", started.text);
    let again = send(&site, &start, &session, &[("sec-fetch-site", "same-origin")], &form).await;
    assert_eq!(again.header("location"), started.header("location"), "sent twice, started once");
    let place = started.header("location").to_owned();
    let run = site.ended(place.trim_start_matches("/runs/").parse().unwrap()).await;
    assert_eq!((run.context["env"]["A"].as_str(), run.origin.as_str()), (Some("b"), "test"));
    let csrf = hidden(&page, "csrf");
    assert_eq!(send(&site, &format!("{place}/cancel"), &session, &[], &format!("csrf={csrf}")).await.status, 409);
    assert_eq!(site.ask("GET", &place, &[("cookie", &session)], "").await.status, 200);
}

#[tokio::test]
async fn what_a_step_says_is_shown_and_not_obeyed() {
    let (site, ann) = Site::with_ann().await;
    let run = site.markup_run().await;
    let session = format!("eyrie_session={ann}");
    for part in ["", "/live"] {
        let page = site.ask("GET", &format!("/runs/{}{part}", run.id), &[("cookie", &session)], "").await.text;
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;\u{241b}[31m"), "{page}");
        assert!(!page.contains("<script>alert") && !page.contains("<b>bold") && !page.contains('\u{1b}'));
    }
    let log = site.ask("GET", &format!("/runs/{}/log", run.id), &[("cookie", &session)], "").await;
    assert_eq!((log.text.as_str(), log.header("content-type")), ("log <i>line</i>\u{241b}[31m\n", "text/plain; charset=utf-8"));
}

#[tokio::test]
async fn the_audit_is_shown_to_those_who_may_read_it() {
    let (site, ann) = Site::with_ann().await;
    let run = site.markup_run().await;
    let bob = site.outsider().await;
    let see = async |who: &str, path: &str| site.ask("GET", path, &[("cookie", &format!("eyrie_session={who}"))], "").await;
    let of_project = format!("/projects/{}/audit", run.project_id);
    for path in ["/audit", of_project.as_str()] {
        let page = see(&ann, path).await;
        assert_eq!(page.status, 200, "{path}");
        assert!(
            page.text.contains("<code>run.start</code>") && page.text.contains(&format!("<code>run {}</code>", run.id)),
            "{}",
            page.text
        );
    }
    let about = see(&ann, &format!("/audit?resource=run+{}", run.id)).await.text;
    assert!(about.contains("run.start") && !about.contains("project.create"), "{about}");
    assert_eq!(see(&bob, "/audit").await.status, 403);
    assert_eq!(see(&bob, &of_project).await.status, 404);
    let refused = see(&ann, "/audit").await.text;
    assert!(refused.contains("data-state=\"refused\"") && refused.contains("<code>user.manage</code>"), "{refused}");
    let markup = see(&ann, "/audit?resource=%3Cscript%3E%22").await.text;
    assert!(markup.contains("&lt;script&gt;&quot;") && !markup.contains("<script>\""), "{markup}");
}
