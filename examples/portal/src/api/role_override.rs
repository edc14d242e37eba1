//! Roles of members in single groups and deployments.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use eyrie_core::{
    Acting, Error,
    id::{DeploymentId, GroupId, UserId},
    model::{Grant, OverrideAt, RoleOverride},
    store::Page,
};
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    authentication::Caller,
    portal::Portal,
    problem::Answer,
    request::{Body, Filter, Id, TwoIds},
    schema,
};

pub(super) fn routes() -> OpenApiRouter<Portal> {
    OpenApiRouter::new()
        .routes(routes!(list_of_group))
        .routes(routes!(get_of_group, set_of_group, remove_of_group))
        .routes(routes!(list_of_deployment))
        .routes(routes!(get_of_deployment, set_of_deployment, remove_of_deployment))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    role: Grant,
}

async fn listed(acting: &Acting, at: OverrideAt, filter: Filter) -> Answer<Json<Page<RoleOverride>>> {
    filter.end()?;
    Ok(Json(Page { items: acting.overrides(at).await?, next: None }))
}

async fn found(acting: &Acting, at: OverrideAt, user: UserId) -> Answer<Json<RoleOverride>> {
    let found = acting.overrides(at).await?.into_iter().find(|given| given.user_id == user);
    Ok(Json(found.ok_or_else(|| Error::not_found("override"))?))
}

async fn removed(acting: &Acting, at: OverrideAt, user: UserId) -> Answer<Response> {
    acting.remove_override(at, user).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The roles of members that differ in the group, all on one page.
#[utoipa::path(get, path = "/api/v1/groups/{id}/members", tag = "members", params(("id" = String, Path)),
    responses((status = 200, description = "The roles.", body = schema::Page<schema::GroupMember>)))]
async fn list_of_group(Caller(acting): Caller, Id(id): Id<GroupId>, filter: Filter) -> Answer<Json<Page<RoleOverride>>> {
    listed(&acting, OverrideAt::Group(id), filter).await
}

/// The role of a member that differs in the group.
#[utoipa::path(get, path = "/api/v1/groups/{id}/members/{user_id}", tag = "members", params(("id" = String, Path), ("user_id" = String, Path)),
    responses((status = 200, description = "The role.", body = schema::GroupMember)))]
async fn get_of_group(Caller(acting): Caller, TwoIds(id, user): TwoIds<GroupId, UserId>) -> Answer<Json<RoleOverride>> {
    found(&acting, OverrideAt::Group(id), user).await
}

/// Sets a member's role in the group: user, developer, admin, or none.
#[utoipa::path(put, path = "/api/v1/groups/{id}/members/{user_id}", tag = "members", params(("id" = String, Path), ("user_id" = String, Path)),
    request_body = schema::Grant, responses((status = 200, description = "The role.", body = schema::GroupMember)))]
async fn set_of_group(
    Caller(acting): Caller,
    TwoIds(id, user): TwoIds<GroupId, UserId>,
    Body(given): Body<Given>,
) -> Answer<Json<RoleOverride>> {
    Ok(Json(acting.set_override(OverrideAt::Group(id), user, given.role).await?))
}

/// Takes the role away: the one from the project counts again.
#[utoipa::path(delete, path = "/api/v1/groups/{id}/members/{user_id}", tag = "members", params(("id" = String, Path), ("user_id" = String, Path)),
    responses((status = 204, description = "It is gone.")))]
async fn remove_of_group(Caller(acting): Caller, TwoIds(id, user): TwoIds<GroupId, UserId>) -> Answer<Response> {
    removed(&acting, OverrideAt::Group(id), user).await
}

/// The roles of members that differ in the deployment, all on one page.
#[utoipa::path(get, path = "/api/v1/deployments/{id}/members", tag = "members", params(("id" = String, Path)),
    responses((status = 200, description = "The roles.", body = schema::Page<schema::DeploymentMember>)))]
async fn list_of_deployment(Caller(acting): Caller, Id(id): Id<DeploymentId>, filter: Filter) -> Answer<Json<Page<RoleOverride>>> {
    listed(&acting, OverrideAt::Deployment(id), filter).await
}

/// The role of a member that differs in the deployment.
#[utoipa::path(get, path = "/api/v1/deployments/{id}/members/{user_id}", tag = "members", params(("id" = String, Path), ("user_id" = String, Path)),
    responses((status = 200, description = "The role.", body = schema::DeploymentMember)))]
async fn get_of_deployment(Caller(acting): Caller, TwoIds(id, user): TwoIds<DeploymentId, UserId>) -> Answer<Json<RoleOverride>> {
    found(&acting, OverrideAt::Deployment(id), user).await
}

/// Sets a member's role in the deployment: user, developer, admin, or none.
#[utoipa::path(put, path = "/api/v1/deployments/{id}/members/{user_id}", tag = "members", params(("id" = String, Path), ("user_id" = String, Path)),
    request_body = schema::Grant, responses((status = 200, description = "The role.", body = schema::DeploymentMember)))]
async fn set_of_deployment(
    Caller(acting): Caller,
    TwoIds(id, user): TwoIds<DeploymentId, UserId>,
    Body(given): Body<Given>,
) -> Answer<Json<RoleOverride>> {
    Ok(Json(acting.set_override(OverrideAt::Deployment(id), user, given.role).await?))
}

/// Takes the role away: the one from the group, or the project, counts again.
#[utoipa::path(delete, path = "/api/v1/deployments/{id}/members/{user_id}", tag = "members", params(("id" = String, Path), ("user_id" = String, Path)),
    responses((status = 204, description = "It is gone.")))]
async fn remove_of_deployment(Caller(acting): Caller, TwoIds(id, user): TwoIds<DeploymentId, UserId>) -> Answer<Response> {
    removed(&acting, OverrideAt::Deployment(id), user).await
}
