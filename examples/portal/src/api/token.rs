//! Service tokens.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use eyrie_core::{
    id::TokenId,
    model::Token,
    platform::{NewServiceToken, TokenRotation},
    store::{Page, TokenFilter},
};
use serde_json::json;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    authentication::Caller,
    portal::Portal,
    problem::Answer,
    request::{Body, Filter, Id},
    schema,
};

pub(super) fn routes() -> OpenApiRouter<Portal> {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(get, revoke)).routes(routes!(rotate))
}

/// Makes a service token. Its secret is in this answer and nowhere else.
#[utoipa::path(post, path = "/api/v1/tokens", tag = "tokens", request_body = schema::NewToken,
    responses((status = 201, description = "The token and its secret.", body = schema::NewTokenSecret)))]
async fn create(Caller(acting): Caller, Body(new): Body<NewServiceToken>) -> Answer {
    let (secret, token) = acting.create_service_token(new).await?;
    Ok((StatusCode::CREATED, Json(json!({ "secret": secret.reveal(), "token": token }))).into_response())
}

/// Lists one's own tokens, all of them for operators; with `project`, those that stand in it, for its admins.
#[utoipa::path(get, path = "/api/v1/tokens", tag = "tokens",
    params(("project" = Option<String>, Query), ("creator" = Option<String>, Query, description = "Those that this user made."),
        ("kind" = Option<String>, Query), ("limit" = Option<u32>, Query), ("after" = Option<String>, Query)),
    responses((status = 200, description = "A page.", body = schema::Page<schema::Token>)))]
async fn list(Caller(acting): Caller, mut filter: Filter) -> Answer<Json<Page<Token>>> {
    let wanted = TokenFilter { creator: filter.take("creator")?, project: filter.take("project")?, kind: filter.take("kind")? };
    let page = filter.page()?;
    filter.end()?;
    Ok(Json(acting.tokens(wanted, page).await?))
}

/// One token, without its secret.
#[utoipa::path(get, path = "/api/v1/tokens/{id}", tag = "tokens", params(("id" = String, Path)),
    responses((status = 200, description = "The token.", body = schema::Token)))]
async fn get(Caller(acting): Caller, Id(id): Id<TokenId>) -> Answer<Json<Token>> {
    Ok(Json(acting.token(id).await?))
}

/// Puts another token in the place of this one. Its secret is in this answer and nowhere else.
#[utoipa::path(post, path = "/api/v1/tokens/{id}/rotate", tag = "tokens", params(("id" = String, Path)), request_body = schema::RotateToken,
    responses((status = 201, description = "The new token and its secret.", body = schema::NewTokenSecret)))]
async fn rotate(Caller(acting): Caller, Id(id): Id<TokenId>, Body(rotation): Body<TokenRotation>) -> Answer {
    let (secret, token) = acting.rotate_token(id, rotation).await?;
    Ok((StatusCode::CREATED, Json(json!({ "secret": secret.reveal(), "token": token }))).into_response())
}

/// Revokes a token.
#[utoipa::path(delete, path = "/api/v1/tokens/{id}", tag = "tokens", params(("id" = String, Path)),
    responses((status = 204, description = "It is refused from now on.")))]
async fn revoke(Caller(acting): Caller, Id(id): Id<TokenId>) -> Answer<Response> {
    acting.revoke_token(id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
