//! Branches, and the commits that become known of them.

use crate::{
    access::Permission,
    error::{Error, ErrorKind, Result},
    git::CommitId,
    id::{BranchId, RepositoryId},
    model::{Branch, BranchHead, NewBranch},
    platform::{
        Acting,
        redeploy::{ATTEMPTS, Following, Recorded},
    },
    store::{BranchMove, DeploymentFilter, Page, PageRequest},
};

impl Acting {
    /// Adds a branch of a repository.
    ///
    /// # Errors
    /// `AlreadyExists` when the repository has one of that name.
    pub async fn create_branch(&self, repository: RepositoryId, new: NewBranch) -> Result<Branch> {
        let repository = self.repository_for(repository, Permission::BranchCreate).await?;
        let now = self.now();
        let branch = Branch {
            id: BranchId::new(),
            repository_id: repository.id,
            project_id: repository.project_id,
            name: new.name,
            head: new.commit.map(|commit| BranchHead { commit, recorded_at: now }),
            created_at: now,
            version: 1,
        };
        let audit = self.allowed(Permission::BranchCreate.as_str(), format!("branch {}", branch.id), branch.project_id);
        self.store().create_branch(&branch, &audit).await?;
        Ok(branch)
    }

    /// The branch of that id.
    ///
    /// # Errors
    /// `NotFound`, also for what the principal may not read.
    pub async fn branch(&self, id: BranchId) -> Result<Branch> {
        self.branch_for(id, Permission::ProjectRead).await
    }

    /// A repository's branches in the order of their making.
    ///
    /// # Errors
    /// `NotFound`, also for a repository that the principal may not read.
    pub async fn branches(&self, repository: RepositoryId, page: PageRequest) -> Result<Page<Branch>> {
        self.repository_for(repository, Permission::ProjectRead).await?;
        self.store().branches(repository, page).await
    }

    /// Says what the newest commit of a branch is. Deployments that follow the branch, and are to be redeployed when it moves, are queued
    /// in the same transaction, each within the rights of whoever said that it is to be; a redeploy for an earlier commit that still waits
    /// is superseded. The commit that is known already changes nothing.
    ///
    /// # Errors
    /// `NotFound`, also for what the principal may not read; `Conflict` when others kept moving the branch at the same time.
    pub async fn record_branch_commit(&self, id: BranchId, commit: CommitId) -> Result<Recorded<Branch>> {
        for _ in 0..ATTEMPTS {
            let branch = self.branch_for(id, Permission::BranchRecord).await?;
            if branch.head.as_ref().is_some_and(|head| head.commit == commit) {
                return Ok(Recorded { now: branch, redeploys: Vec::new() });
            }
            let head = Some(BranchHead { commit: commit.clone(), recorded_at: self.now() });
            let following = Following {
                cause: format!("branch {}", branch.name),
                why: format!("branch {} is at {commit}", branch.name),
                branch: Some(Branch { head, ..branch.clone() }),
                image: None,
            };
            let filter = DeploymentFilter { branch: Some(id), ..DeploymentFilter::default() };
            let planned = self.redeploys(filter, &following).await?;
            let mut audit = self.allowed(Permission::BranchRecord.as_str(), format!("branch {id}"), branch.project_id);
            let before = branch.head.map_or_else(|| "none".to_owned(), |head| head.commit.to_string());
            audit.reason = format!("{commit} after {before}; redeploys: {}", planned.runs.len());
            let to = BranchMove { branch: id, version: branch.version, commit: commit.clone(), runs: planned.runs, audit };
            let done = self.store().move_branch(&to).await;
            if let Some(recorded) = self.recorded(done, planned.redeploys).await? {
                return Ok(recorded);
            }
        }
        Err(Error::new(ErrorKind::Conflict, "record commit", "the branch kept changing meanwhile"))
    }

    /// Deletes a branch.
    ///
    /// # Errors
    /// `Conflict` while a deployment follows it.
    pub async fn delete_branch(&self, id: BranchId) -> Result<()> {
        let branch = self.branch_for(id, Permission::BranchDelete).await?;
        let audit = self.allowed(Permission::BranchDelete.as_str(), format!("branch {id}"), branch.project_id);
        self.store().delete_branch(id, &audit).await
    }

    async fn branch_for(&self, id: BranchId, permission: Permission) -> Result<Branch> {
        let branch = self.store().branch(id).await?;
        self.require_owned(permission, "branch", id.uuid(), branch.project_id).await?;
        Ok(branch)
    }
}
