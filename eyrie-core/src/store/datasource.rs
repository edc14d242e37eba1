//! Datasources.

use async_trait::async_trait;

use crate::{
    error::Result,
    id::DatasourceId,
    model::{AuditEntry, Datasource, Owner},
    store::{Page, PageRequest},
};

/// Keeps datasources.
#[async_trait]
pub trait DatasourceStore {
    /// Keeps a new datasource; its slug must be free among those of its owner.
    async fn create_datasource(&self, datasource: &Datasource, audit: &AuditEntry) -> Result<()>;
    /// The datasource of that id.
    async fn datasource(&self, id: DatasourceId) -> Result<Datasource>;
    /// The owner's datasources in the order of their making.
    async fn datasources(&self, owner: Owner, page: PageRequest) -> Result<Page<Datasource>>;
    /// Replaces the datasource if the stored version is `datasource.version`; the stored version then is one more.
    async fn update_datasource(&self, datasource: &Datasource, audit: &AuditEntry) -> Result<()>;
    /// Deletes the datasource. `Conflict` while a scope's backups go there.
    async fn delete_datasource(&self, id: DatasourceId, audit: &AuditEntry) -> Result<()>;
}
