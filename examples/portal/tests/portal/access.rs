//! What may not be seen looks like what does not exist; tokens go nowhere but in their header.

use serde_json::json;

use crate::site::{PASSWORD, Site};

const NOBODY: &str = "01234567-89ab-7cde-8f01-23456789abcd";

#[tokio::test]
async fn hidden_and_missing_are_the_same_to_the_byte() {
    let (site, ann) = Site::with_ann().await;
    let bob = site.outsider().await;
    let run = site.markup_run().await;
    let view = site.get(&ann, &format!("/api/v1/deployments/{}", run.deployment_id)).await.json();
    let group = view["group_id"].as_str().unwrap().to_owned();
    let missing = site.get(&bob, "/api/v1/no/such/route").await;
    assert_eq!(missing.problem(), (404, "not-found".to_owned()));
    for (kind, id) in [
        ("projects", run.project_id.to_string()),
        ("groups", group),
        ("deployments", run.deployment_id.to_string()),
        ("runs", run.id.to_string()),
    ] {
        assert_eq!(site.get(&ann, &format!("/api/v1/{kind}/{id}")).await.status, 200, "{kind}");
        for id in [id.as_str(), NOBODY, "x"] {
            let answer = site.get(&bob, &format!("/api/v1/{kind}/{id}")).await;
            assert_eq!((answer.status, &answer.text), (missing.status, &missing.text), "{kind} {id}");
            assert_eq!(answer.headers.len(), missing.headers.len());
        }
    }
    for filter in ["project", "deployment"] {
        let id = if filter == "project" { run.project_id.to_string() } else { run.deployment_id.to_string() };
        for id in [id.as_str(), NOBODY] {
            assert_eq!(site.get(&bob, &format!("/api/v1/runs?{filter}={id}")).await.text, missing.text);
        }
    }
    for id in [run.id.to_string().as_str(), NOBODY] {
        let cookie = format!("eyrie_session={bob}");
        assert_eq!(site.ask("GET", &format!("/api/v1/runs/{id}/events"), &[("cookie", &cookie)], "").await.text, missing.text);
        let page = site.ask("GET", &format!("/runs/{id}"), &[("cookie", &cookie)], "").await;
        assert_eq!((page.status.as_u16(), page.header("content-type")), (404, "text/html; charset=utf-8"));
        assert!(!page.text.contains(id));
    }
}

#[tokio::test]
async fn a_token_in_the_address_is_refused() {
    let (site, ann) = Site::with_ann().await;
    for path in [format!("/api/v1/projects?token={ann}"), format!("/?t%6Fken={ann}"), format!("/nowhere?a=1&access_token={ann}")] {
        assert_eq!(site.get(&ann, &path).await.problem(), (400, "malformed".to_owned()));
    }
}

#[tokio::test]
async fn every_answer_carries_the_headers() {
    let (site, ann) = Site::with_ann().await;
    for path in ["/healthz", "/nowhere", "/login", "/assets/portal.js", "/api/v1/projects", "/docs", "/readyz"] {
        let answer = site.get(&ann, path).await;
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("default-src 'self'") && policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert!(!answer.header("x-request-id").is_empty());
    }
}

#[tokio::test]
async fn sessions_begin_and_end_and_guessing_costs_time() {
    let (site, _) = Site::with_ann().await;
    let session = site
        .ask(
            "POST",
            "/api/v1/sessions",
            &[("content-type", "application/json")],
            json!({ "name": "ann", "password": PASSWORD }).to_string(),
        )
        .await;
    assert_eq!(session.status, 201, "{}", session.text);
    let token = session.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(site.get(&token, "/api/v1/projects").await.status, 200);
    assert_eq!(site.put("DELETE", &token, "/api/v1/sessions/current", &[], &json!({})).await.status, 204);
    assert_eq!(site.get(&token, "/api/v1/projects").await.status, 401);
    let guess = async |name: &str| {
        let body = json!({ "name": name, "password": "wrong wrong wrong" }).to_string();
        site.ask("POST", "/api/v1/sessions", &[("content-type", "application/json")], body).await
    };
    let (known, unknown) = (guess("ann").await, guess("nobody").await);
    assert_eq!((known.status.as_u16(), &known.text), (401, &unknown.text));
    let mut last = known;
    // How many it takes depends on how long each one takes.
    for _ in 0..20 {
        if last.status != 429 {
            last = guess("ann").await;
        }
    }
    assert_eq!(last.problem(), (429, "limit-exceeded".to_owned()));
    assert!(last.header("retry-after").parse::<u64>().unwrap() > 0);
}

#[tokio::test]
async fn metrics_are_open_to_the_machine_itself_only() {
    use axum::{body::Body, extract::ConnectInfo, http::Request};
    use std::net::SocketAddr;

    let (site, ann) = Site::with_ann().await;
    let from = async |peer: &str, forwarded: bool| {
        let mut request = Request::builder().uri("/metrics");
        if forwarded {
            request = request.header("x-forwarded-for", "203.0.113.9");
        }
        let mut request = request.body(Body::empty()).unwrap();
        request.extensions_mut().insert(ConnectInfo(peer.parse::<SocketAddr>().unwrap()));
        site.send(request).await
    };
    assert_eq!(from("203.0.113.9:5", false).await.status, 401);
    assert_eq!(from("127.0.0.1:5", true).await.status, 401);
    let own = from("127.0.0.1:5", false).await;
    assert!(
        own.text.contains("eyrie_runs{state=\"queued\"} 0\n") && own.text.contains("eyrie_http_responses_total{status=\"4xx\"} 2\n"),
        "{}",
        own.text
    );
    assert_eq!(site.get(&ann, "/metrics").await.status, 200);
}
