//! Releases and what runs because of them.

use axum::Json;
use eyrie_core::{
    id::{DeployedServiceId, ReleaseId},
    model::{DeployedService, Release},
    store::{DeployedServiceFilter, Page},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    authentication::Caller,
    portal::Portal,
    problem::{Answer, Problem},
    request::{Filter, Id},
    schema,
};

pub(super) fn routes() -> OpenApiRouter<Portal> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get)).routes(routes!(list_deployed)).routes(routes!(get_deployed))
}

/// Lists a deployment's releases, newest first.
#[utoipa::path(get, path = "/api/v1/releases", tag = "releases",
    params(("deployment" = String, Query), ("limit" = Option<u32>, Query), ("after" = Option<String>, Query)),
    responses((status = 200, description = "A page.", body = schema::Page<schema::Release>)))]
async fn list(Caller(acting): Caller, mut filter: Filter) -> Answer<Json<Page<Release>>> {
    let deployment =
        filter.take("deployment")?.ok_or_else(|| Problem::invalid("deployment", "name the deployment whose releases to list"))?;
    let page = filter.page()?;
    filter.end()?;
    Ok(Json(acting.releases(deployment, page).await?))
}

/// The release.
#[utoipa::path(get, path = "/api/v1/releases/{id}", tag = "releases", params(("id" = String, Path)),
    responses((status = 200, description = "The release.", body = schema::Release)))]
async fn get(Caller(acting): Caller, Id(id): Id<ReleaseId>) -> Answer<Json<Release>> {
    Ok(Json(acting.release(id).await?))
}

/// Lists what runs in a project or because of a deployment.
#[utoipa::path(get, path = "/api/v1/deployed-services", tag = "releases",
    params(("project" = Option<String>, Query), ("deployment" = Option<String>, Query), ("limit" = Option<u32>, Query), ("after" = Option<String>, Query)),
    responses((status = 200, description = "A page.", body = schema::Page<schema::DeployedService>)))]
async fn list_deployed(Caller(acting): Caller, mut filter: Filter) -> Answer<Json<Page<DeployedService>>> {
    let wanted = DeployedServiceFilter {
        project: filter.take("project")?,
        deployment: filter.take("deployment")?,
        ..DeployedServiceFilter::default()
    };
    let page = filter.page()?;
    filter.end()?;
    Ok(Json(acting.deployed_services(wanted, page).await?))
}

/// The deployed service.
#[utoipa::path(get, path = "/api/v1/deployed-services/{id}", tag = "releases", params(("id" = String, Path)),
    responses((status = 200, description = "The deployed service.", body = schema::DeployedService)))]
async fn get_deployed(Caller(acting): Caller, Id(id): Id<DeployedServiceId>) -> Answer<Json<DeployedService>> {
    Ok(Json(acting.deployed_service(id).await?))
}
