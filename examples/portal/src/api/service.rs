//! Services, their sync, and deploying one by its name.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use eyrie_core::{
    Acting, Error, ErrorKind,
    id::{DeploymentId, ProjectId, ServiceId},
    model::ServiceSource,
    name::ServiceName,
    platform::{StartRun, SyncReport},
    store::{DeploymentFilter, PageRequest, RunFilter},
};
use serde::Deserialize;
use serde_json::Value;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{located, lost, run::started, versioned};
use crate::{
    authentication::Caller,
    portal::Portal,
    problem::{Answer, Problem},
    request::{Body, Filter, Id, IdempotencyKey, IfMatch},
    schema,
};

pub(super) fn routes() -> OpenApiRouter<Portal> {
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(sync))
        .routes(routes!(get, replace, delete))
        .routes(routes!(run, runs))
        .routes(routes!(deployed_by))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewService {
    project_id: ProjectId,
    name: ServiceName,
    config: Value,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Replaced {
    config: Value,
}

/// Adds a service to a project. Its config names an executable, so only operators may.
#[utoipa::path(post, path = "/api/v1/services", tag = "services", request_body = schema::NewService,
    responses((status = 201, description = "It was made.", body = schema::Service)))]
async fn create(Caller(acting): Caller, Body(new): Body<NewService>) -> Answer {
    let service = acting.create_service(new.project_id, new.name, new.config).await?;
    let response = versioned(StatusCode::CREATED, service.version, &service);
    Ok(located(response, &format!("/api/v1/services/{}", service.id)))
}

/// Lists a project's services in the order of their making.
#[utoipa::path(get, path = "/api/v1/services", tag = "services",
    params(("project" = String, Query), ("limit" = Option<u32>, Query), ("after" = Option<String>, Query)),
    responses((status = 200, description = "A page.", body = schema::Page<schema::Service>)))]
async fn list(Caller(acting): Caller, mut filter: Filter) -> Answer {
    let project = filter.take("project")?.ok_or_else(|| Problem::invalid("project", "name the project whose services to list"))?;
    let page = filter.page()?;
    filter.end()?;
    Ok(Json(acting.services(project, page).await?).into_response())
}

/// Takes over what is in the services directory.
#[utoipa::path(post, path = "/api/v1/services/sync", tag = "services", responses((status = 200, description = "What was done.", body = schema::SyncReport)))]
async fn sync(Caller(acting): Caller) -> Answer<Json<SyncReport>> {
    Ok(Json(acting.sync_services().await?))
}

/// The service.
#[utoipa::path(get, path = "/api/v1/services/{id}", tag = "services", params(("id" = String, Path)),
    responses((status = 200, description = "The service, its version as ETag.", body = schema::Service)))]
async fn get(Caller(acting): Caller, Id(id): Id<ServiceId>) -> Answer {
    let service = acting.service(id).await?;
    Ok(versioned(StatusCode::OK, service.version, &service))
}

/// Replaces the config of a service that still has the version named.
#[utoipa::path(put, path = "/api/v1/services/{id}", tag = "services",
    params(("id" = String, Path), ("If-Match" = String, Header, description = "The ETag that was read.")),
    request_body = schema::ServiceConfig, responses((status = 200, description = "The service as it is now.", body = schema::Service)))]
async fn replace(Caller(acting): Caller, Id(id): Id<ServiceId>, version: IfMatch, Body(new): Body<Replaced>) -> Answer {
    let service = acting.service(id).await?;
    let version = version.check(service.version)?;
    let from_directory = service.source == ServiceSource::Directory;
    let replaced = acting.update_service(id, version, new.config).await;
    let service = replaced.map_err(|error| if from_directory { error.into() } else { lost(error) })?;
    Ok(versioned(StatusCode::OK, service.version, &service))
}

/// Deletes the service, unless a deployment refers to it.
#[utoipa::path(delete, path = "/api/v1/services/{id}", tag = "services", params(("id" = String, Path)),
    responses((status = 204, description = "It is gone.")))]
async fn delete(Caller(acting): Caller, Id(id): Id<ServiceId>) -> Answer<Response> {
    acting.delete_service(id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Starts a run of a service's deployment. A name means the synced service; an id one that has a single deployment.
#[utoipa::path(post, path = "/api/v1/services/{id}/runs", tag = "runs",
    params(("id" = String, Path, description = "The service's name or id."),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key starts nothing twice.")),
    request_body = schema::StartRun, responses((status = 202, description = "It is queued.", body = schema::Run)))]
async fn run(Caller(acting): Caller, Id(which): Id<String>, key: IdempotencyKey, Body(start): Body<StartRun>) -> Answer {
    let deployment = deployment_of(&acting, &which).await?;
    started(&acting, deployment, key, start).await
}

/// Lists the runs that deploying a service has started, newest first.
#[utoipa::path(get, path = "/api/v1/services/{id}/runs", tag = "runs",
    params(("id" = String, Path, description = "The service's name or id."),
        ("state" = Option<String>, Query), ("limit" = Option<u32>, Query), ("after" = Option<String>, Query)),
    responses((status = 200, description = "A page.", body = schema::Page<schema::Run>)))]
async fn runs(Caller(acting): Caller, Id(which): Id<String>, mut filter: Filter) -> Answer {
    let deployment = Some(deployment_of(&acting, &which).await?);
    let wanted = RunFilter { deployment, state: filter.take("state")?, ..RunFilter::default() };
    let page = filter.page()?;
    filter.end()?;
    Ok(Json(acting.runs(wanted, page).await?).into_response())
}

/// The deployment that deploying a service means.
#[utoipa::path(get, path = "/api/v1/services/{id}/deployment", tag = "services",
    params(("id" = String, Path, description = "The service's name or id.")),
    responses((status = 200, description = "The deployment, its version as ETag.", body = schema::DeploymentView)))]
async fn deployed_by(Caller(acting): Caller, Id(which): Id<String>) -> Answer {
    let deployment = acting.deployment(deployment_of(&acting, &which).await?).await?;
    Ok(versioned(StatusCode::OK, deployment.deployment.version, &deployment))
}

/// The deployment that deploying a service means.
async fn deployment_of(acting: &Acting, name_or_id: &str) -> Answer<DeploymentId> {
    let Ok(id) = name_or_id.parse::<ServiceId>() else {
        // What is no name names nothing.
        let name = name_or_id.parse::<ServiceName>().map_err(|_| Problem::not_found())?;
        return Ok(acting.service_deployment(&name).await?.id);
    };
    let filter = DeploymentFilter { service: Some(id), ..DeploymentFilter::default() };
    let deployments = acting.deployments(filter, PageRequest::first(2)?).await?;
    match deployments.items.as_slice() {
        [one] => Ok(one.id),
        [] => Err(Error::new(ErrorKind::Conflict, "start run", "the service has no deployment").into()),
        _ => Err(Error::new(ErrorKind::Conflict, "start run", "the service has several deployments; start a run of one of them").into()),
    }
}
