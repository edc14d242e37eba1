//! Container images.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use eyrie_core::{
    id::ImageId,
    model::{ImagePatch, NewImage},
    oci::ImageDigest,
    store::ImageFilter,
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
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(get, update, delete)).routes(routes!(record_digest))
}

/// Adds an image. Without a project it is the operators'.
#[utoipa::path(post, path = "/api/v1/images", tag = "images", request_body = schema::NewImage,
    responses((status = 201, description = "It was made.", body = schema::Image)))]
async fn create(Caller(acting): Caller, Body(new): Body<NewImage>) -> Answer {
    let image = acting.create_image(new).await?;
    let response = versioned(StatusCode::CREATED, image.version, &image);
    Ok(located(response, &format!("/api/v1/images/{}", image.id)))
}

/// Lists a project's images in the order of their making; without a project, those of the operators.
#[utoipa::path(get, path = "/api/v1/images", tag = "images",
    params(("project" = Option<String>, Query), ("repository" = Option<String>, Query, description = "Those built from this repository."),
        ("limit" = Option<u32>, Query), ("after" = Option<String>, Query)),
    responses((status = 200, description = "A page.", body = schema::Page<schema::Image>)))]
async fn list(Caller(acting): Caller, mut filter: Filter) -> Answer {
    let wanted = ImageFilter { owner: filter.take("project")?, repository: filter.take("repository")? };
    let page = filter.page()?;
    filter.end()?;
    Ok(Json(acting.images(wanted, page).await?).into_response())
}

/// The image.
#[utoipa::path(get, path = "/api/v1/images/{id}", tag = "images", params(("id" = String, Path)),
    responses((status = 200, description = "The image, its version as ETag.", body = schema::Image)))]
async fn get(Caller(acting): Caller, Id(id): Id<ImageId>) -> Answer {
    let image = acting.image(id).await?;
    Ok(versioned(StatusCode::OK, image.version, &image))
}

/// Changes the image that still has the version named.
#[utoipa::path(patch, path = "/api/v1/images/{id}", tag = "images",
    params(("id" = String, Path), ("If-Match" = String, Header, description = "The ETag that was read.")),
    request_body = schema::ImagePatch, responses((status = 200, description = "The image as it is now.", body = schema::Image)))]
async fn update(Caller(acting): Caller, Id(id): Id<ImageId>, version: IfMatch, Body(patch): Body<ImagePatch>) -> Answer {
    let image = acting.image(id).await?;
    let version = version.check(image.version)?;
    let image = acting.update_image(id, version, patch).await.map_err(lost)?;
    Ok(versioned(StatusCode::OK, image.version, &image))
}

/// Deletes the image, unless a deployment runs it.
#[utoipa::path(delete, path = "/api/v1/images/{id}", tag = "images", params(("id" = String, Path)),
    responses((status = 204, description = "It is gone.")))]
async fn delete(Caller(acting): Caller, Id(id): Id<ImageId>) -> Answer<Response> {
    acting.delete_image(id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Digest {
    digest: ImageDigest,
}

/// Says what the digest is. Deployments that subscribe to the image are queued to be deployed again; the same digest changes nothing.
#[utoipa::path(post, path = "/api/v1/images/{id}/digest", tag = "images", params(("id" = String, Path)),
    request_body = schema::DigestOfImage,
    responses((status = 200, description = "The image as it is now, and what is deployed again.", body = schema::RecordedImage)))]
async fn record_digest(Caller(acting): Caller, Id(id): Id<ImageId>, Body(said): Body<Digest>) -> Answer {
    let recorded = acting.record_image_digest(id, said.digest).await?;
    Ok(versioned(StatusCode::OK, recorded.now.version, &recorded))
}
