//! The queue: where a run stands, and what waits with it.

use axum::Json;
use eyrie_core::{
    Acting,
    id::{DeploymentId, ProjectId, RunId},
    model::QueuePlace,
    platform::QueuedRun,
    store::{Page, QueueOf},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    authentication::Caller,
    portal::Portal,
    problem::Answer,
    request::{Filter, Id},
    schema,
};

pub(super) fn routes() -> OpenApiRouter<Portal> {
    OpenApiRouter::new().routes(routes!(place)).routes(routes!(of_deployment)).routes(routes!(of_project))
}

/// Where the run stands in the queue of its deployment, and why it waits.
#[utoipa::path(get, path = "/api/v1/runs/{id}/queue", tag = "runs", params(("id" = String, Path)),
    responses((status = 200, description = "The place; all null once the run has ended.", body = schema::QueuePlace)))]
async fn place(Caller(acting): Caller, Id(id): Id<RunId>, filter: Filter) -> Answer<Json<QueuePlace>> {
    filter.end()?;
    Ok(Json(acting.queue_place(id).await?))
}

/// Lists a deployment's runs that have not ended: the one that has the turn, then the others in the order in which they get it.
#[utoipa::path(get, path = "/api/v1/deployments/{id}/queue", tag = "runs",
    params(("id" = String, Path), ("limit" = Option<u32>, Query), ("after" = Option<String>, Query)),
    responses((status = 200, description = "A page.", body = schema::Page<schema::QueuedRun>)))]
async fn of_deployment(Caller(acting): Caller, Id(id): Id<DeploymentId>, filter: Filter) -> Answer<Json<Page<QueuedRun>>> {
    listed(&acting, QueueOf::Deployment(id), filter).await
}

/// Lists a project's runs that have not ended, in the order in which they were queued.
#[utoipa::path(get, path = "/api/v1/projects/{id}/queue", tag = "runs",
    params(("id" = String, Path), ("limit" = Option<u32>, Query), ("after" = Option<String>, Query)),
    responses((status = 200, description = "A page.", body = schema::Page<schema::QueuedRun>)))]
async fn of_project(Caller(acting): Caller, Id(id): Id<ProjectId>, filter: Filter) -> Answer<Json<Page<QueuedRun>>> {
    listed(&acting, QueueOf::Project(id), filter).await
}

async fn listed(acting: &Acting, of: QueueOf, mut filter: Filter) -> Answer<Json<Page<QueuedRun>>> {
    let page = filter.page()?;
    filter.end()?;
    Ok(Json(acting.queue(of, page).await?))
}
