//! Projects and who belongs to them.

use async_trait::async_trait;

use crate::{
    error::Result,
    id::{ProjectId, UserId},
    model::{AuditEntry, Membership, Project},
    name::Slug,
    store::{Page, PageRequest},
};

/// Keeps projects with their namespaces.
#[async_trait]
pub trait ProjectStore {
    /// Keeps a new project; its slug must be free and its namespace uid must never have been used.
    async fn create_project(&self, project: &Project, audit: &AuditEntry) -> Result<()>;
    /// The project of that id.
    async fn project(&self, id: ProjectId) -> Result<Project>;
    /// The project of that slug.
    async fn project_by_slug(&self, slug: &Slug) -> Result<Project>;
    /// Projects in the order of their making; with `member`, only those that this user owns or is a member of.
    async fn projects(&self, member: Option<UserId>, page: PageRequest) -> Result<Page<Project>>;
    /// Replaces the project if the stored version is `project.version`; the stored version then is one more.
    async fn update_project(&self, project: &Project, audit: &AuditEntry) -> Result<()>;
    /// Deletes the project with its memberships. `Conflict` while it has groups, services, secrets, datasources, repositories or images.
    async fn delete_project(&self, id: ProjectId, audit: &AuditEntry) -> Result<()>;
}

/// Keeps roles of users in projects.
#[async_trait]
pub trait MemberStore {
    /// Sets a user's role in a project, new or changed. `Conflict` for another role than admin when the user is the last admin whose account
    /// is not disabled, and the project has no owner of whom that is true.
    async fn set_membership(&self, membership: &Membership, audit: &AuditEntry) -> Result<()>;
    /// Takes a user out of a project, with all its overrides there. `NotFound` when it is no member; `Conflict` for the last admin, as for
    /// [`set_membership`](Self::set_membership).
    async fn remove_membership(&self, project: ProjectId, user: UserId, audit: &AuditEntry) -> Result<()>;
    /// All members of the project, in no order.
    async fn memberships(&self, project: ProjectId) -> Result<Vec<Membership>>;
}
