//! Projects.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use eyrie_core::{
    id::ProjectId,
    model::{NewProject, ProjectPatch},
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

/// Makes a project.
#[utoipa::path(post, path = "/api/v1/projects", tag = "projects",
    request_body = schema::NewProject, responses((status = 201, description = "It was made.", body = schema::Project)))]
async fn create(Caller(acting): Caller, Body(new): Body<NewProject>) -> Answer {
    let project = acting.create_project(new).await?;
    let response = versioned(StatusCode::CREATED, project.version, &project);
    Ok(located(response, &format!("/api/v1/projects/{}", project.id)))
}

/// Lists projects in the order of their making.
#[utoipa::path(get, path = "/api/v1/projects", tag = "projects", params(("limit" = Option<u32>, Query, description = "1 to 500; 100 if missing."), ("after" = Option<String>, Query, description = "The `next` of the page before.")),
    responses((status = 200, description = "A page.", body = schema::Page<schema::Project>)))]
async fn list(Caller(acting): Caller, mut filter: Filter) -> Answer {
    let page = filter.page()?;
    filter.end()?;
    Ok(Json(acting.projects(page).await?).into_response())
}

/// The project.
#[utoipa::path(get, path = "/api/v1/projects/{id}", tag = "projects", params(("id" = String, Path)),
    responses((status = 200, description = "The project, its version as ETag.", body = schema::Project)))]
async fn get(Caller(acting): Caller, Id(id): Id<ProjectId>) -> Answer {
    let project = acting.project(id).await?;
    Ok(versioned(StatusCode::OK, project.version, &project))
}

/// Changes the project that still has the version named.
#[utoipa::path(patch, path = "/api/v1/projects/{id}", tag = "projects",
    params(("id" = String, Path), ("If-Match" = String, Header, description = "The ETag that was read.")),
    request_body = schema::Patch, responses((status = 200, description = "The project as it is now.", body = schema::Project)))]
async fn update(Caller(acting): Caller, Id(id): Id<ProjectId>, version: IfMatch, Body(patch): Body<ProjectPatch>) -> Answer {
    let project = acting.project(id).await?;
    let version = version.check(project.version)?;
    let project = acting.update_project(id, version, patch).await.map_err(lost)?;
    Ok(versioned(StatusCode::OK, project.version, &project))
}

/// Deletes the project, unless something still needs it.
#[utoipa::path(delete, path = "/api/v1/projects/{id}", tag = "projects", params(("id" = String, Path)),
    responses((status = 204, description = "It is gone.")))]
async fn delete(Caller(acting): Caller, Id(id): Id<ProjectId>) -> Answer<Response> {
    acting.delete_project(id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
