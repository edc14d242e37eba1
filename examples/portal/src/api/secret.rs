//! Secrets: written, listed without their values, and never read back.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use eyrie_core::{
    id::{ProjectId, SecretId},
    model::{NewSecret, Owner},
    secret::SecretValue,
};
use serde::Deserialize;
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
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(create_shared, list_shared))
        .routes(routes!(get, delete))
        .routes(routes!(replace))
}

/// Another value.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewValue {
    value: SecretValue,
}

/// Keeps a secret of a project.
#[utoipa::path(post, path = "/api/v1/projects/{id}/secrets", tag = "secrets", params(("id" = String, Path)),
    request_body = schema::NewSecret, responses((status = 201, description = "It is kept.", body = schema::Secret)))]
async fn create(caller: Caller, Id(project): Id<ProjectId>, Body(new): Body<NewSecret>) -> Answer {
    created(caller, Owner::Project(project), new).await
}

/// Keeps a secret of the operators.
#[utoipa::path(post, path = "/api/v1/secrets", tag = "secrets", request_body = schema::NewSecret,
    responses((status = 201, description = "It is kept.", body = schema::Secret)))]
async fn create_shared(caller: Caller, Body(new): Body<NewSecret>) -> Answer {
    created(caller, Owner::Operators, new).await
}

async fn created(Caller(acting): Caller, owner: Owner, new: NewSecret) -> Answer {
    let secret = acting.create_secret(owner, new).await?;
    let response = versioned(StatusCode::CREATED, secret.version, &secret);
    Ok(located(response, &format!("/api/v1/secrets/{}", secret.id)))
}

/// Lists a project's secrets in the order of their making.
#[utoipa::path(get, path = "/api/v1/projects/{id}/secrets", tag = "secrets", params(("id" = String, Path), ("limit" = Option<u32>, Query, description = "1 to 500; 100 if missing."), ("after" = Option<String>, Query, description = "The `next` of the page before.")),
    responses((status = 200, description = "A page.", body = schema::Page<schema::Secret>)))]
async fn list(Caller(acting): Caller, Id(project): Id<ProjectId>, mut filter: Filter) -> Answer {
    let page = filter.page()?;
    filter.end()?;
    Ok(Json(acting.secrets(Owner::Project(project), page).await?).into_response())
}

/// Lists the operators' secrets in the order of their making.
#[utoipa::path(get, path = "/api/v1/secrets", tag = "secrets", params(("limit" = Option<u32>, Query, description = "1 to 500; 100 if missing."), ("after" = Option<String>, Query, description = "The `next` of the page before.")),
    responses((status = 200, description = "A page.", body = schema::Page<schema::Secret>)))]
async fn list_shared(Caller(acting): Caller, mut filter: Filter) -> Answer {
    let page = filter.page()?;
    filter.end()?;
    Ok(Json(acting.secrets(Owner::Operators, page).await?).into_response())
}

/// What is known of the secret and its values.
#[utoipa::path(get, path = "/api/v1/secrets/{id}", tag = "secrets", params(("id" = String, Path)),
    responses((status = 200, description = "The secret, its version as ETag.", body = schema::SecretView)))]
async fn get(Caller(acting): Caller, Id(id): Id<SecretId>) -> Answer {
    let view = acting.secret(id).await?;
    Ok(versioned(StatusCode::OK, view.secret.version, &view))
}

/// Gives the secret that still has the version named another value.
#[utoipa::path(put, path = "/api/v1/secrets/{id}/value", tag = "secrets",
    params(("id" = String, Path), ("If-Match" = String, Header, description = "The ETag that was read.")),
    request_body = schema::SecretValue, responses((status = 200, description = "The secret as it is now.", body = schema::Secret)))]
async fn replace(Caller(acting): Caller, Id(id): Id<SecretId>, version: IfMatch, Body(new): Body<NewValue>) -> Answer {
    let view = acting.secret(id).await?;
    let version = version.check(view.secret.version)?;
    let secret = acting.replace_secret_value(id, version, &new.value).await.map_err(lost)?;
    Ok(versioned(StatusCode::OK, secret.version, &secret))
}

/// Deletes the secret, unless something still names it.
#[utoipa::path(delete, path = "/api/v1/secrets/{id}", tag = "secrets", params(("id" = String, Path)),
    responses((status = 204, description = "It is gone.")))]
async fn delete(Caller(acting): Caller, Id(id): Id<SecretId>) -> Answer<Response> {
    acting.delete_secret(id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
