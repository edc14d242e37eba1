//! Repositories and their branches.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use eyrie_core::{
    git::CommitId,
    id::{BranchId, RepositoryId},
    model::{NewBranch, NewRepository, RepositoryPatch},
    store::RepositoryFilter,
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
        .routes(routes!(get, update, delete))
        .routes(routes!(create_branch, list_branches))
        .routes(routes!(get_branch, delete_branch))
        .routes(routes!(record_commit))
}

/// Adds a repository. Without a project it is the operators'.
#[utoipa::path(post, path = "/api/v1/repositories", tag = "repositories", request_body = schema::NewRepository,
    responses((status = 201, description = "It was made.", body = schema::Repository)))]
async fn create(Caller(acting): Caller, Body(new): Body<NewRepository>) -> Answer {
    let repository = acting.create_repository(new).await?;
    let response = versioned(StatusCode::CREATED, repository.version, &repository);
    Ok(located(response, &format!("/api/v1/repositories/{}", repository.id)))
}

/// Lists a project's repositories in the order of their making; without a project, those of the operators.
#[utoipa::path(get, path = "/api/v1/repositories", tag = "repositories",
    params(("project" = Option<String>, Query), ("group_type" = Option<String>, Query, description = "Those for groups of this type only."),
        ("limit" = Option<u32>, Query), ("after" = Option<String>, Query)),
    responses((status = 200, description = "A page.", body = schema::Page<schema::Repository>)))]
async fn list(Caller(acting): Caller, mut filter: Filter) -> Answer {
    let wanted = RepositoryFilter { owner: filter.take("project")?, group_type: filter.take("group_type")? };
    let page = filter.page()?;
    filter.end()?;
    Ok(Json(acting.repositories(wanted, page).await?).into_response())
}

/// The repository.
#[utoipa::path(get, path = "/api/v1/repositories/{id}", tag = "repositories", params(("id" = String, Path)),
    responses((status = 200, description = "The repository, its version as ETag.", body = schema::Repository)))]
async fn get(Caller(acting): Caller, Id(id): Id<RepositoryId>) -> Answer {
    let repository = acting.repository(id).await?;
    Ok(versioned(StatusCode::OK, repository.version, &repository))
}

/// Changes the repository that still has the version named.
#[utoipa::path(patch, path = "/api/v1/repositories/{id}", tag = "repositories",
    params(("id" = String, Path), ("If-Match" = String, Header, description = "The ETag that was read.")),
    request_body = schema::RepositoryPatch,
    responses((status = 200, description = "The repository as it is now.", body = schema::Repository)))]
async fn update(Caller(acting): Caller, Id(id): Id<RepositoryId>, version: IfMatch, Body(patch): Body<RepositoryPatch>) -> Answer {
    let repository = acting.repository(id).await?;
    let version = version.check(repository.version)?;
    let repository = acting.update_repository(id, version, patch).await.map_err(lost)?;
    Ok(versioned(StatusCode::OK, repository.version, &repository))
}

/// Deletes the repository with its branches, unless an image or a deployment still needs it.
#[utoipa::path(delete, path = "/api/v1/repositories/{id}", tag = "repositories", params(("id" = String, Path)),
    responses((status = 204, description = "It is gone.")))]
async fn delete(Caller(acting): Caller, Id(id): Id<RepositoryId>) -> Answer<Response> {
    acting.delete_repository(id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Adds a branch.
#[utoipa::path(post, path = "/api/v1/repositories/{id}/branches", tag = "repositories", params(("id" = String, Path)),
    request_body = schema::NewBranch, responses((status = 201, description = "It was made.", body = schema::Branch)))]
async fn create_branch(Caller(acting): Caller, Id(repository): Id<RepositoryId>, Body(new): Body<NewBranch>) -> Answer {
    let branch = acting.create_branch(repository, new).await?;
    let response = versioned(StatusCode::CREATED, branch.version, &branch);
    Ok(located(response, &format!("/api/v1/branches/{}", branch.id)))
}

/// Lists a repository's branches in the order of their making.
#[utoipa::path(get, path = "/api/v1/repositories/{id}/branches", tag = "repositories",
    params(("id" = String, Path), ("limit" = Option<u32>, Query), ("after" = Option<String>, Query)),
    responses((status = 200, description = "A page.", body = schema::Page<schema::Branch>)))]
async fn list_branches(Caller(acting): Caller, Id(repository): Id<RepositoryId>, mut filter: Filter) -> Answer {
    let page = filter.page()?;
    filter.end()?;
    Ok(Json(acting.branches(repository, page).await?).into_response())
}

/// The branch.
#[utoipa::path(get, path = "/api/v1/branches/{id}", tag = "repositories", params(("id" = String, Path)),
    responses((status = 200, description = "The branch, its version as ETag.", body = schema::Branch)))]
async fn get_branch(Caller(acting): Caller, Id(id): Id<BranchId>) -> Answer {
    let branch = acting.branch(id).await?;
    Ok(versioned(StatusCode::OK, branch.version, &branch))
}

/// Deletes the branch, unless a deployment follows it.
#[utoipa::path(delete, path = "/api/v1/branches/{id}", tag = "repositories", params(("id" = String, Path)),
    responses((status = 204, description = "It is gone.")))]
async fn delete_branch(Caller(acting): Caller, Id(id): Id<BranchId>) -> Answer<Response> {
    acting.delete_branch(id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Commit {
    commit: CommitId,
}

/// Says what the newest commit is. Deployments that follow the branch are queued to be deployed again; the same commit changes nothing.
#[utoipa::path(post, path = "/api/v1/branches/{id}/commit", tag = "repositories", params(("id" = String, Path)),
    request_body = schema::BranchCommit,
    responses((status = 200, description = "The branch as it is now, and what is deployed again.", body = schema::RecordedBranch)))]
async fn record_commit(Caller(acting): Caller, Id(id): Id<BranchId>, Body(said): Body<Commit>) -> Answer {
    let recorded = acting.record_branch_commit(id, said.commit).await?;
    Ok(versioned(StatusCode::OK, recorded.now.version, &recorded))
}
