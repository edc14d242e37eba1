//! Repositories and their branches.

use async_trait::async_trait;

use crate::{
    error::Result,
    git::CommitId,
    id::{BranchId, ProjectId, RepositoryId},
    model::{AuditEntry, Branch, Repository},
    name::GroupType,
    store::{Enqueue, Moved, Page, PageRequest},
};

/// Which repositories to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RepositoryFilter {
    /// Those of this project; none: the operators'.
    pub owner: Option<ProjectId>,
    /// Those that are for groups of this type only.
    pub group_type: Option<GroupType>,
}

/// Keeps repositories.
#[async_trait]
pub trait RepositoryStore {
    /// Keeps a new repository; its slug must be free in its project, or among the operators'.
    async fn create_repository(&self, repository: &Repository, audit: &AuditEntry) -> Result<()>;
    /// The repository of that id.
    async fn repository(&self, id: RepositoryId) -> Result<Repository>;
    /// Repositories in the order of their making.
    async fn repositories(&self, filter: RepositoryFilter, page: PageRequest) -> Result<Page<Repository>>;
    /// Replaces the repository if the stored version is `repository.version`; the stored version then is one more.
    async fn update_repository(&self, repository: &Repository, audit: &AuditEntry) -> Result<()>;
    /// Deletes the repository with its branches. `Conflict` while an image names it, or a deployment one of its branches.
    async fn delete_repository(&self, id: RepositoryId, audit: &AuditEntry) -> Result<()>;
}

/// Another commit of a branch, and what follows from it.
#[derive(Debug, Clone)]
pub struct BranchMove {
    /// The branch.
    pub branch: BranchId,
    /// As of this version.
    pub version: u64,
    /// Its newest commit.
    pub commit: CommitId,
    /// The runs to queue.
    pub runs: Vec<Enqueue>,
    /// Who said so.
    pub audit: AuditEntry,
}

/// Keeps branches.
#[async_trait]
pub trait BranchStore {
    /// Keeps a new branch; its name must be free in the repository.
    async fn create_branch(&self, branch: &Branch, audit: &AuditEntry) -> Result<()>;
    /// The branch of that id.
    async fn branch(&self, id: BranchId) -> Result<Branch>;
    /// The repository's branches in the order of their making.
    async fn branches(&self, repository: RepositoryId, page: PageRequest) -> Result<Page<Branch>>;
    /// Records another commit by the store's clock and queues the runs, in one transaction; the stored version then is one more.
    /// `Conflict` when the branch has another version by now, `NotFound` when it is gone, or a deployment of a run is: nothing is
    /// recorded or queued then.
    async fn move_branch(&self, to: &BranchMove) -> Result<Moved<Branch>>;
    /// Deletes the branch. `Conflict` while a deployment follows it.
    async fn delete_branch(&self, id: BranchId, audit: &AuditEntry) -> Result<()>;
}
