//! REST under `/api/v1`: one file a resource.

pub(crate) mod audit;
mod cluster;
mod datasource;
mod deployment;
mod discovery;
mod event;
mod explain;
mod group;
mod image;
mod member;
mod monitor;
mod owner;
mod project;
mod queue;
mod release;
mod report;
mod repository;
mod role_override;
mod run;
mod schedule;
mod scope;
mod secret;
mod service;
mod session;
mod settings;
mod step;
mod token;
mod user;

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::Value;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{portal::Portal, problem::Problem};

pub(crate) use run::log_text;
pub(crate) use session::sign_in;

pub(crate) fn routes() -> OpenApiRouter<Portal> {
    OpenApiRouter::new()
        .merge(project::routes())
        .merge(member::routes())
        .merge(group::routes())
        .merge(scope::routes())
        .merge(deployment::routes())
        .merge(service::routes())
        .merge(run::routes())
        .merge(schedule::routes())
        .merge(queue::routes())
        .merge(step::routes())
        .merge(event::routes())
        .merge(release::routes())
        .merge(user::routes())
        .merge(token::routes())
        .merge(session::routes())
        .merge(audit::routes())
        .merge(report::routes())
        .merge(role_override::routes())
        .merge(owner::routes())
        .merge(explain::routes())
        .merge(secret::routes())
        .merge(cluster::routes())
        .merge(datasource::routes())
        .merge(repository::routes())
        .merge(image::routes())
        .merge(monitor::routes())
        .merge(settings::routes())
        .merge(discovery::routes())
        .routes(routes!(description))
}

/// This document.
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "document", security(()), responses((status = 200, description = "OpenAPI 3.1.", body = Value)))]
async fn description(State(portal): State<Portal>) -> Json<Value> {
    Json(portal.document.get().cloned().unwrap_or_default())
}

/// Something with a version, which becomes its `ETag`.
fn versioned<T: Serialize>(status: StatusCode, version: u64, body: &T) -> Response {
    let mut response = (status, Json(body)).into_response();
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{version}\"")) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// Something new, with where it stands.
fn located(mut response: Response, place: &str) -> Response {
    if let Ok(place) = HeaderValue::from_str(place) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    response
}

/// A change that lost against another one after its version had been looked at.
fn lost(error: eyrie_core::Error) -> Problem {
    if error.kind() == eyrie_core::ErrorKind::Conflict { Problem::version_differs() } else { error.into() }
}
