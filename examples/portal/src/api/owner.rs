//! Who owns a project.

use axum::http::StatusCode;
use eyrie_core::id::{ProjectId, UserId};
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::versioned;
use crate::{
    authentication::Caller,
    portal::Portal,
    problem::Answer,
    request::{Body, Id},
    schema,
};

pub(super) fn routes() -> OpenApiRouter<Portal> {
    OpenApiRouter::new().routes(routes!(transfer))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    /// Must be there, so that nothing at all does not take the owner away.
    #[serde(deserialize_with = "Option::deserialize")]
    user_id: Option<UserId>,
}

/// Gives a project another owner; null: the operators own it.
#[utoipa::path(put, path = "/api/v1/projects/{id}/owner", tag = "members", params(("id" = String, Path)),
    request_body = schema::Owner, responses((status = 200, description = "The project as it is now.", body = schema::Project)))]
async fn transfer(Caller(acting): Caller, Id(id): Id<ProjectId>, Body(given): Body<Given>) -> Answer {
    let project = acting.transfer_project(id, given.user_id).await?;
    Ok(versioned(StatusCode::OK, project.version, &project))
}
