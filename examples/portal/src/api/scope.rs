//! Scopes.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use eyrie_core::{
    id::{GroupId, ScopeId},
    model::{NewScope, ScopePatch},
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

/// Makes a scope.
#[utoipa::path(post, path = "/api/v1/groups/{id}/scopes", tag = "scopes", params(("id" = String, Path)),
    request_body = schema::NewScope, responses((status = 201, description = "It was made.", body = schema::Scope)))]
async fn create(Caller(acting): Caller, Id(parent): Id<GroupId>, Body(new): Body<NewScope>) -> Answer {
    let scope = acting.create_scope(parent, new).await?;
    let response = versioned(StatusCode::CREATED, scope.version, &scope);
    Ok(located(response, &format!("/api/v1/scopes/{}", scope.id)))
}

/// Lists scopes in the order of their making.
#[utoipa::path(get, path = "/api/v1/groups/{id}/scopes", tag = "scopes", params(("id" = String, Path), ("limit" = Option<u32>, Query, description = "1 to 500; 100 if missing."), ("after" = Option<String>, Query, description = "The `next` of the page before.")),
    responses((status = 200, description = "A page.", body = schema::Page<schema::Scope>)))]
async fn list(Caller(acting): Caller, Id(parent): Id<GroupId>, mut filter: Filter) -> Answer {
    let page = filter.page()?;
    filter.end()?;
    Ok(Json(acting.scopes(parent, page).await?).into_response())
}

/// The scope.
#[utoipa::path(get, path = "/api/v1/scopes/{id}", tag = "scopes", params(("id" = String, Path)),
    responses((status = 200, description = "The scope, its version as ETag.", body = schema::Scope)))]
async fn get(Caller(acting): Caller, Id(id): Id<ScopeId>) -> Answer {
    let scope = acting.scope(id).await?;
    Ok(versioned(StatusCode::OK, scope.version, &scope))
}

/// Changes the scope that still has the version named.
#[utoipa::path(patch, path = "/api/v1/scopes/{id}", tag = "scopes",
    params(("id" = String, Path), ("If-Match" = String, Header, description = "The ETag that was read.")),
    request_body = schema::ScopePatch, responses((status = 200, description = "The scope as it is now.", body = schema::Scope)))]
async fn update(Caller(acting): Caller, Id(id): Id<ScopeId>, version: IfMatch, Body(patch): Body<ScopePatch>) -> Answer {
    let scope = acting.scope(id).await?;
    let version = version.check(scope.version)?;
    let scope = acting.update_scope(id, version, patch).await.map_err(lost)?;
    Ok(versioned(StatusCode::OK, scope.version, &scope))
}

/// Deletes the scope, unless something still needs it.
#[utoipa::path(delete, path = "/api/v1/scopes/{id}", tag = "scopes", params(("id" = String, Path)),
    responses((status = 204, description = "It is gone.")))]
async fn delete(Caller(acting): Caller, Id(id): Id<ScopeId>) -> Answer<Response> {
    acting.delete_scope(id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
