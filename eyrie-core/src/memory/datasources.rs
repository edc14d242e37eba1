//! Datasources.

use async_trait::async_trait;

use super::{
    MemoryStore,
    state::{State, free, get, need, oldest_first, same_version, unused},
};
use crate::{
    error::Result,
    id::DatasourceId,
    model::{AuditEntry, Datasource, Owner},
    store::{DatasourceStore, Page, PageRequest},
};

impl State {
    fn check_datasource(&self, datasource: &Datasource, operation: &'static str) -> Result<()> {
        datasource.project_id.map_or(Ok(()), |project| need(&self.projects, project, "project"))?;
        datasource.credentials_secret_id.map_or(Ok(()), |secret| need(&self.secrets, secret, "secret"))?;
        let others = self.datasources.values().filter(|other| other.id != datasource.id && other.project_id == datasource.project_id);
        free(others, operation, "there is a datasource of that slug", |other| other.slug == datasource.slug)
    }
}

#[async_trait]
impl DatasourceStore for MemoryStore {
    async fn create_datasource(&self, datasource: &Datasource, audit: &AuditEntry) -> Result<()> {
        const OPERATION: &str = "create datasource";
        let mut state = self.state();
        free(state.datasources.keys(), OPERATION, "there is a datasource of that id", |id| *id == datasource.id)?;
        state.check_datasource(datasource, OPERATION)?;
        state.datasources.insert(datasource.id, datasource.clone());
        state.note(audit);
        Ok(())
    }

    async fn datasource(&self, id: DatasourceId) -> Result<Datasource> {
        get(&self.state().datasources, id, "datasource")
    }

    async fn datasources(&self, owner: Owner, page: PageRequest) -> Result<Page<Datasource>> {
        let state = self.state();
        let fits = |datasource: &Datasource| datasource.owner() == owner;
        Ok(oldest_first(&state.datasources, &page, DatasourceId::from_uuid, |datasource| datasource.id.uuid(), fits))
    }

    async fn update_datasource(&self, datasource: &Datasource, audit: &AuditEntry) -> Result<()> {
        const OPERATION: &str = "update datasource";
        let mut state = self.state();
        let stored = get(&state.datasources, datasource.id, "datasource")?;
        same_version(stored.version, datasource.version, OPERATION)?;
        state.check_datasource(datasource, OPERATION)?;
        state.datasources.insert(datasource.id, Datasource { version: datasource.version + 1, ..datasource.clone() });
        state.note(audit);
        Ok(())
    }

    async fn delete_datasource(&self, id: DatasourceId, audit: &AuditEntry) -> Result<()> {
        let mut state = self.state();
        need(&state.datasources, id, "datasource")?;
        let is_used = state.scopes.values().any(|scope| scope.backup_dest_datasource_id == Some(id));
        unused(is_used, "delete datasource", "backups of a scope go there")?;
        state.datasources.remove(&id);
        state.note(audit);
        Ok(())
    }
}
