//! Discovery: what is deployed and where it can be reached, for proxies and scrapers.

use std::collections::BTreeMap;

use axum::{
    Json,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use data_encoding::HEXLOWER;
use eyrie_core::{
    id::ProjectId,
    model::DeployedState,
    platform::{DiscoveredService, NewDiscoveryToken},
};
use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    authentication::{Caller, Discoverer},
    portal::Portal,
    problem::{Answer, Problem},
    request::{Body, Filter, single},
    schema,
};

pub(super) fn routes() -> OpenApiRouter<Portal> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(http_sd)).routes(routes!(create_token))
}

/// Lists what is deployed: running, or in another state, in a project or in all that the token lists.
#[utoipa::path(get, path = "/api/v1/discovery", tag = "discovery",
    params(("project" = Option<String>, Query), ("state" = Option<String>, Query, description = "`running` if missing."),
        ("If-None-Match" = Option<String>, Header, description = "The ETag that was read.")),
    responses((status = 200, description = "What is deployed, with an ETag.", body = schema::Discovered), (status = 304, description = "Nothing has changed.")))]
async fn list(Discoverer(acting): Discoverer, headers: HeaderMap, mut filter: Filter) -> Answer<Response> {
    let project: Option<ProjectId> = filter.take("project")?;
    let state = filter.take("state")?.unwrap_or(DeployedState::Running);
    filter.end()?;
    let items = acting.discover(project, state).await?;
    tagged(&headers, &json!({ "items": items }))
}

/// Lists what runs in the form of Prometheus' HTTP service discovery (`http_sd_configs`): what has no address is left out.
#[utoipa::path(get, path = "/api/v1/discovery/http-sd", tag = "discovery",
    params(("project" = Option<String>, Query), ("If-None-Match" = Option<String>, Header, description = "The ETag that was read.")),
    responses((status = 200, description = "Groups of targets, with an ETag.", body = Vec<schema::TargetGroup>), (status = 304, description = "Nothing has changed.")))]
async fn http_sd(Discoverer(acting): Discoverer, headers: HeaderMap, mut filter: Filter) -> Answer<Response> {
    let project: Option<ProjectId> = filter.take("project")?;
    filter.end()?;
    let running = acting.discover(project, DeployedState::Running).await?;
    let groups: Vec<_> = running.into_iter().filter(|service| !service.reachable.targets.is_empty()).map(TargetGroup::from).collect();
    tagged(&headers, &groups)
}

/// Makes a discovery token. Its secret is in this answer and nowhere else.
#[utoipa::path(post, path = "/api/v1/discovery/tokens", tag = "discovery", request_body = schema::NewDiscoveryToken,
    responses((status = 201, description = "The token and its secret.", body = schema::NewTokenSecret)))]
async fn create_token(Caller(acting): Caller, Body(new): Body<NewDiscoveryToken>) -> Answer {
    let (secret, token) = acting.create_discovery_token(new).await?;
    Ok((StatusCode::CREATED, Json(json!({ "secret": secret.reveal(), "token": token }))).into_response())
}

/// As Prometheus reads it.
#[derive(Debug, Serialize)]
struct TargetGroup {
    targets: Vec<String>,
    labels: BTreeMap<String, String>,
}

impl From<DiscoveredService> for TargetGroup {
    fn from(service: DiscoveredService) -> Self {
        let mut labels = service.reachable.labels;
        let mut said = |name: &str, value: String| drop(labels.insert(format!("__meta_eyrie_{name}"), value));
        said("project", service.project.to_string());
        said("group", service.group.to_string());
        said("type", service.deployment_type.to_string());
        said("scope", service.scope.map(|scope| scope.to_string()).unwrap_or_default());
        said("deployment", service.deployment.to_string());
        said("deployment_id", service.deployment_id.to_string());
        said("release_id", service.release_id.to_string());
        Self { targets: service.reachable.targets, labels }
    }
}

/// The body with a digest of it as `ETag`; without it, if the asker has it.
fn tagged(headers: &HeaderMap, body: &impl Serialize) -> Answer<Response> {
    let body = serde_json::to_string(body).map_err(|_| Problem::malformed("it cannot be written as JSON"))?;
    let tag = format!("\"{}\"", HEXLOWER.encode(&Sha256::digest(&body)[..16]));
    let has = single(headers, "if-none-match")?.is_some_and(|known| known.split(',').any(|one| one.trim().trim_start_matches("W/") == tag));
    let mut response = if has {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
    };
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    Ok(response)
}
