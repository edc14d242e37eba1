//! Deployment groups.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use eyrie_core::{
    id::{GroupId, ProjectId},
    model::{GroupPatch, NewGroup},
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

/// Makes a group.
#[utoipa::path(post, path = "/api/v1/projects/{id}/groups", tag = "groups", params(("id" = String, Path)),
    request_body = schema::NewGroup, responses((status = 201, description = "It was made.", body = schema::Group)))]
async fn create(Caller(acting): Caller, Id(parent): Id<ProjectId>, Body(new): Body<NewGroup>) -> Answer {
    let group = acting.create_group(parent, new).await?;
    let response = versioned(StatusCode::CREATED, group.version, &group);
    Ok(located(response, &format!("/api/v1/groups/{}", group.id)))
}

/// Lists groups in the order of their making.
#[utoipa::path(get, path = "/api/v1/projects/{id}/groups", tag = "groups", params(("id" = String, Path), ("limit" = Option<u32>, Query, description = "1 to 500; 100 if missing."), ("after" = Option<String>, Query, description = "The `next` of the page before.")),
    responses((status = 200, description = "A page.", body = schema::Page<schema::Group>)))]
async fn list(Caller(acting): Caller, Id(parent): Id<ProjectId>, mut filter: Filter) -> Answer {
    let page = filter.page()?;
    filter.end()?;
    Ok(Json(acting.groups(parent, page).await?).into_response())
}

/// The group.
#[utoipa::path(get, path = "/api/v1/groups/{id}", tag = "groups", params(("id" = String, Path)),
    responses((status = 200, description = "The group, its version as ETag.", body = schema::Group)))]
async fn get(Caller(acting): Caller, Id(id): Id<GroupId>) -> Answer {
    let group = acting.group(id).await?;
    Ok(versioned(StatusCode::OK, group.version, &group))
}

/// Changes the group that still has the version named.
#[utoipa::path(patch, path = "/api/v1/groups/{id}", tag = "groups",
    params(("id" = String, Path), ("If-Match" = String, Header, description = "The ETag that was read.")),
    request_body = schema::Patch, responses((status = 200, description = "The group as it is now.", body = schema::Group)))]
async fn update(Caller(acting): Caller, Id(id): Id<GroupId>, version: IfMatch, Body(patch): Body<GroupPatch>) -> Answer {
    let group = acting.group(id).await?;
    let version = version.check(group.version)?;
    let group = acting.update_group(id, version, patch).await.map_err(lost)?;
    Ok(versioned(StatusCode::OK, group.version, &group))
}

/// Deletes the group, unless something still needs it.
#[utoipa::path(delete, path = "/api/v1/groups/{id}", tag = "groups", params(("id" = String, Path)),
    responses((status = 204, description = "It is gone.")))]
async fn delete(Caller(acting): Caller, Id(id): Id<GroupId>) -> Answer<Response> {
    acting.delete_group(id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
