//! Syncing services from their directory: each becomes a service and a deployment of its name in project `default`, group `services`.

use serde::Serialize;

use crate::{
    error::Result,
    id::{DeploymentId, ServiceId},
    model::Deployment,
    name::{ServiceName, Slug},
    platform::Acting,
};

/// The slug of the project that synced services belong to.
pub const DEFAULT_PROJECT: &str = "default";
/// The slug of the group that their deployments stand in.
pub const DEFAULT_GROUP: &str = "services";

/// One service of a sync.
#[derive(Debug, Clone, Serialize)]
pub struct SyncedService {
    /// Its name.
    pub name: String,
    /// The service.
    pub service_id: ServiceId,
    /// The deployment that deploys it.
    pub deployment_id: DeploymentId,
    /// What the sync did.
    pub change: &'static str,
}

/// What a sync did. Services that are no longer in the directory are named and kept, with their history.
#[derive(Debug, Clone, Default, Serialize)]
pub struct SyncReport {
    /// Services that are in the directory and now in the store.
    pub synced: Vec<SyncedService>,
    /// Folders that could not be taken, with why. They stay as they were.
    pub refused: Vec<(String, String)>,
    /// Services that once came from the directory and are no longer in it.
    pub missing: Vec<String>,
}

impl Acting {
    /// The deployment that `deploy SERVICE` means: the one of the service's name in project `default`, group `services`.
    ///
    /// # Errors
    /// `NotFound` when no such service was synced, or the principal may not read it.
    pub async fn service_deployment(&self, service: &ServiceName) -> Result<Deployment> {
        let missing = |error: crate::Error| if error.is_not_found() { crate::Error::not_found("service") } else { error };
        let project = self.store().project_by_slug(&Slug::new(DEFAULT_PROJECT)?).await.map_err(missing)?;
        let group = self.store().group_by_slug(project.id, &Slug::new(DEFAULT_GROUP)?).await.map_err(missing)?;
        let deployment = self.store().deployment_by_slug(group.id, &Slug::derive(service.as_str())).await.map_err(missing)?;
        self.deployment_for(deployment.id, crate::access::Permission::ProjectRead).await.map_err(missing)
    }
}

#[cfg(feature = "process")]
mod from_directory {
    use super::{DEFAULT_GROUP, DEFAULT_PROJECT, SyncReport, SyncedService};
    use crate::{
        access::Permission,
        deployment_type::service::GROUP_TYPE,
        error::{Error, ErrorKind, Result},
        model::{DeploymentGroup, NewDeployment, NewGroup, NewProject, Project, Service, ServiceSource},
        name::{ServiceName, Slug},
        platform::Acting,
        store::PageRequest,
    };

    impl Acting {
        /// Takes over what is in the services directory. One service that cannot be taken does not hold up the others.
        ///
        /// # Errors
        /// `Unsupported` when the program has no services directory; `Conflict` when it is empty although services came from it before.
        pub async fn sync_services(&self) -> Result<SyncReport> {
            self.require_everywhere(Permission::ServiceCreate, "services directory").await?;
            let Some(root) = &self.eyrie.0.services else {
                return Err(Error::new(ErrorKind::Unsupported, "sync services", "this program was started without a services directory"));
            };
            let project = self.default_project().await?;
            let group = self.default_group(&project).await?;
            let known = self.synced_before(&project).await?;
            let found = root.scan()?;
            if found.is_empty() && !known.is_empty() {
                let message =
                    format!("{} holds no services, but {} came from it before; nothing was changed", root.path().display(), known.len());
                return Err(Error::new(ErrorKind::Conflict, "sync services", message));
            }
            let mut report = SyncReport::default();
            for found in found {
                let synced = match found.service {
                    Ok((name, config)) => self.sync_one(&project, &group, name, config).await,
                    Err(error) => Err(error),
                };
                match synced {
                    Ok(synced) => report.synced.push(synced),
                    Err(error) => report.refused.push((found.folder, crate::error::report(&error))),
                }
            }
            let here = |name: &str| {
                report.synced.iter().any(|synced| synced.name == name) || report.refused.iter().any(|(folder, _)| folder == name)
            };
            report.missing = known.iter().map(|service| service.name.to_string()).filter(|name| !here(name)).collect();
            Ok(report)
        }

        async fn sync_one(
            &self,
            project: &Project,
            group: &DeploymentGroup,
            name: ServiceName,
            config: serde_json::Value,
        ) -> Result<SyncedService> {
            let (service, change) = match self.store().service_by_name(project.id, &name).await {
                Ok(service) if service.config == config => (service, "unchanged"),
                Ok(service) => (self.replace_config(service, config).await?, "updated"),
                Err(error) if error.is_not_found() => {
                    (self.create_service_from(project.id, name, config, ServiceSource::Directory).await?, "created")
                }
                Err(error) => return Err(error),
            };
            let slug = Slug::derive(service.name.as_str());
            let deployment = match self.store().deployment_by_slug(group.id, &slug).await {
                Ok(deployment) => deployment,
                Err(error) if error.is_not_found() => {
                    let new = NewDeployment { service_id: Some(service.id), ..NewDeployment::new(slug.as_str())? };
                    self.create_deployment(group.id, new).await?
                }
                Err(error) => return Err(error),
            };
            Ok(SyncedService { name: service.name.to_string(), service_id: service.id, deployment_id: deployment.id, change })
        }

        async fn default_project(&self) -> Result<Project> {
            let slug = Slug::new(DEFAULT_PROJECT)?;
            match self.store().project_by_slug(&slug).await {
                Err(error) if error.is_not_found() => match self.create_project(NewProject::new(DEFAULT_PROJECT)?).await {
                    // Another sync was faster.
                    Err(error) if error.kind() == ErrorKind::AlreadyExists => self.store().project_by_slug(&slug).await,
                    other => other,
                },
                other => other,
            }
        }

        async fn default_group(&self, project: &Project) -> Result<DeploymentGroup> {
            let slug = Slug::new(DEFAULT_GROUP)?;
            match self.store().group_by_slug(project.id, &slug).await {
                Err(error) if error.is_not_found() => {
                    match self.create_group(project.id, NewGroup::new(DEFAULT_GROUP, GROUP_TYPE)?).await {
                        Err(error) if error.kind() == ErrorKind::AlreadyExists => self.store().group_by_slug(project.id, &slug).await,
                        other => other,
                    }
                }
                other => other,
            }
        }

        async fn synced_before(&self, project: &Project) -> Result<Vec<Service>> {
            let mut all = Vec::new();
            let mut page = PageRequest::first(PageRequest::MAX)?;
            loop {
                let part = self.store().services(project.id, page).await?;
                all.extend(part.items.into_iter().filter(|service| service.source == ServiceSource::Directory));
                match part.next {
                    Some(next) => page = page.after(Some(next)),
                    None => return Ok(all),
                }
            }
        }
    }
}
