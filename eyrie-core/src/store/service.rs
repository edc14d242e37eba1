//! Services.

use async_trait::async_trait;

use crate::{
    error::Result,
    id::{ProjectId, ServiceId},
    model::{AuditEntry, Service},
    name::ServiceName,
    store::{Page, PageRequest},
};

/// Keeps services.
#[async_trait]
pub trait ServiceStore {
    /// Keeps a new service; its name must be free in the project.
    async fn create_service(&self, service: &Service, audit: &AuditEntry) -> Result<()>;
    /// The service of that id.
    async fn service(&self, id: ServiceId) -> Result<Service>;
    /// The service of that name in the project.
    async fn service_by_name(&self, project: ProjectId, name: &ServiceName) -> Result<Service>;
    /// The project's services in the order of their making.
    async fn services(&self, project: ProjectId, page: PageRequest) -> Result<Page<Service>>;
    /// Replaces the service if the stored version is `service.version`; the stored version then is one more.
    async fn update_service(&self, service: &Service, audit: &AuditEntry) -> Result<()>;
    /// Deletes the service. `Conflict` while a deployment refers to it.
    async fn delete_service(&self, id: ServiceId, audit: &AuditEntry) -> Result<()>;
}
