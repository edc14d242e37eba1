//! Deployments.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use eyrie_core::{
    id::{DeploymentId, GroupId},
    model::{DeploymentPatch, NewDeployment},
    store::DeploymentFilter,
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

/// Makes a deployment.
#[utoipa::path(post, path = "/api/v1/groups/{id}/deployments", tag = "deployments", params(("id" = String, Path)),
    request_body = schema::NewDeployment, responses((status = 201, description = "It was made.", body = schema::Deployment)))]
async fn create(Caller(acting): Caller, Id(parent): Id<GroupId>, Body(new): Body<NewDeployment>) -> Answer {
    let deployment = acting.create_deployment(parent, new).await?;
    let response = versioned(StatusCode::CREATED, deployment.version, &deployment);
    Ok(located(response, &format!("/api/v1/deployments/{}", deployment.id)))
}

/// Lists deployments in the order of their making.
#[utoipa::path(get, path = "/api/v1/groups/{id}/deployments", tag = "deployments", params(("id" = String, Path), ("limit" = Option<u32>, Query, description = "1 to 500; 100 if missing."), ("after" = Option<String>, Query, description = "The `next` of the page before.")),
    responses((status = 200, description = "A page.", body = schema::Page<schema::Deployment>)))]
async fn list(Caller(acting): Caller, Id(parent): Id<GroupId>, mut filter: Filter) -> Answer {
    let page = filter.page()?;
    filter.end()?;
    Ok(Json(acting.deployments(DeploymentFilter { group: Some(parent), ..DeploymentFilter::default() }, page).await?).into_response())
}

/// The deployment.
#[utoipa::path(get, path = "/api/v1/deployments/{id}", tag = "deployments", params(("id" = String, Path)),
    responses((status = 200, description = "The deployment, its version as ETag.", body = schema::DeploymentView)))]
async fn get(Caller(acting): Caller, Id(id): Id<DeploymentId>) -> Answer {
    let deployment = acting.deployment(id).await?;
    Ok(versioned(StatusCode::OK, deployment.deployment.version, &deployment))
}

/// Changes the deployment that still has the version named.
#[utoipa::path(patch, path = "/api/v1/deployments/{id}", tag = "deployments",
    params(("id" = String, Path), ("If-Match" = String, Header, description = "The ETag that was read.")),
    request_body = schema::DeploymentPatch, responses((status = 200, description = "The deployment as it is now.", body = schema::Deployment)))]
async fn update(Caller(acting): Caller, Id(id): Id<DeploymentId>, version: IfMatch, Body(patch): Body<DeploymentPatch>) -> Answer {
    let deployment = acting.deployment(id).await?;
    let version = version.check(deployment.deployment.version)?;
    let deployment = acting.update_deployment(id, version, patch).await.map_err(lost)?;
    Ok(versioned(StatusCode::OK, deployment.version, &deployment))
}

/// Deletes the deployment, unless something still needs it.
#[utoipa::path(delete, path = "/api/v1/deployments/{id}", tag = "deployments", params(("id" = String, Path)),
    responses((status = 204, description = "It is gone.")))]
async fn delete(Caller(acting): Caller, Id(id): Id<DeploymentId>) -> Answer<Response> {
    acting.delete_deployment(id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
