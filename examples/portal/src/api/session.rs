//! Signing in and out.

use std::sync::atomic::Ordering;

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use eyrie_core::{ErrorKind, access::TokenSecret, model::Token, name::Origin};
use serde::Deserialize;
use serde_json::json;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    authentication::{Caller, Stranger},
    portal::Portal,
    problem::Answer,
    request::Body,
    schema,
};

pub(super) fn routes() -> OpenApiRouter<Portal> {
    OpenApiRouter::new().routes(routes!(begin)).routes(routes!(end))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignIn {
    name: String,
    password: String,
}

/// Signs in by name and password. The session's token is in this answer and nowhere else.
#[utoipa::path(post, path = "/api/v1/sessions", tag = "sessions", security(()), request_body = schema::SignIn,
    responses((status = 201, description = "The session.", body = schema::Session)))]
async fn begin(State(portal): State<Portal>, from: Stranger, Body(who): Body<SignIn>) -> Answer {
    let (secret, token) = sign_in(&portal, from, &who.name, who.password, "api").await?;
    let body = json!({
        "token": secret.reveal(),
        "session_id": token.id,
        "user_id": token.created_by,
        "name": who.name,
        "expires_at": token.expires_at,
    });
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

/// Ends the session that the request came with.
#[utoipa::path(delete, path = "/api/v1/sessions/current", tag = "sessions", responses((status = 204, description = "It has ended.")))]
async fn end(Caller(acting): Caller) -> Answer<Response> {
    acting.sign_out().await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Signs in; failures are counted for the metrics.
pub(crate) async fn sign_in(portal: &Portal, from: Stranger, name: &str, password: String, origin: &str) -> Answer<(TokenSecret, Token)> {
    let session = portal.eyrie.sign_in(name, password, from.to(Origin::new(origin)?)).await;
    if session.as_ref().is_err_and(|error| error.kind() == ErrorKind::Unauthenticated) {
        portal.failed_sign_ins.fetch_add(1, Ordering::Relaxed);
    }
    Ok(session?)
}
