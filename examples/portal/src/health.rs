//! Whether it lives, whether it is ready, and what it counts.

use std::{fmt::Write as _, sync::atomic::Ordering};

use axum::{
    extract::State,
    http::{Extensions, HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use eyrie_core::{
    model::{Principal, RunState},
    store::{PageRequest, RunFilter},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    authentication::{bearer, peer},
    portal::Portal,
    problem::{Answer, Problem},
};

pub(crate) fn routes() -> OpenApiRouter<Portal> {
    OpenApiRouter::new().routes(routes!(live)).routes(routes!(ready)).routes(routes!(metrics))
}

/// The process answers.
#[utoipa::path(get, path = "/healthz", tag = "health", security(()), responses((status = 200, description = "It lives.")))]
async fn live() -> &'static str {
    "ok\n"
}

/// The store can be read.
#[utoipa::path(get, path = "/readyz", tag = "health", security(()),
    responses((status = 200, description = "It is ready."), (status = 503, description = "The store cannot be read.")))]
async fn ready(State(portal): State<Portal>) -> Answer<&'static str> {
    if portal.options.closing.is_cancelled() {
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not available", "the server is stopping"));
    }
    match portal.eyrie.has_users().await {
        Ok(_) => Ok("ok\n"),
        Err(error) => {
            tracing::error!(error = %eyrie_core::error::report(&error), "the store cannot be read");
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not available", "the store cannot be read"))
        }
    }
}

/// Counts in the Prometheus text format. Open to the machine itself, to others with a token.
#[utoipa::path(get, path = "/metrics", tag = "health", responses((status = 200, description = "The counts.", content_type = "text/plain")))]
async fn metrics(State(portal): State<Portal>, request: Extensions, headers: HeaderMap) -> Answer {
    // What came through a proxy is not from this machine, although its peer is.
    let forwarded = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-real-ip", "forwarded", "via"]
        .iter()
        .any(|name| headers.contains_key(*name));
    if forwarded || !peer(&request).is_some_and(|peer| peer.is_loopback()) {
        let secret = bearer(&headers)?.ok_or_else(|| Problem::unauthenticated("send Authorization: Bearer with a token"))?;
        portal.acting(secret, &request).await?;
    }
    Ok(text(counts(&portal).await?))
}

fn text(body: String) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], body).into_response()
}

async fn counts(portal: &Portal) -> Answer<String> {
    let mut out = String::new();
    let mut family = |name: &str, kind: &str, help: &str, rows: &[(String, String)]| {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in rows {
            let _ = writeln!(out, "{name}{labels} {value}");
        }
    };
    let plain = |value: String| [(String::new(), value)];
    family("eyrie_uptime_seconds", "gauge", "Since the portal was made.", &plain(portal.started.elapsed().as_secs().to_string()));
    let answers = portal
        .answers
        .iter()
        .enumerate()
        .skip(1)
        .map(|(class, count)| (format!("{{status=\"{class}xx\"}}"), count.load(Ordering::Relaxed).to_string()));
    family("eyrie_http_responses_total", "counter", "Answers by status.", &answers.collect::<Vec<_>>());
    let failed = portal.failed_sign_ins.load(Ordering::Relaxed).to_string();
    family("eyrie_sign_in_failures_total", "counter", "Sign-ins that were refused.", &plain(failed));
    family("eyrie_event_streams", "gauge", "Event streams that are open.", &plain(portal.open_streams.load(Ordering::Relaxed).to_string()));
    let acting = portal.eyrie.acting_as(Principal::System { cause: "metrics".to_owned() });
    let mut rows = Vec::new();
    for &state in RunState::ALL.iter().filter(|state| !state.is_terminal()) {
        let filter = RunFilter { state: Some(state), ..RunFilter::default() };
        let runs = acting.runs(filter, PageRequest::first(PageRequest::MAX)?).await?;
        rows.push((format!("{{state=\"{state}\"}}"), runs.items.len().to_string()));
    }
    family("eyrie_runs", "gauge", "Runs that have not ended, by state; counted up to 500 each.", &rows);
    Ok(out)
}
