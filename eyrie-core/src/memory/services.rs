//! Services.

use async_trait::async_trait;

use super::{
    MemoryStore,
    state::{State, find, free, get, need, oldest_first, same_version, unused},
};
use crate::{
    error::Result,
    id::{ProjectId, ServiceId},
    model::{AuditEntry, Service},
    name::ServiceName,
    store::{Page, PageRequest, ServiceStore},
};

impl State {
    fn check_service(&self, service: &Service, operation: &'static str) -> Result<()> {
        need(&self.projects, service.project_id, "project")?;
        let others = self.services.values().filter(|other| other.id != service.id && other.project_id == service.project_id);
        free(others, operation, "the project has a service of that name", |other| other.name == service.name)
    }
}

#[async_trait]
impl ServiceStore for MemoryStore {
    async fn create_service(&self, service: &Service, audit: &AuditEntry) -> Result<()> {
        const OPERATION: &str = "create service";
        let mut state = self.state();
        free(state.services.keys(), OPERATION, "there is a service of that id", |id| *id == service.id)?;
        state.check_service(service, OPERATION)?;
        state.services.insert(service.id, service.clone());
        state.note(audit);
        Ok(())
    }

    async fn service(&self, id: ServiceId) -> Result<Service> {
        get(&self.state().services, id, "service")
    }

    async fn service_by_name(&self, project: ProjectId, name: &ServiceName) -> Result<Service> {
        find(&self.state().services, "service", |service| service.project_id == project && service.name == *name)
    }

    async fn services(&self, project: ProjectId, page: PageRequest) -> Result<Page<Service>> {
        let state = self.state();
        Ok(oldest_first(&state.services, &page, ServiceId::from_uuid, |service| service.id.uuid(), |service| service.project_id == project))
    }

    async fn update_service(&self, service: &Service, audit: &AuditEntry) -> Result<()> {
        const OPERATION: &str = "update service";
        let mut state = self.state();
        let stored = get(&state.services, service.id, "service")?;
        same_version(stored.version, service.version, OPERATION)?;
        state.check_service(service, OPERATION)?;
        state.services.insert(service.id, Service { version: service.version + 1, ..service.clone() });
        state.note(audit);
        Ok(())
    }

    async fn delete_service(&self, id: ServiceId, audit: &AuditEntry) -> Result<()> {
        let mut state = self.state();
        need(&state.services, id, "service")?;
        let is_used = state.deployments.values().any(|deployment| deployment.service_id == Some(id));
        unused(is_used, "delete service", "a deployment refers to the service")?;
        state.services.remove(&id);
        state.note(audit);
        Ok(())
    }
}
