//! Datasources.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use eyrie_core::{
    id::{DatasourceId, ProjectId},
    model::{DatasourcePatch, NewDatasource, Owner},
    platform::DatasourceView,
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

/// Makes a datasource of a project, or without one of the operators.
#[utoipa::path(post, path = "/api/v1/datasources", tag = "datasources", request_body = schema::NewDatasource,
    responses((status = 201, description = "It was made.", body = schema::Datasource)))]
async fn create(Caller(acting): Caller, Body(new): Body<NewDatasource>) -> Answer {
    let datasource = acting.create_datasource(new).await?;
    let response = versioned(StatusCode::CREATED, datasource.version, &datasource);
    Ok(located(response, &format!("/api/v1/datasources/{}", datasource.id)))
}

/// Lists a project's datasources, or without one the operators', in the order of their making. Of the operators' others see `id`, `slug`, `name`, `data_type` and `usage` only.
#[utoipa::path(get, path = "/api/v1/datasources", tag = "datasources", params(("project" = Option<String>, Query, description = "The project."), ("limit" = Option<u32>, Query, description = "1 to 500; 100 if missing."), ("after" = Option<String>, Query, description = "The `next` of the page before.")),
    responses((status = 200, description = "A page.", body = schema::Page<schema::Datasource>)))]
async fn list(Caller(acting): Caller, mut filter: Filter) -> Answer {
    let owner = Owner::of(filter.take::<ProjectId>("project")?);
    let page = filter.page()?;
    filter.end()?;
    Ok(Json(acting.datasources(owner, page).await?).into_response())
}

/// The datasource.
#[utoipa::path(get, path = "/api/v1/datasources/{id}", tag = "datasources", params(("id" = String, Path)),
    responses((status = 200, description = "The datasource, its version as ETag.", body = schema::Datasource)))]
async fn get(Caller(acting): Caller, Id(id): Id<DatasourceId>) -> Answer {
    Ok(match acting.datasource(id).await? {
        DatasourceView::Whole(datasource) => versioned(StatusCode::OK, datasource.version, &datasource),
        DatasourceView::Seen(seen) => Json(seen).into_response(),
    })
}

/// Changes the datasource that still has the version named.
#[utoipa::path(patch, path = "/api/v1/datasources/{id}", tag = "datasources",
    params(("id" = String, Path), ("If-Match" = String, Header, description = "The ETag that was read.")),
    request_body = schema::DatasourcePatch, responses((status = 200, description = "The datasource as it is now.", body = schema::Datasource)))]
async fn update(Caller(acting): Caller, Id(id): Id<DatasourceId>, version: IfMatch, Body(patch): Body<DatasourcePatch>) -> Answer {
    let version = match acting.datasource(id).await? {
        DatasourceView::Whole(datasource) => version.check(datasource.version)?,
        // Who sees a part of it only hears why from the change itself.
        DatasourceView::Seen(_) => 0,
    };
    let datasource = acting.update_datasource(id, version, patch).await.map_err(lost)?;
    Ok(versioned(StatusCode::OK, datasource.version, &datasource))
}

/// Deletes the datasource, unless something still refers to it.
#[utoipa::path(delete, path = "/api/v1/datasources/{id}", tag = "datasources", params(("id" = String, Path)),
    responses((status = 204, description = "It is gone.")))]
async fn delete(Caller(acting): Caller, Id(id): Id<DatasourceId>) -> Answer<Response> {
    acting.delete_datasource(id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
