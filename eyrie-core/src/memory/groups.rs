//! Deployment groups and their scopes.

use async_trait::async_trait;

use super::{
    MemoryStore,
    state::{State, find, free, get, need, oldest_first, same_version, unused},
};
use crate::{
    error::Result,
    id::{GroupId, ProjectId, ScopeId, UserId},
    model::{AuditEntry, DeploymentGroup, OverrideAt, Scope},
    name::Slug,
    store::{GroupStore, Page, PageRequest, ScopeStore},
};

impl State {
    fn check_group(&self, group: &DeploymentGroup, operation: &'static str) -> Result<()> {
        self.check_settings(&group.settings)?;
        need(&self.projects, group.project_id, "project")?;
        let others = self.groups.values().filter(|other| other.id != group.id && other.project_id == group.project_id);
        free(others, operation, "the project has a group of that slug", |other| other.slug == group.slug)
    }

    fn check_scope(&self, scope: &Scope, operation: &'static str) -> Result<()> {
        self.check_settings(&scope.settings)?;
        scope.backup_dest_datasource_id.map_or(Ok(()), |place| need(&self.datasources, place, "datasource"))?;
        need(&self.groups, scope.group_id, "group")?;
        let others = self.scopes.values().filter(|other| other.id != scope.id && other.group_id == scope.group_id);
        free(others, operation, "the group has a scope of that slug", |other| other.slug == scope.slug)
    }
}

#[async_trait]
impl GroupStore for MemoryStore {
    async fn create_group(&self, group: &DeploymentGroup, audit: &AuditEntry) -> Result<()> {
        const OPERATION: &str = "create group";
        let mut state = self.state();
        free(state.groups.keys(), OPERATION, "there is a group of that id", |id| *id == group.id)?;
        state.check_group(group, OPERATION)?;
        state.groups.insert(group.id, group.clone());
        state.note(audit);
        Ok(())
    }

    async fn group(&self, id: GroupId) -> Result<DeploymentGroup> {
        get(&self.state().groups, id, "group")
    }

    async fn group_by_slug(&self, project: ProjectId, slug: &Slug) -> Result<DeploymentGroup> {
        find(&self.state().groups, "group", |group| group.project_id == project && group.slug == *slug)
    }

    async fn groups(&self, project: ProjectId, reader: Option<UserId>, page: PageRequest) -> Result<Page<DeploymentGroup>> {
        let state = self.state();
        let fits = |group: &DeploymentGroup| group.project_id == project && state.shows_group(reader, group.id);
        Ok(oldest_first(&state.groups, &page, GroupId::from_uuid, |group| group.id.uuid(), fits))
    }

    async fn update_group(&self, group: &DeploymentGroup, audit: &AuditEntry) -> Result<()> {
        const OPERATION: &str = "update group";
        let mut state = self.state();
        let stored = get(&state.groups, group.id, "group")?;
        same_version(stored.version, group.version, OPERATION)?;
        state.check_group(group, OPERATION)?;
        state.groups.insert(group.id, DeploymentGroup { version: group.version + 1, ..group.clone() });
        state.note(audit);
        Ok(())
    }

    async fn delete_group(&self, id: GroupId, audit: &AuditEntry) -> Result<()> {
        let mut state = self.state();
        need(&state.groups, id, "group")?;
        let is_used = state.deployments.values().any(|deployment| deployment.group_id == id);
        unused(is_used, "delete group", "the group has deployments")?;
        state.groups.remove(&id);
        state.scopes.retain(|_, scope| scope.group_id != id);
        state.drop_overrides(|given| given.at == OverrideAt::Group(id));
        state.drop_links();
        state.note(audit);
        Ok(())
    }
}

#[async_trait]
impl ScopeStore for MemoryStore {
    async fn create_scope(&self, scope: &Scope, audit: &AuditEntry) -> Result<()> {
        const OPERATION: &str = "create scope";
        let mut state = self.state();
        free(state.scopes.keys(), OPERATION, "there is a scope of that id", |id| *id == scope.id)?;
        state.check_scope(scope, OPERATION)?;
        state.scopes.insert(scope.id, scope.clone());
        state.note(audit);
        Ok(())
    }

    async fn scope(&self, id: ScopeId) -> Result<Scope> {
        get(&self.state().scopes, id, "scope")
    }

    async fn scopes(&self, group: GroupId, page: PageRequest) -> Result<Page<Scope>> {
        let state = self.state();
        Ok(oldest_first(&state.scopes, &page, ScopeId::from_uuid, |scope| scope.id.uuid(), |scope| scope.group_id == group))
    }

    async fn update_scope(&self, scope: &Scope, audit: &AuditEntry) -> Result<()> {
        const OPERATION: &str = "update scope";
        let mut state = self.state();
        let stored = get(&state.scopes, scope.id, "scope")?;
        same_version(stored.version, scope.version, OPERATION)?;
        state.check_scope(scope, OPERATION)?;
        state.scopes.insert(scope.id, Scope { version: scope.version + 1, ..scope.clone() });
        state.note(audit);
        Ok(())
    }

    async fn delete_scope(&self, id: ScopeId, audit: &AuditEntry) -> Result<()> {
        let mut state = self.state();
        need(&state.scopes, id, "scope")?;
        let is_used = state.deployments.values().any(|deployment| deployment.scope_id == Some(id));
        unused(is_used, "delete scope", "a deployment is in the scope")?;
        state.scopes.remove(&id);
        state.drop_links();
        state.note(audit);
        Ok(())
    }
}
