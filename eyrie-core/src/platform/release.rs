//! Releases and what runs because of them.

use crate::{
    access::Permission,
    error::{Invalid, Result},
    id::{DeployedServiceId, DeploymentId, ReleaseId},
    model::{DeployedService, Release},
    platform::{Acting, Resource},
    store::{DeployedServiceFilter, Page, PageRequest},
};

impl Acting {
    /// The release of that id.
    ///
    /// # Errors
    /// `NotFound`, also for what the principal may not read.
    pub async fn release(&self, id: ReleaseId) -> Result<Release> {
        let release = self.store().release(id).await?;
        self.deployment_for(release.deployment_id, Permission::ProjectRead).await?;
        Ok(release)
    }

    /// A deployment's releases, newest first.
    ///
    /// # Errors
    /// `NotFound`, also for a deployment that the principal may not read.
    pub async fn releases(&self, deployment: DeploymentId, page: PageRequest) -> Result<Page<Release>> {
        self.deployment_for(deployment, Permission::ProjectRead).await?;
        self.store().releases(deployment, page).await
    }

    /// The deployed service of that id.
    ///
    /// # Errors
    /// `NotFound`, also for what the principal may not read.
    pub async fn deployed_service(&self, id: DeployedServiceId) -> Result<DeployedService> {
        let deployed = self.store().deployed_service(id).await?;
        let resource = Resource::deployment(deployed.deployment_id, deployed.project_id);
        self.require(Permission::ProjectRead, &resource).await?;
        Ok(deployed)
    }

    /// What runs in a project or because of a deployment.
    ///
    /// # Errors
    /// `Invalid` when the filter names neither; `NotFound` for what the principal may not read.
    pub async fn deployed_services(&self, filter: DeployedServiceFilter, page: PageRequest) -> Result<Page<DeployedService>> {
        match filter {
            DeployedServiceFilter { deployment: Some(deployment), .. } => {
                self.deployment_for(deployment, Permission::ProjectRead).await?;
            }
            DeployedServiceFilter { project: Some(project), .. } => {
                self.require(Permission::ProjectRead, &Resource::project(project)).await?;
            }
            _ => return Err(Invalid::new("project", "name the project or deployment whose deployed services to list").into()),
        }
        self.store().deployed_services(filter, page).await
    }
}
