//! Monitors, their logs, and results from outside.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use eyrie_core::{
    id::{DeploymentId, MonitorId},
    model::{MonitorPatch, MonitorResult, NewMonitor},
    store::MonitorFilter,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{located, lost, versioned};
use crate::{
    authentication::Caller,
    portal::Portal,
    problem::Answer,
    request::{Body, Filter, Id, IfMatch},
    schema,
};

pub(super) fn routes() -> OpenApiRouter<Portal> {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(get, update, delete)).routes(routes!(logs)).routes(routes!(record))
}

/// Makes a monitor of a deployment.
#[utoipa::path(post, path = "/api/v1/deployments/{id}/monitors", tag = "monitors", params(("id" = String, Path)),
    request_body = schema::NewMonitor, responses((status = 201, description = "It was made.", body = schema::Monitor)))]
async fn create(Caller(acting): Caller, Id(deployment): Id<DeploymentId>, Body(new): Body<NewMonitor>) -> Answer {
    let monitor = acting.create_monitor(deployment, new).await?;
    let response = versioned(StatusCode::CREATED, monitor.version, &monitor);
    Ok(located(response, &format!("/api/v1/monitors/{}", monitor.id)))
}

/// Lists a deployment's monitors in the order of their making.
#[utoipa::path(get, path = "/api/v1/deployments/{id}/monitors", tag = "monitors",
    params(("id" = String, Path), ("state" = Option<String>, Query, description = "Those in this state."), ("limit" = Option<u32>, Query),
        ("after" = Option<String>, Query)),
    responses((status = 200, description = "A page.", body = schema::Page<schema::Monitor>)))]
async fn list(Caller(acting): Caller, Id(deployment): Id<DeploymentId>, mut filter: Filter) -> Answer {
    let wanted = MonitorFilter { state: filter.take("state")?, ..MonitorFilter::default() };
    let page = filter.page()?;
    filter.end()?;
    Ok(Json(acting.monitors(deployment, wanted, page).await?).into_response())
}

/// The monitor, with its state.
#[utoipa::path(get, path = "/api/v1/monitors/{id}", tag = "monitors", params(("id" = String, Path)),
    responses((status = 200, description = "The monitor, its version as ETag.", body = schema::Monitor)))]
async fn get(Caller(acting): Caller, Id(id): Id<MonitorId>) -> Answer {
    let monitor = acting.monitor(id).await?;
    Ok(versioned(StatusCode::OK, monitor.version, &monitor))
}

/// Changes the monitor that still has the version named. Another check, other thresholds, or taking it in or out of use make its state
/// unknown.
#[utoipa::path(patch, path = "/api/v1/monitors/{id}", tag = "monitors",
    params(("id" = String, Path), ("If-Match" = String, Header, description = "The ETag that was read.")),
    request_body = schema::MonitorPatch, responses((status = 200, description = "The monitor as it is now.", body = schema::Monitor)))]
async fn update(Caller(acting): Caller, Id(id): Id<MonitorId>, version: IfMatch, Body(patch): Body<MonitorPatch>) -> Answer {
    let monitor = acting.monitor(id).await?;
    let version = version.check(monitor.version)?;
    let monitor = acting.update_monitor(id, version, patch).await.map_err(lost)?;
    Ok(versioned(StatusCode::OK, monitor.version, &monitor))
}

/// Deletes the monitor with its log.
#[utoipa::path(delete, path = "/api/v1/monitors/{id}", tag = "monitors", params(("id" = String, Path)),
    responses((status = 204, description = "It is gone.")))]
async fn delete(Caller(acting): Caller, Id(id): Id<MonitorId>) -> Answer<Response> {
    acting.delete_monitor(id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Lists the monitor's results, newest first.
#[utoipa::path(get, path = "/api/v1/monitors/{id}/logs", tag = "monitors",
    params(("id" = String, Path), ("limit" = Option<u32>, Query), ("after" = Option<String>, Query)),
    responses((status = 200, description = "A page.", body = schema::Page<schema::MonitorLog>)))]
async fn logs(Caller(acting): Caller, Id(id): Id<MonitorId>, mut filter: Filter) -> Answer {
    let page = filter.page()?;
    filter.end()?;
    Ok(Json(acting.monitor_logs(id, page).await?).into_response())
}

/// Records what a check from outside has found out.
#[utoipa::path(post, path = "/api/v1/monitors/{id}/results", tag = "monitors", params(("id" = String, Path)),
    request_body = schema::MonitorResult,
    responses((status = 201, description = "It counts: the monitor as it is now, and the line of its log.", body = schema::RecordedResult)))]
async fn record(Caller(acting): Caller, Id(id): Id<MonitorId>, Body(result): Body<MonitorResult>) -> Answer {
    let recorded = acting.record_monitor_result(id, result).await?;
    Ok(versioned(StatusCode::CREATED, recorded.monitor.version, &recorded))
}
