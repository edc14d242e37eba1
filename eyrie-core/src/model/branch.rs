//! Branches of repositories, and the newest commit that is known of each.

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    git::{BranchName, CommitId},
    id::{BranchId, ProjectId, RepositoryId},
};

/// A branch that deployments can follow. Its name is what it is, so that nothing of it changes but its head.
///
/// It is not deleted while a deployment follows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Branch {
    /// The branch's id.
    pub id: BranchId,
    /// The repository that it is in.
    pub repository_id: RepositoryId,
    /// The project that the repository belongs to; none: the operators.
    pub project_id: Option<ProjectId>,
    /// Unique within the repository.
    pub name: BranchName,
    /// The newest commit that is known.
    pub head: Option<BranchHead>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Grows at every change.
    pub version: u64,
}

/// A commit that became known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BranchHead {
    /// The commit.
    pub commit: CommitId,
    /// When somebody said so, by the store's clock.
    pub recorded_at: Timestamp,
}

/// What a new branch needs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewBranch {
    /// Unique within the repository.
    pub name: BranchName,
    /// Its newest commit, if it is known.
    #[serde(default)]
    pub commit: Option<CommitId>,
}
