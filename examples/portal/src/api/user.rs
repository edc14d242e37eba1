//! Accounts.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use eyrie_core::{id::UserId, platform::NewUser};
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{located, lost, versioned};
use crate::{
    authentication::Caller,
    portal::Portal,
    problem::{Answer, Problem},
    request::{Body, Filter, Id, IfMatch},
    schema,
};

pub(super) fn routes() -> OpenApiRouter<Portal> {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(get, update))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UserPatch {
    #[serde(default)]
    disabled: Option<bool>,
    #[serde(default)]
    password: Option<String>,
}

/// Makes an account. For operators.
#[utoipa::path(post, path = "/api/v1/users", tag = "users", request_body = schema::NewUser,
    responses((status = 201, description = "It was made.", body = schema::User)))]
async fn create(Caller(acting): Caller, Body(new): Body<NewUser>) -> Answer {
    let user = acting.create_user(new).await?;
    let response = versioned(StatusCode::CREATED, user.version, &user);
    Ok(located(response, &format!("/api/v1/users/{}", user.id)))
}

/// Lists accounts in the order of their making. For operators.
#[utoipa::path(get, path = "/api/v1/users", tag = "users", params(("limit" = Option<u32>, Query), ("after" = Option<String>, Query)),
    responses((status = 200, description = "A page.", body = schema::Page<schema::User>)))]
async fn list(Caller(acting): Caller, mut filter: Filter) -> Answer<Response> {
    let page = filter.page()?;
    filter.end()?;
    Ok(Json(acting.users(page).await?).into_response())
}

/// The account: an operator's, or one's own.
#[utoipa::path(get, path = "/api/v1/users/{id}", tag = "users", params(("id" = String, Path)),
    responses((status = 200, description = "The account, its version as ETag.", body = schema::User)))]
async fn get(Caller(acting): Caller, Id(id): Id<UserId>) -> Answer {
    let user = acting.user(id).await?;
    Ok(versioned(StatusCode::OK, user.version, &user))
}

/// Sets a password, or disables or enables an account; either ends its sessions.
#[utoipa::path(patch, path = "/api/v1/users/{id}", tag = "users",
    params(("id" = String, Path), ("If-Match" = String, Header, description = "The ETag that was read.")),
    request_body = schema::UserPatch, responses((status = 200, description = "The account as it is now.", body = schema::User)))]
async fn update(Caller(acting): Caller, Id(id): Id<UserId>, version: IfMatch, Body(patch): Body<UserPatch>) -> Answer {
    version.check(acting.user(id).await?.version)?;
    let user = match patch {
        UserPatch { disabled: Some(disabled), password: None } => acting.set_user_disabled(id, disabled).await,
        UserPatch { disabled: None, password: Some(password) } => acting.set_password(id, password).await,
        _ => return Err(Problem::invalid("disabled", "send either `disabled` or `password`")),
    };
    let user = user.map_err(lost)?;
    Ok(versioned(StatusCode::OK, user.version, &user))
}
