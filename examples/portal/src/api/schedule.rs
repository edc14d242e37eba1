//! Schedules.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use eyrie_core::{
    id::{DeploymentId, ScheduleId},
    model::{NewSchedule, SchedulePatch},
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
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(get, update, delete))
}

/// Makes a schedule of a deployment's runs.
#[utoipa::path(post, path = "/api/v1/deployments/{id}/schedules", tag = "schedules", params(("id" = String, Path)),
    request_body = schema::NewSchedule, responses((status = 201, description = "It was made.", body = schema::Schedule)))]
async fn create(Caller(acting): Caller, Id(deployment): Id<DeploymentId>, Body(new): Body<NewSchedule>) -> Answer {
    let schedule = acting.create_schedule(deployment, new).await?;
    let response = versioned(StatusCode::CREATED, schedule.version, &schedule);
    Ok(located(response, &format!("/api/v1/schedules/{}", schedule.id)))
}

/// Lists a deployment's schedules in the order of their making.
#[utoipa::path(get, path = "/api/v1/deployments/{id}/schedules", tag = "schedules", params(("id" = String, Path), ("limit" = Option<u32>, Query, description = "1 to 500; 100 if missing."), ("after" = Option<String>, Query, description = "The `next` of the page before.")),
    responses((status = 200, description = "A page.", body = schema::Page<schema::Schedule>)))]
async fn list(Caller(acting): Caller, Id(deployment): Id<DeploymentId>, mut filter: Filter) -> Answer {
    let page = filter.page()?;
    filter.end()?;
    Ok(Json(acting.schedules(deployment, page).await?).into_response())
}

/// The schedule.
#[utoipa::path(get, path = "/api/v1/schedules/{id}", tag = "schedules", params(("id" = String, Path)),
    responses((status = 200, description = "The schedule, its version as ETag.", body = schema::Schedule)))]
async fn get(Caller(acting): Caller, Id(id): Id<ScheduleId>) -> Answer {
    let schedule = acting.schedule(id).await?;
    Ok(versioned(StatusCode::OK, schedule.version, &schedule))
}

/// Changes the schedule that still has the version named. Its runs are within the caller's rights from then on.
#[utoipa::path(patch, path = "/api/v1/schedules/{id}", tag = "schedules",
    params(("id" = String, Path), ("If-Match" = String, Header, description = "The ETag that was read.")),
    request_body = schema::SchedulePatch, responses((status = 200, description = "The schedule as it is now.", body = schema::Schedule)))]
async fn update(Caller(acting): Caller, Id(id): Id<ScheduleId>, version: IfMatch, Body(patch): Body<SchedulePatch>) -> Answer {
    let schedule = acting.schedule(id).await?;
    let version = version.check(schedule.version)?;
    let schedule = acting.update_schedule(id, version, patch).await.map_err(lost)?;
    Ok(versioned(StatusCode::OK, schedule.version, &schedule))
}

/// Deletes the schedule; the runs that it started stay.
#[utoipa::path(delete, path = "/api/v1/schedules/{id}", tag = "schedules", params(("id" = String, Path)),
    responses((status = 204, description = "It is gone.")))]
async fn delete(Caller(acting): Caller, Id(id): Id<ScheduleId>) -> Answer<Response> {
    acting.delete_schedule(id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
