//! What somebody may do somewhere, and why.

use axum::Json;
use eyrie_core::{
    Acting,
    id::{DeploymentId, GroupId, ProjectId},
    platform::{Explanation, Place},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    authentication::Caller,
    portal::Portal,
    problem::{Answer, Problem},
    request::{Filter, Id},
    schema,
};

pub(super) fn routes() -> OpenApiRouter<Portal> {
    OpenApiRouter::new().routes(routes!(project)).routes(routes!(group)).routes(routes!(deployment))
}

async fn explained(acting: &Acting, place: Place, mut filter: Filter) -> Answer<Json<Explanation>> {
    let (user, permission) = (filter.take("user")?, filter.take("permission")?);
    filter.end()?;
    let permission = permission.ok_or_else(|| Problem::invalid("permission", "is missing"))?;
    Ok(Json(acting.explain(user, permission, place).await?))
}

/// Whether somebody has a permission at the project, and which grant decided.
#[utoipa::path(get, path = "/api/v1/projects/{id}/explain", tag = "members",
    params(("id" = String, Path), ("permission" = String, Query, description = "For instance run.start."),
        ("user" = Option<String>, Query, description = "The account; whoever asks, if missing.")),
    responses((status = 200, description = "The decision.", body = schema::Explanation)))]
async fn project(Caller(acting): Caller, Id(id): Id<ProjectId>, filter: Filter) -> Answer<Json<Explanation>> {
    explained(&acting, Place::Project(id), filter).await
}

/// Whether somebody has a permission at the group, and which grant decided.
#[utoipa::path(get, path = "/api/v1/groups/{id}/explain", tag = "members",
    params(("id" = String, Path), ("permission" = String, Query, description = "For instance run.start."),
        ("user" = Option<String>, Query, description = "The account; whoever asks, if missing.")),
    responses((status = 200, description = "The decision.", body = schema::Explanation)))]
async fn group(Caller(acting): Caller, Id(id): Id<GroupId>, filter: Filter) -> Answer<Json<Explanation>> {
    explained(&acting, Place::Group(id), filter).await
}

/// Whether somebody has a permission at the deployment, and which grant decided.
#[utoipa::path(get, path = "/api/v1/deployments/{id}/explain", tag = "members",
    params(("id" = String, Path), ("permission" = String, Query, description = "For instance run.start."),
        ("user" = Option<String>, Query, description = "The account; whoever asks, if missing.")),
    responses((status = 200, description = "The decision.", body = schema::Explanation)))]
async fn deployment(Caller(acting): Caller, Id(id): Id<DeploymentId>, filter: Filter) -> Answer<Json<Explanation>> {
    explained(&acting, Place::Deployment(id), filter).await
}
