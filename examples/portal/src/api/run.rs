//! Runs: started, looked at, cancelled, resumed, started again, and their logs.

use axum::{
    Json,
    body::Bytes,
    http::{HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};
use eyrie_core::{
    Acting, Error,
    id::{DeploymentId, RunId},
    model::Run,
    platform::{RunView, StartRun},
    store::{Page, RunFilter},
};
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::located;
use crate::{
    authentication::Caller,
    decision::Decision,
    portal::Portal,
    problem::{Answer, Problem},
    request::{Body, Filter, Id, IdempotencyKey},
    schema,
};

/// How much of a log is answered at a time, in bytes, about.
const LOG_PIECE: usize = 256 * 1024;
/// Where the next piece of a log begins.
const LOG_END: HeaderName = HeaderName::from_static("eyrie-log-end");

pub(super) fn routes() -> OpenApiRouter<Portal> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(start, list_of_deployment))
        .routes(routes!(get))
        .routes(routes!(cancel))
        .routes(routes!(resume))
        .routes(routes!(rerun))
        .routes(routes!(retry_undo))
        .routes(routes!(log))
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reason {
    #[serde(default)]
    reason: String,
}

/// Lists runs, newest first. Without a project, deployment or service: all of them, for operators.
#[utoipa::path(get, path = "/api/v1/runs", tag = "runs",
    params(("project" = Option<String>, Query), ("deployment" = Option<String>, Query), ("service" = Option<String>, Query),
        ("state" = Option<String>, Query), ("limit" = Option<u32>, Query), ("after" = Option<String>, Query)),
    responses((status = 200, description = "A page.", body = schema::Page<schema::Run>)))]
async fn list(Caller(acting): Caller, mut filter: Filter) -> Answer<Json<Page<Run>>> {
    let wanted = RunFilter {
        project: filter.take("project")?,
        deployment: filter.take("deployment")?,
        service: filter.take("service")?,
        state: filter.take("state")?,
        ..RunFilter::default()
    };
    let page = filter.page()?;
    filter.end()?;
    Ok(Json(acting.runs(wanted, page).await?))
}

/// Lists a deployment's runs, newest first.
#[utoipa::path(get, path = "/api/v1/deployments/{id}/runs", tag = "runs",
    params(("id" = String, Path), ("state" = Option<String>, Query), ("limit" = Option<u32>, Query), ("after" = Option<String>, Query)),
    responses((status = 200, description = "A page.", body = schema::Page<schema::Run>)))]
async fn list_of_deployment(Caller(acting): Caller, Id(deployment): Id<DeploymentId>, mut filter: Filter) -> Answer<Json<Page<Run>>> {
    let wanted = RunFilter { deployment: Some(deployment), state: filter.take("state")?, ..RunFilter::default() };
    let page = filter.page()?;
    filter.end()?;
    Ok(Json(acting.runs(wanted, page).await?))
}

/// Starts a run. It is durable when this answers.
#[utoipa::path(post, path = "/api/v1/deployments/{id}/runs", tag = "runs",
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header, description = "The same key starts nothing twice.")),
    request_body = schema::StartRun, responses((status = 202, description = "It is queued.", body = schema::Run)))]
async fn start(Caller(acting): Caller, Id(deployment): Id<DeploymentId>, key: IdempotencyKey, Body(start): Body<StartRun>) -> Answer {
    started(&acting, deployment, key, start).await
}

pub(super) async fn started(acting: &Acting, deployment: DeploymentId, key: IdempotencyKey, start: StartRun) -> Answer {
    let start = StartRun { request_key: key.0, ..start };
    Ok(queued(acting.start_run(deployment, start).await.map_err(named)?))
}

/// The refusal of a key, under the name of its header.
fn named(error: Error) -> Problem {
    match error.invalid() {
        Some(invalid) if invalid.field() == "idempotency_key" => Problem::invalid("Idempotency-Key", invalid.reason()),
        _ => error.into(),
    }
}

fn queued(run: Run) -> Response {
    let place = format!("/api/v1/runs/{}", run.id);
    located((StatusCode::ACCEPTED, Json(run)).into_response(), &place)
}

/// The run with its steps.
#[utoipa::path(get, path = "/api/v1/runs/{id}", tag = "runs", params(("id" = String, Path)),
    responses((status = 200, description = "The run.", body = schema::RunView)))]
async fn get(Caller(acting): Caller, Id(id): Id<RunId>) -> Answer<Json<RunView>> {
    Ok(Json(acting.run(id).await?))
}

/// Asks for the run to be cancelled. It is `cancelled` when everything has stopped. The body may be missing.
#[utoipa::path(post, path = "/api/v1/runs/{id}/cancel", tag = "runs", params(("id" = String, Path)),
    request_body = Option<schema::Reason>, responses((status = 202, description = "It is asked for.", body = schema::RunView)))]
async fn cancel(Caller(acting): Caller, Id(id): Id<RunId>, body: Bytes) -> Answer {
    decided(&acting, id, Decision::Cancel, &body).await
}

/// Lets a parked run go on, or continues a failed one: what succeeded stays. The body may be missing.
#[utoipa::path(post, path = "/api/v1/runs/{id}/resume", tag = "runs", params(("id" = String, Path)),
    request_body = Option<schema::Reason>, responses((status = 202, description = "It is queued again.", body = schema::RunView)))]
async fn resume(Caller(acting): Caller, Id(id): Id<RunId>, body: Bytes) -> Answer {
    decided(&acting, id, Decision::Resume, &body).await
}

/// Starts a run with the plan, kind and context of this one. It is durable when this answers.
#[utoipa::path(post, path = "/api/v1/runs/{id}/rerun", tag = "runs",
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header, description = "The same key starts nothing twice.")),
    responses((status = 202, description = "The new run is queued.", body = schema::Run)))]
async fn rerun(Caller(acting): Caller, Id(id): Id<RunId>, key: IdempotencyKey) -> Answer {
    Ok(queued(acting.rerun_run(id, key.0).await.map_err(named)?))
}

/// Tries every undo of the run that failed, or was cancelled, again. The body may be missing.
#[utoipa::path(post, path = "/api/v1/runs/{id}/retry-undo", tag = "runs", params(("id" = String, Path)),
    request_body = Option<schema::Reason>, responses((status = 202, description = "It is queued again.", body = schema::RunView)))]
async fn retry_undo(Caller(acting): Caller, Id(id): Id<RunId>, body: Bytes) -> Answer {
    decided(&acting, id, Decision::RetryUndo, &body).await
}

/// Carries out a decision for the reason that the body names.
pub(super) async fn decided(acting: &Acting, run: RunId, decision: Decision, body: &[u8]) -> Answer {
    let Reason { reason } = why(body)?;
    Ok((StatusCode::ACCEPTED, Json(decision.carry_out(acting, run, &reason).await?)).into_response())
}

fn why(body: &[u8]) -> Answer<Reason> {
    if body.is_empty() {
        return Ok(Reason::default());
    }
    serde_json::from_slice(body).map_err(|error| {
        if error.is_data() {
            Problem::invalid("reason", "send {\"reason\": \"…\"} or nothing")
        } else {
            Problem::malformed(format!("the body is not JSON: {error}"))
        }
    })
}

/// A piece of the run's log as it was written, with a line in place of what is no longer kept. Ask again from `Eyrie-Log-End` on.
#[utoipa::path(get, path = "/api/v1/runs/{id}/log", tag = "runs",
    params(("id" = String, Path), ("offset" = Option<u64>, Query, description = "Where to begin, in bytes.")),
    responses((status = 200, description = "The text.", content_type = "text/plain", body = String,
        headers(("Eyrie-Log-End" = u64, description = "Where the next piece begins.")))))]
async fn log(Caller(acting): Caller, Id(id): Id<RunId>, mut filter: Filter) -> Answer {
    let offset = filter.take_number("offset")?.unwrap_or(0);
    filter.end()?;
    let piece = acting.run_log(id, offset, LOG_PIECE).await?;
    Ok(log_text(piece.text(), piece.end))
}

/// A piece of log with where the next one begins.
pub(crate) fn log_text(text: String, end: u64) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()), (LOG_END, end.to_string())], text).into_response()
}
