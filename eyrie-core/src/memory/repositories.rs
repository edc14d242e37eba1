//! Repositories and their branches.

use async_trait::async_trait;

use super::{
    MemoryStore,
    state::{State, free, get, need, oldest_first, same_version, unused},
};
use crate::{
    error::Result,
    id::{BranchId, RepositoryId},
    model::{AuditEntry, Branch, BranchHead, Repository},
    store::{BranchMove, BranchStore, Moved, Page, PageRequest, RepositoryFilter, RepositoryStore},
};

impl State {
    fn check_repository(&self, repository: &Repository, operation: &'static str) -> Result<()> {
        repository.project_id.map_or(Ok(()), |project| need(&self.projects, project, "project"))?;
        repository.credentials_secret_id.map_or(Ok(()), |secret| need(&self.secrets, secret, "secret"))?;
        let others = self.repositories.values().filter(|other| other.id != repository.id && other.project_id == repository.project_id);
        free(others, operation, "there is a repository of that slug", |other| other.slug == repository.slug)
    }
}

#[async_trait]
impl RepositoryStore for MemoryStore {
    async fn create_repository(&self, repository: &Repository, audit: &AuditEntry) -> Result<()> {
        const OPERATION: &str = "create repository";
        let mut state = self.state();
        free(state.repositories.keys(), OPERATION, "there is a repository of that id", |id| *id == repository.id)?;
        state.check_repository(repository, OPERATION)?;
        state.repositories.insert(repository.id, repository.clone());
        state.note(audit);
        Ok(())
    }

    async fn repository(&self, id: RepositoryId) -> Result<Repository> {
        get(&self.state().repositories, id, "repository")
    }

    async fn repositories(&self, filter: RepositoryFilter, page: PageRequest) -> Result<Page<Repository>> {
        let fits = |repository: &Repository| {
            filter.owner == repository.project_id
                && filter.group_type.as_ref().is_none_or(|wanted| repository.group_type.as_ref() == Some(wanted))
        };
        Ok(oldest_first(&self.state().repositories, &page, RepositoryId::from_uuid, |repository| repository.id.uuid(), fits))
    }

    async fn update_repository(&self, repository: &Repository, audit: &AuditEntry) -> Result<()> {
        const OPERATION: &str = "update repository";
        let mut state = self.state();
        let stored = get(&state.repositories, repository.id, "repository")?;
        same_version(stored.version, repository.version, OPERATION)?;
        state.check_repository(repository, OPERATION)?;
        state.repositories.insert(repository.id, Repository { version: repository.version + 1, ..repository.clone() });
        state.note(audit);
        Ok(())
    }

    async fn delete_repository(&self, id: RepositoryId, audit: &AuditEntry) -> Result<()> {
        let mut state = self.state();
        need(&state.repositories, id, "repository")?;
        let names_it = |branch: BranchId| state.branches.get(&branch).is_some_and(|branch| branch.repository_id == id);
        let is_used = state.images.values().any(|image| image.repository_id == Some(id))
            || state.deployments.values().filter_map(|deployment| deployment.branch_id).any(names_it);
        unused(is_used, "delete repository", "an image or a deployment still refers to the repository")?;
        state.repositories.remove(&id);
        state.branches.retain(|_, branch| branch.repository_id != id);
        state.note(audit);
        Ok(())
    }
}

#[async_trait]
impl BranchStore for MemoryStore {
    async fn create_branch(&self, branch: &Branch, audit: &AuditEntry) -> Result<()> {
        const OPERATION: &str = "create branch";
        let mut state = self.state();
        free(state.branches.keys(), OPERATION, "there is a branch of that id", |id| *id == branch.id)?;
        need(&state.repositories, branch.repository_id, "repository")?;
        let others = state.branches.values().filter(|other| other.repository_id == branch.repository_id);
        free(others, OPERATION, "the repository has a branch of that name", |other| other.name == branch.name)?;
        state.branches.insert(branch.id, branch.clone());
        state.note(audit);
        Ok(())
    }

    async fn branch(&self, id: BranchId) -> Result<Branch> {
        get(&self.state().branches, id, "branch")
    }

    async fn branches(&self, repository: RepositoryId, page: PageRequest) -> Result<Page<Branch>> {
        let fits = |branch: &Branch| branch.repository_id == repository;
        Ok(oldest_first(&self.state().branches, &page, BranchId::from_uuid, |branch| branch.id.uuid(), fits))
    }

    async fn move_branch(&self, to: &BranchMove) -> Result<Moved<Branch>> {
        let (mut state, now) = (self.state(), self.now());
        let stored = get(&state.branches, to.branch, "branch")?;
        same_version(stored.version, to.version, "record commit")?;
        to.runs.iter().try_for_each(|run| state.may_queue(run).map(drop))?;
        let queued = state.enqueue(&to.runs, now).into_iter().collect::<Result<Vec<_>>>()?;
        let head = Some(BranchHead { commit: to.commit.clone(), recorded_at: now });
        let moved = Branch { head, version: stored.version + 1, ..stored };
        state.branches.insert(moved.id, moved.clone());
        state.note(&to.audit);
        Ok(Moved { now: moved, queued })
    }

    async fn delete_branch(&self, id: BranchId, audit: &AuditEntry) -> Result<()> {
        let mut state = self.state();
        need(&state.branches, id, "branch")?;
        let is_used = state.deployments.values().any(|deployment| deployment.branch_id == Some(id));
        unused(is_used, "delete branch", "a deployment follows the branch")?;
        state.branches.remove(&id);
        state.note(audit);
        Ok(())
    }
}
