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

    /// What runs in a project or because of a deployment, as far as the principal may read it.
    ///
    /// # Errors
    /// `Invalid` when the filter names neither; `NotFound` for what the principal may not read.
    pub async fn deployed_services(&self, filter: DeployedServiceFilter, page: PageRequest) -> Result<Page<DeployedService>> {
        let resource = match filter {
            DeployedServiceFilter { deployment: Some(deployment), .. } => {
                Resource::deployment(deployment, self.store().deployment(deployment).await?.project_id)
            }
            DeployedServiceFilter { project: Some(project), .. } => Resource::project(project),
            _ => return Err(Invalid::new("project", "name the project or deployment whose deployed services to list").into()),
        };
        let reader = self.reader(&resource, self.require_as(Permission::ProjectRead, &resource).await?);
        self.store().deployed_services(DeployedServiceFilter { reader, ..filter }, page).await
    }
}
