//! Services.

use serde_json::Value;

use crate::{
    access::Permission,
    error::{Error, ErrorKind, Result},
    id::{ProjectId, ServiceId},
    model::{Service, ServiceSource, check_json},
    name::ServiceName,
    platform::{Acting, Resource},
    store::{Page, PageRequest},
};

/// The bounds of a config.
const MAX_CONFIG: usize = 1024 * 1024;
const MAX_CONFIG_DEPTH: usize = 32;

impl Acting {
    /// Adds a service to a project. Its config names an executable, so only operators may.
    ///
    /// # Errors
    /// `AlreadyExists` when the name is taken in the project; `Invalid` names the config's field.
    pub async fn create_service(&self, project: ProjectId, name: ServiceName, config: Value) -> Result<Service> {
        self.create_service_from(project, name, config, ServiceSource::Api).await
    }

    pub(super) async fn create_service_from(
        &self,
        project: ProjectId,
        name: ServiceName,
        config: Value,
        source: ServiceSource,
    ) -> Result<Service> {
        self.require(Permission::ServiceCreate, &Resource::project(project)).await?;
        check_json(&config, MAX_CONFIG_DEPTH, MAX_CONFIG, || "config".to_owned())?;
        self.check_config(&name, &config)?;
        let service = Service { id: ServiceId::new(), project_id: project, name, config, source, created_at: self.now(), version: 1 };
        let audit = self.allowed(Permission::ServiceCreate.as_str(), format!("service {}", service.id), Some(project));
        self.store().create_service(&service, &audit).await?;
        Ok(service)
    }

    /// The service of that id.
    ///
    /// # Errors
    /// `NotFound`, also for what the principal may not read.
    pub async fn service(&self, id: ServiceId) -> Result<Service> {
        self.service_for(id, Permission::ProjectRead).await
    }

    /// The project's services in the order of their making.
    ///
    /// # Errors
    /// `NotFound`, also for a project that the principal may not read.
    pub async fn services(&self, project: ProjectId, page: PageRequest) -> Result<Page<Service>> {
        self.require(Permission::ProjectRead, &Resource::project(project)).await?;
        self.store().services(project, page).await
    }

    /// Replaces the config of a service that still has the version that was read.
    ///
    /// # Errors
    /// `Conflict` when it has changed since, or comes from the services directory; `Invalid` names the config's field.
    pub async fn update_service(&self, id: ServiceId, version: u64, config: Value) -> Result<Service> {
        let service = self.service_for(id, Permission::ServiceUpdate).await?;
        if service.source == ServiceSource::Directory {
            return Err(Error::new(
                ErrorKind::Conflict,
                "update service",
                "the service comes from the services directory; change it there and sync",
            ));
        }
        self.replace_config(Service { version, ..service }, config).await
    }

    pub(super) async fn replace_config(&self, mut service: Service, config: Value) -> Result<Service> {
        check_json(&config, MAX_CONFIG_DEPTH, MAX_CONFIG, || "config".to_owned())?;
        self.check_config(&service.name, &config)?;
        service.config = config;
        let audit = self.allowed(Permission::ServiceUpdate.as_str(), format!("service {}", service.id), Some(service.project_id));
        self.store().update_service(&service, &audit).await?;
        service.version += 1;
        Ok(service)
    }

    /// Deletes an unused service.
    ///
    /// # Errors
    /// `Conflict` while a deployment refers to it.
    pub async fn delete_service(&self, id: ServiceId) -> Result<()> {
        let service = self.service_for(id, Permission::ServiceDelete).await?;
        let audit = self.allowed(Permission::ServiceDelete.as_str(), format!("service {id}"), Some(service.project_id));
        self.store().delete_service(id, &audit).await
    }

    async fn service_for(&self, id: ServiceId, permission: Permission) -> Result<Service> {
        let service = self.store().service(id).await?;
        self.require(permission, &Resource::service(id, service.project_id)).await?;
        Ok(service)
    }

    /// Refuses a config that could not be deployed: a bad field, or a script that is missing or outside the services root.
    #[cfg(feature = "process")]
    fn check_config(&self, name: &ServiceName, config: &Value) -> Result<()> {
        use crate::{deployment_type::service::ServiceConfig, model::RunKind};

        let parsed = ServiceConfig::parse(config).map_err(|invalid| invalid.under("config"))?;
        if let Some(root) = &self.eyrie.0.services {
            for kind in RunKind::ALL {
                if let Some(script) = parsed.script(*kind) {
                    root.resolve_script(name, script).map_err(|invalid| invalid.under("config"))?;
                }
            }
        }
        Ok(())
    }

    #[cfg(not(feature = "process"))]
    fn check_config(&self, _name: &ServiceName, config: &Value) -> Result<()> {
        if config.is_object() { Ok(()) } else { Err(crate::error::Invalid::new("config", "must be a JSON object").into()) }
    }
}
