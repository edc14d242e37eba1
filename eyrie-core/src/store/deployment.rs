//! Deployments.

use async_trait::async_trait;

use crate::{
    error::Result,
    id::{BranchId, DeploymentId, GroupId, ImageId, ProjectId, ServiceId, UserId},
    model::{AuditEntry, Deployment},
    name::Slug,
    store::{Page, PageRequest},
};

/// Which deployments to list; what is missing does not matter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeploymentFilter {
    /// In this project.
    pub project: Option<ProjectId>,
    /// In this group.
    pub group: Option<GroupId>,
    /// Of this service.
    pub service: Option<ServiceId>,
    /// Of this branch.
    pub branch: Option<BranchId>,
    /// Of this image.
    pub image: Option<ImageId>,
    /// What this member may see. The platform says who reads; whatever else is given here does not count.
    pub reader: Option<UserId>,
}

/// Keeps deployments.
#[async_trait]
pub trait DeploymentStore {
    /// Keeps a new deployment; its slug must be free in the group.
    async fn create_deployment(&self, deployment: &Deployment, audit: &AuditEntry) -> Result<()>;
    /// The deployment of that id.
    async fn deployment(&self, id: DeploymentId) -> Result<Deployment>;
    /// The deployment of that slug in the group.
    async fn deployment_by_slug(&self, group: GroupId, slug: &Slug) -> Result<Deployment>;
    /// Deployments in the order of their making.
    async fn deployments(&self, filter: DeploymentFilter, page: PageRequest) -> Result<Page<Deployment>>;
    /// Replaces the deployment if the stored version is `deployment.version`; the stored version then is one more.
    async fn update_deployment(&self, deployment: &Deployment, audit: &AuditEntry) -> Result<()>;
    /// Deletes the deployment with its schedules and monitors. `Conflict` while it has runs.
    async fn delete_deployment(&self, id: DeploymentId, audit: &AuditEntry) -> Result<()>;
}
