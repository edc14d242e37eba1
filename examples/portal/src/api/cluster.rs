//! Clusters, whom they are granted to, and what is linked to them.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use eyrie_core::{
    id::{ClusterId, DeploymentId, GroupId, ProjectId, ScopeId},
    model::{ClusterMove, ClusterPatch, Linked, NewCluster},
    platform::ClusterView,
    store::Page,
};
use serde::{Deserialize, Serialize};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{located, lost, versioned};
use crate::{
    authentication::Caller,
    portal::Portal,
    problem::{Answer, Problem},
    request::{Body, Filter, Id, IfMatch, TwoIds},
    schema,
};

pub(super) fn routes() -> OpenApiRouter<Portal> {
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(get, update))
        .routes(routes!(advance))
        .routes(routes!(limited, limit))
        .routes(routes!(grants))
        .routes(routes!(grant, revoke))
        .routes(routes!(link_group, unlink_group))
        .routes(routes!(link_scope, unlink_scope))
        .routes(routes!(link_deployment, unlink_deployment))
        .routes(routes!(effective))
}

/// A move in a cluster's life.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Move {
    r#move: ClusterMove,
}

/// How many runs may be under way.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Limit {
    max_running: Option<u32>,
}

/// Makes a cluster, in draft.
#[utoipa::path(post, path = "/api/v1/clusters", tag = "clusters", request_body = schema::NewCluster,
    responses((status = 201, description = "It was made.", body = schema::Cluster)))]
async fn create(Caller(acting): Caller, Body(new): Body<NewCluster>) -> Answer {
    let cluster = acting.create_cluster(new).await?;
    let response = versioned(StatusCode::CREATED, cluster.version, &cluster);
    Ok(located(response, &format!("/api/v1/clusters/{}", cluster.id)))
}

/// Lists the clusters that are granted to a project, or for operators all of them, in the order of their making. Members see `id`, `slug` and `state` only.
#[utoipa::path(get, path = "/api/v1/clusters", tag = "clusters", params(("project" = Option<String>, Query, description = "The project."), ("limit" = Option<u32>, Query, description = "1 to 500; 100 if missing."), ("after" = Option<String>, Query, description = "The `next` of the page before.")),
    responses((status = 200, description = "A page.", body = schema::Page<schema::Cluster>)))]
async fn list(Caller(acting): Caller, mut filter: Filter) -> Answer {
    let project = filter.take::<ProjectId>("project")?;
    let page = filter.page()?;
    filter.end()?;
    Ok(Json(acting.clusters(project, page).await?).into_response())
}

/// The cluster. Members of projects that it is granted to see `id`, `slug` and `state` only, and no ETag.
#[utoipa::path(get, path = "/api/v1/clusters/{id}", tag = "clusters", params(("id" = String, Path)),
    responses((status = 200, description = "The cluster, its version as ETag.", body = schema::Cluster)))]
async fn get(Caller(acting): Caller, Id(id): Id<ClusterId>) -> Answer {
    Ok(match acting.cluster(id).await? {
        ClusterView::Whole(cluster) => versioned(StatusCode::OK, cluster.version, &cluster),
        ClusterView::Seen(seen) => Json(seen).into_response(),
    })
}

/// Changes the cluster that still has the version named.
#[utoipa::path(patch, path = "/api/v1/clusters/{id}", tag = "clusters",
    params(("id" = String, Path), ("If-Match" = String, Header, description = "The ETag that was read.")),
    request_body = schema::ClusterPatch, responses((status = 200, description = "The cluster as it is now.", body = schema::Cluster)))]
async fn update(Caller(acting): Caller, Id(id): Id<ClusterId>, version: IfMatch, Body(patch): Body<ClusterPatch>) -> Answer {
    let version = current(&acting, id, &version).await?;
    let cluster = acting.update_cluster(id, version, patch).await.map_err(lost)?;
    Ok(versioned(StatusCode::OK, cluster.version, &cluster))
}

/// Makes a move in the life of the cluster that still has the version named: `begin`, `fail`, `activate`, `change`, `cancel` or `delete`.
#[utoipa::path(post, path = "/api/v1/clusters/{id}/state", tag = "clusters",
    params(("id" = String, Path), ("If-Match" = String, Header, description = "The ETag that was read.")),
    request_body = schema::ClusterMove, responses((status = 200, description = "The cluster as it is now.", body = schema::Cluster)))]
async fn advance(Caller(acting): Caller, Id(id): Id<ClusterId>, version: IfMatch, Body(asked): Body<Move>) -> Answer {
    let version = current(&acting, id, &version).await?;
    let cluster = acting.move_cluster(id, version, asked.r#move).await?;
    Ok(versioned(StatusCode::OK, cluster.version, &cluster))
}

/// The version named, if the cluster still has it. Who sees a part of it only hears why from the change itself.
async fn current(acting: &eyrie_core::Acting, id: ClusterId, version: &IfMatch) -> Result<u64, Problem> {
    match acting.cluster(id).await? {
        ClusterView::Whole(cluster) => version.check(cluster.version),
        ClusterView::Seen(_) => Ok(0),
    }
}

/// Says how many runs may be under way on the cluster at the same time; null: any number.
#[utoipa::path(put, path = "/api/v1/clusters/{id}/limit", tag = "clusters", params(("id" = String, Path)),
    request_body = schema::ClusterLimit, responses((status = 204, description = "It holds from the next claim on.")))]
async fn limit(Caller(acting): Caller, Id(id): Id<ClusterId>, Body(asked): Body<Limit>) -> Answer<Response> {
    acting.limit_cluster(id, asked.max_running).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// How many runs may be under way on the cluster at the same time; null: any number.
#[utoipa::path(get, path = "/api/v1/clusters/{id}/limit", tag = "clusters", params(("id" = String, Path)),
    responses((status = 200, description = "The limit.", body = schema::ClusterLimit)))]
async fn limited(Caller(acting): Caller, Id(id): Id<ClusterId>) -> Answer<Json<Limit>> {
    Ok(Json(Limit { max_running: acting.cluster_limit(id).await? }))
}

/// Whom the cluster is granted to.
#[utoipa::path(get, path = "/api/v1/clusters/{id}/grants", tag = "clusters", params(("id" = String, Path)),
    responses((status = 200, description = "The grants.", body = schema::Page<schema::ClusterGrant>)))]
async fn grants(Caller(acting): Caller, Id(id): Id<ClusterId>) -> Answer {
    Ok(Json(Page { items: acting.cluster_grants(id).await?, next: None }).into_response())
}

/// Lets a project use the cluster.
#[utoipa::path(put, path = "/api/v1/clusters/{id}/grants/{project_id}", tag = "clusters", params(("id" = String, Path), ("project_id" = String, Path)),
    responses((status = 204, description = "It may use it.")))]
async fn grant(Caller(acting): Caller, TwoIds(id, project): TwoIds<ClusterId, ProjectId>) -> Answer<Response> {
    acting.grant_cluster(id, project).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Takes the cluster from a project again, unless something of the project is linked to it.
#[utoipa::path(delete, path = "/api/v1/clusters/{id}/grants/{project_id}", tag = "clusters", params(("id" = String, Path), ("project_id" = String, Path)),
    responses((status = 204, description = "It may no longer use it.")))]
async fn revoke(Caller(acting): Caller, TwoIds(id, project): TwoIds<ClusterId, ProjectId>) -> Answer<Response> {
    acting.revoke_cluster(id, project).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn link(acting: eyrie_core::Acting, to: Linked, cluster: ClusterId) -> Answer<Response> {
    acting.link_cluster(cluster, to).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn unlink(acting: eyrie_core::Acting, to: Linked, cluster: ClusterId) -> Answer<Response> {
    acting.unlink_cluster(cluster, to).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Links a group to a cluster that its project may use.
#[utoipa::path(put, path = "/api/v1/groups/{id}/clusters/{cluster_id}", tag = "clusters", params(("id" = String, Path), ("cluster_id" = String, Path)),
    responses((status = 204, description = "It is linked.")))]
async fn link_group(Caller(acting): Caller, TwoIds(id, cluster): TwoIds<GroupId, ClusterId>) -> Answer<Response> {
    link(acting, Linked::Group(id), cluster).await
}

/// Takes the link of a group to a cluster away.
#[utoipa::path(delete, path = "/api/v1/groups/{id}/clusters/{cluster_id}", tag = "clusters", params(("id" = String, Path), ("cluster_id" = String, Path)),
    responses((status = 204, description = "It is not linked any more.")))]
async fn unlink_group(Caller(acting): Caller, TwoIds(id, cluster): TwoIds<GroupId, ClusterId>) -> Answer<Response> {
    unlink(acting, Linked::Group(id), cluster).await
}

/// Links a scope to a cluster that its project may use.
#[utoipa::path(put, path = "/api/v1/scopes/{id}/clusters/{cluster_id}", tag = "clusters", params(("id" = String, Path), ("cluster_id" = String, Path)),
    responses((status = 204, description = "It is linked.")))]
async fn link_scope(Caller(acting): Caller, TwoIds(id, cluster): TwoIds<ScopeId, ClusterId>) -> Answer<Response> {
    link(acting, Linked::Scope(id), cluster).await
}

/// Takes the link of a scope to a cluster away.
#[utoipa::path(delete, path = "/api/v1/scopes/{id}/clusters/{cluster_id}", tag = "clusters", params(("id" = String, Path), ("cluster_id" = String, Path)),
    responses((status = 204, description = "It is not linked any more.")))]
async fn unlink_scope(Caller(acting): Caller, TwoIds(id, cluster): TwoIds<ScopeId, ClusterId>) -> Answer<Response> {
    unlink(acting, Linked::Scope(id), cluster).await
}

/// Links a deployment to a cluster that its project may use.
#[utoipa::path(put, path = "/api/v1/deployments/{id}/clusters/{cluster_id}", tag = "clusters", params(("id" = String, Path), ("cluster_id" = String, Path)),
    responses((status = 204, description = "It is linked.")))]
async fn link_deployment(Caller(acting): Caller, TwoIds(id, cluster): TwoIds<DeploymentId, ClusterId>) -> Answer<Response> {
    link(acting, Linked::Deployment(id), cluster).await
}

/// Takes the link of a deployment to a cluster away.
#[utoipa::path(delete, path = "/api/v1/deployments/{id}/clusters/{cluster_id}", tag = "clusters", params(("id" = String, Path), ("cluster_id" = String, Path)),
    responses((status = 204, description = "It is not linked any more.")))]
async fn unlink_deployment(Caller(acting): Caller, TwoIds(id, cluster): TwoIds<DeploymentId, ClusterId>) -> Answer<Response> {
    unlink(acting, Linked::Deployment(id), cluster).await
}

/// The clusters that a deployment goes to, each with the level that says so: the deployment's own, else its scope's, else its group's.
#[utoipa::path(get, path = "/api/v1/deployments/{id}/clusters", tag = "clusters", params(("id" = String, Path)),
    responses((status = 200, description = "The clusters.", body = schema::Page<schema::EffectiveCluster>)))]
async fn effective(Caller(acting): Caller, Id(id): Id<DeploymentId>) -> Answer {
    Ok(Json(Page { items: acting.effective_clusters(id).await?, next: None }).into_response())
}
