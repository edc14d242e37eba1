//! Projects.

use crate::{
    access::Permission,
    error::{Invalid, Result},
    id::ProjectId,
    model::{Namespace, NewProject, Principal, Project, ProjectPatch, Settings},
    name::{DisplayName, Slug},
    platform::{Acting, Resource},
    store::{Page, PageRequest},
};

impl Acting {
    /// Makes a project with a namespace of its own. A user owns what it makes; otherwise the operators do.
    ///
    /// # Errors
    /// `AlreadyExists` when the slug is taken.
    pub async fn create_project(&self, new: NewProject) -> Result<Project> {
        self.require_everywhere(Permission::ProjectCreate, &format!("project {}", new.slug)).await?;
        if !new.settings.secrets().is_empty() {
            return Err(Invalid::new("settings", "names a secret, and a project that is not there yet has none").into());
        }
        let owner_id = match &self.principal {
            Principal::User { id, .. } => Some(*id),
            _ => None,
        };
        self.check_project_level(&new.settings)?;
        let project = Project {
            id: ProjectId::new(),
            name: display_name(new.name, &new.slug)?,
            namespace: Namespace::for_slug(&new.slug)?,
            slug: new.slug,
            owner_id,
            settings: new.settings,
            created_at: self.now(),
            version: 1,
        };
        let audit = self.allowed(Permission::ProjectCreate.as_str(), Resource::project(project.id), Some(project.id));
        self.store().create_project(&project, &audit).await?;
        Ok(project)
    }

    /// The project of that id.
    ///
    /// # Errors
    /// `NotFound`, also for what the principal may not read.
    pub async fn project(&self, id: ProjectId) -> Result<Project> {
        self.require(Permission::ProjectRead, &Resource::project(id)).await?;
        self.store().project(id).await
    }

    /// The project of that slug.
    ///
    /// # Errors
    /// `NotFound`, also for what the principal may not read.
    pub async fn project_by_slug(&self, slug: &Slug) -> Result<Project> {
        let project = self.store().project_by_slug(slug).await?;
        self.require(Permission::ProjectRead, &Resource::project(project.id)).await?;
        Ok(project)
    }

    /// The projects that the principal may read, in the order of their making.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn projects(&self, page: PageRequest) -> Result<Page<Project>> {
        match &self.principal {
            Principal::System { .. } | Principal::LocalOperator { .. } => self.store().projects(None, page).await,
            Principal::User { id, .. } => match self.enabled_user(*id).await? {
                Some(user) if user.operator => self.store().projects(None, page).await,
                Some(user) => self.store().projects(Some(user.id), page).await,
                None => Ok(Page { items: Vec::new(), next: None }),
            },
            Principal::Token { .. } | Principal::Deputy { .. } => Ok(Page { items: Vec::new(), next: None }),
        }
    }

    /// Changes a project that still has the version that was read.
    ///
    /// # Errors
    /// `Conflict` when it has changed since.
    pub async fn update_project(&self, id: ProjectId, version: u64, patch: ProjectPatch) -> Result<Project> {
        self.require(Permission::ProjectUpdate, &Resource::project(id)).await?;
        let mut project = self.store().project(id).await?;
        project.version = version;
        project.name = patch.name.unwrap_or(project.name);
        let check = |changed: &Settings| self.check_project_level(changed);
        project.settings = self.change_level(id, project.settings, patch.settings, patch.settings_patch, check).await?;
        let audit = self.allowed(Permission::ProjectUpdate.as_str(), Resource::project(id), Some(id));
        self.store().update_project(&project, &audit).await?;
        project.version += 1;
        Ok(project)
    }

    /// Deletes an empty project.
    ///
    /// # Errors
    /// `Conflict` while it has groups, services, secrets, datasources, repositories or images.
    pub async fn delete_project(&self, id: ProjectId) -> Result<()> {
        self.require(Permission::ProjectDelete, &Resource::project(id)).await?;
        let audit = self.allowed(Permission::ProjectDelete.as_str(), Resource::project(id), Some(id));
        self.store().delete_project(id, &audit).await
    }
}

/// The given name, else the slug.
pub(super) fn display_name(name: Option<DisplayName>, slug: &Slug) -> Result<DisplayName> {
    name.map_or_else(|| Ok(DisplayName::new(slug.as_str())?), Ok)
}
