//! Settings explained, what a deploy would change, what a release changed, and the schemas of deployment types.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use eyrie_core::{
    id::{DeploymentId, ReleaseId},
    name::GroupType,
    platform::{DeploymentTypeView, ReleaseDiff},
};
use serde::Serialize;
use serde_json::Value;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::versioned;
use crate::{
    authentication::Caller,
    portal::Portal,
    problem::Answer,
    request::{Filter, Id},
    schema,
};

pub(super) fn routes() -> OpenApiRouter<Portal> {
    OpenApiRouter::new()
        .routes(routes!(explain))
        .routes(routes!(deployment_diff))
        .routes(routes!(release_diff))
        .routes(routes!(types))
        .routes(routes!(type_schema))
}

/// The deployment's settings: of each its value, the level that set it, and what that hides further away.
#[utoipa::path(get, path = "/api/v1/deployments/{id}/settings", tag = "settings", params(("id" = String, Path)),
    responses((status = 200, description = "The settings; the deployment's version as ETag.", body = schema::SettingsView)))]
async fn explain(Caller(acting): Caller, Id(id): Id<DeploymentId>) -> Answer<Response> {
    let view = acting.explain_settings(id).await?;
    Ok(versioned(axum::http::StatusCode::OK, view.version, &view))
}

/// What a deploy would change now, beside the newest release.
#[utoipa::path(get, path = "/api/v1/deployments/{id}/diff", tag = "settings", params(("id" = String, Path)),
    responses((status = 200, description = "What differs.", body = schema::ReleaseDiff)))]
async fn deployment_diff(Caller(acting): Caller, Id(id): Id<DeploymentId>) -> Answer<Json<ReleaseDiff>> {
    Ok(Json(acting.deployment_diff(id).await?))
}

/// What the release changed, against the one before it or another one.
#[utoipa::path(get, path = "/api/v1/releases/{id}/diff", tag = "settings",
    params(("id" = String, Path), ("against" = Option<String>, Query, description = "A release, also of another deployment; the one before if missing.")),
    responses((status = 200, description = "What differs.", body = schema::ReleaseDiff)))]
async fn release_diff(Caller(acting): Caller, Id(id): Id<ReleaseId>, mut filter: Filter) -> Answer<Json<ReleaseDiff>> {
    let against = filter.take("against")?;
    filter.end()?;
    Ok(Json(acting.release_diff(id, against).await?))
}

/// All of a short list.
#[derive(Debug, Serialize)]
struct Items {
    items: Vec<DeploymentTypeView>,
}

/// Lists the deployment types that the server knows.
#[utoipa::path(get, path = "/api/v1/deployment-types", tag = "settings",
    responses((status = 200, description = "The types, by name.", body = schema::DeploymentTypes)))]
async fn types(Caller(acting): Caller) -> Answer<Response> {
    Ok(Json(Items { items: acting.deployment_types().await? }).into_response())
}

/// The JSON schema of a deployment type's settings.
#[utoipa::path(get, path = "/api/v1/deployment-types/{type}/schema", tag = "settings", params(("type" = String, Path)),
    responses((status = 200, description = "A JSON schema.", body = Value)))]
async fn type_schema(Caller(acting): Caller, Id(name): Id<GroupType>) -> Answer<Json<Value>> {
    Ok(Json(acting.deployment_type_schema(&name).await?))
}
