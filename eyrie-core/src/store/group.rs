//! Deployment groups and their scopes.

use async_trait::async_trait;

use crate::{
    error::Result,
    id::{GroupId, ProjectId, ScopeId, UserId},
    model::{AuditEntry, DeploymentGroup, Scope},
    name::Slug,
    store::{Page, PageRequest},
};

/// Keeps deployment groups.
#[async_trait]
pub trait GroupStore {
    /// Keeps a new group; its slug must be free in the project.
    async fn create_group(&self, group: &DeploymentGroup, audit: &AuditEntry) -> Result<()>;
    /// The group of that id.
    async fn group(&self, id: GroupId) -> Result<DeploymentGroup>;
    /// The group of that slug in the project.
    async fn group_by_slug(&self, project: ProjectId, slug: &Slug) -> Result<DeploymentGroup>;
    /// The project's groups that the reader may see, in the order of their making.
    async fn groups(&self, project: ProjectId, reader: Option<UserId>, page: PageRequest) -> Result<Page<DeploymentGroup>>;
    /// Replaces the group if the stored version is `group.version`; the stored version then is one more.
    async fn update_group(&self, group: &DeploymentGroup, audit: &AuditEntry) -> Result<()>;
    /// Deletes the group with its scopes. `Conflict` while it has deployments.
    async fn delete_group(&self, id: GroupId, audit: &AuditEntry) -> Result<()>;
}

/// Keeps scopes.
#[async_trait]
pub trait ScopeStore {
    /// Keeps a new scope; its slug must be free in the group.
    async fn create_scope(&self, scope: &Scope, audit: &AuditEntry) -> Result<()>;
    /// The scope of that id.
    async fn scope(&self, id: ScopeId) -> Result<Scope>;
    /// The group's scopes in the order of their making.
    async fn scopes(&self, group: GroupId, page: PageRequest) -> Result<Page<Scope>>;
    /// Replaces the scope if the stored version is `scope.version`; the stored version then is one more.
    async fn update_scope(&self, scope: &Scope, audit: &AuditEntry) -> Result<()>;
    /// Deletes the scope. `Conflict` while a deployment is in it.
    async fn delete_scope(&self, id: ScopeId, audit: &AuditEntry) -> Result<()>;
}
