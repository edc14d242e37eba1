//! Clusters, whom they are granted to, and what is linked to them.

use async_trait::async_trait;

use crate::{
    error::Result,
    id::{ClusterId, DeploymentId, ProjectId},
    model::{AuditEntry, Cluster, ClusterGrant, ClusterLink, Linked},
    store::{Page, PageRequest},
};

/// Keeps clusters.
#[async_trait]
pub trait ClusterStore {
    /// Keeps a new cluster. Its slug must be free among clusters that are not gone, and its uid must never have been used.
    async fn create_cluster(&self, cluster: &Cluster, audit: &AuditEntry) -> Result<()>;
    /// The cluster of that id, also one that is gone.
    async fn cluster(&self, id: ClusterId) -> Result<Cluster>;
    /// Clusters that are not gone, in the order of their making; with `granted_to`, only those that the project may use.
    async fn clusters(&self, granted_to: Option<ProjectId>, page: PageRequest) -> Result<Page<Cluster>>;
    /// Replaces the cluster if the stored version is `cluster.version`; the stored version then is one more. As gone, it keeps its row,
    /// and loses its grants and its limit: `Conflict` while anything is linked to it, or a run that counts against it has not ended.
    async fn update_cluster(&self, cluster: &Cluster, audit: &AuditEntry) -> Result<()>;
}

/// Keeps who may use clusters, and for what.
#[async_trait]
pub trait ClusterLinkStore {
    /// Grants a cluster to a project. `AlreadyExists` when it is; `Conflict` when the cluster is gone.
    async fn grant_cluster(&self, grant: &ClusterGrant, audit: &AuditEntry) -> Result<()>;
    /// Takes the grant back. `NotFound` when there is none; `Conflict` while something of the project is linked to the cluster.
    async fn revoke_cluster(&self, cluster: ClusterId, project: ProjectId, audit: &AuditEntry) -> Result<()>;
    /// Whom the cluster is granted to, in no order.
    async fn cluster_grants(&self, cluster: ClusterId) -> Result<Vec<ClusterGrant>>;
    /// Links something to a cluster that is granted to its project: `Conflict` when it is not; `AlreadyExists` when it is linked. The
    /// link goes with what is linked.
    async fn link_cluster(&self, link: &ClusterLink, audit: &AuditEntry) -> Result<()>;
    /// Takes the link away. `NotFound` when there is none.
    async fn unlink_cluster(&self, cluster: ClusterId, to: Linked, audit: &AuditEntry) -> Result<()>;
    /// What is linked to the cluster, in no order; with `project`, only what is that project's.
    async fn cluster_links(&self, cluster: ClusterId, project: Option<ProjectId>) -> Result<Vec<ClusterLink>>;
    /// What is linked to the deployment, its scope and its group, with the clusters, in no order.
    async fn clusters_of(&self, deployment: DeploymentId) -> Result<Vec<(Linked, Cluster)>>;
}
