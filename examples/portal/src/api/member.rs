//! Who belongs to a project.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use eyrie_core::{
    access::Role,
    id::{ProjectId, UserId},
    model::Membership,
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
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(set, remove))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    role: Role,
}

/// The members of a project, all on one page. The owner, who is always admin, need not be among them.
#[utoipa::path(get, path = "/api/v1/projects/{id}/members", tag = "members", params(("id" = String, Path)),
    responses((status = 200, description = "The members.", body = schema::Page<schema::Member>)))]
async fn list(Caller(acting): Caller, Id(project): Id<ProjectId>, filter: Filter) -> Answer<Json<Page<Membership>>> {
    filter.end()?;
    Ok(Json(Page { items: acting.members(project).await?, next: None }))
}

/// Sets a user's role: user, developer or admin.
#[utoipa::path(put, path = "/api/v1/projects/{id}/members/{user_id}", tag = "members", params(("id" = String, Path), ("user_id" = String, Path)),
    request_body = schema::Role, responses((status = 200, description = "The member.", body = schema::Member)))]
async fn set(
    Caller(acting): Caller,
    TwoIds(project, user): TwoIds<ProjectId, UserId>,
    Body(given): Body<Given>,
) -> Answer<Json<Membership>> {
    Ok(Json(acting.set_member(project, user, given.role).await?))
}

/// Takes a user out of a project.
#[utoipa::path(delete, path = "/api/v1/projects/{id}/members/{user_id}", tag = "members", params(("id" = String, Path), ("user_id" = String, Path)),
    responses((status = 204, description = "It is no member any more.")))]
async fn remove(Caller(acting): Caller, TwoIds(project, user): TwoIds<ProjectId, UserId>) -> Answer<Response> {
    acting.remove_member(project, user).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
