//! Repositories.

use crate::{
    access::Permission,
    error::{Invalid, Result},
    id::RepositoryId,
    model::{NewRepository, Repository, RepositoryPatch},
    platform::{Acting, project::display_name},
    store::{Page, PageRequest, RepositoryFilter},
};

impl Acting {
    /// Adds a repository to a project, or to what is the operators'.
    ///
    /// # Errors
    /// `AlreadyExists` when the slug is taken there; `Invalid` names the field; `NotFound` for a project that the principal may not read.
    pub async fn create_repository(&self, new: NewRepository) -> Result<Repository> {
        self.require_to_own(Permission::RepositoryCreate, &format!("repository {}", new.slug), new.project_id).await?;
        self.check_credentials(new.credentials_secret_id, new.project_id).await?;
        let repository = Repository {
            id: RepositoryId::new(),
            project_id: new.project_id,
            name: display_name(new.name, &new.slug)?,
            slug: new.slug,
            url: new.url,
            group_type: new.group_type,
            credentials_secret_id: new.credentials_secret_id,
            created_at: self.now(),
            version: 1,
        };
        let resource = format!("repository {}", repository.id);
        let audit = self.allowed(Permission::RepositoryCreate.as_str(), resource, repository.project_id);
        self.store().create_repository(&repository, &audit).await?;
        Ok(repository)
    }

    /// The repository of that id.
    ///
    /// # Errors
    /// `NotFound`, also for what the principal may not read.
    pub async fn repository(&self, id: RepositoryId) -> Result<Repository> {
        self.repository_for(id, Permission::ProjectRead).await
    }

    /// A project's repositories, or the operators', in the order of their making.
    ///
    /// # Errors
    /// `NotFound` for a project that the principal may not read.
    pub async fn repositories(&self, filter: RepositoryFilter, page: PageRequest) -> Result<Page<Repository>> {
        self.require_list_of(filter.owner, "repository").await?;
        self.store().repositories(filter, page).await
    }

    /// Changes a repository that still has the version that was read.
    ///
    /// # Errors
    /// `Conflict` when it has changed since; `Invalid` names the field, for instance when its address moves to another host and what is
    /// to become of its credentials is not said.
    pub async fn update_repository(&self, id: RepositoryId, version: u64, patch: RepositoryPatch) -> Result<Repository> {
        let mut repository = self.repository_for(id, Permission::RepositoryUpdate).await?;
        self.check_credentials(patch.credentials_secret_id.flatten(), repository.project_id).await?;
        let moves = patch.url.as_ref().is_some_and(|url| url.host() != repository.url.host());
        if moves && repository.credentials_secret_id.is_some() && patch.credentials_secret_id.is_none() {
            let reason = "the address names another host, to which the credentials would be sent: name them again, or null";
            return Err(Invalid::new("credentials_secret_id", reason).into());
        }
        repository.version = version;
        repository.name = patch.name.unwrap_or(repository.name);
        repository.url = patch.url.unwrap_or(repository.url);
        repository.group_type = patch.group_type.unwrap_or(repository.group_type);
        repository.credentials_secret_id = patch.credentials_secret_id.unwrap_or(repository.credentials_secret_id);
        let audit = self.allowed(Permission::RepositoryUpdate.as_str(), format!("repository {id}"), repository.project_id);
        self.store().update_repository(&repository, &audit).await?;
        repository.version += 1;
        Ok(repository)
    }

    /// Deletes a repository with its branches.
    ///
    /// # Errors
    /// `Conflict` while an image names it, or a deployment one of its branches.
    pub async fn delete_repository(&self, id: RepositoryId) -> Result<()> {
        let repository = self.repository_for(id, Permission::RepositoryDelete).await?;
        let audit = self.allowed(Permission::RepositoryDelete.as_str(), format!("repository {id}"), repository.project_id);
        self.store().delete_repository(id, &audit).await
    }

    pub(super) async fn repository_for(&self, id: RepositoryId, permission: Permission) -> Result<Repository> {
        let repository = self.store().repository(id).await?;
        self.require_owned(permission, "repository", id.uuid(), repository.project_id).await?;
        Ok(repository)
    }
}
