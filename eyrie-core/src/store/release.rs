//! Releases and what runs because of them. Both are written by the engine's transitions only.

use async_trait::async_trait;

use crate::{
    error::Result,
    id::{DeployedServiceId, DeploymentId, ProjectId, ReleaseId},
    model::{DeployedService, Release},
    store::{Page, PageRequest},
};

/// Which deployed services to list; what is missing does not matter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeployedServiceFilter {
    /// In this project.
    pub project: Option<ProjectId>,
    /// Of this deployment.
    pub deployment: Option<DeploymentId>,
}

/// Reads releases and deployed services.
#[async_trait]
pub trait ReleaseStore {
    /// The release of that id.
    async fn release(&self, id: ReleaseId) -> Result<Release>;
    /// The deployment's releases, newest first.
    async fn releases(&self, deployment: DeploymentId, page: PageRequest) -> Result<Page<Release>>;
    /// The deployed service of that id.
    async fn deployed_service(&self, id: DeployedServiceId) -> Result<DeployedService>;
    /// Deployed services in the order of their making.
    async fn deployed_services(&self, filter: DeployedServiceFilter, page: PageRequest) -> Result<Page<DeployedService>>;
}
