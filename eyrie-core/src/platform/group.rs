//! Deployment groups.

use crate::{
    access::Permission,
    error::Result,
    id::{GroupId, ProjectId},
    model::{DeploymentGroup, GroupPatch, NewGroup, Settings},
    platform::{Acting, Resource, project::display_name},
    store::{Page, PageRequest},
};

impl Acting {
    /// Makes a group in a project.
    ///
    /// # Errors
    /// `AlreadyExists` when the slug is taken in the project.
    pub async fn create_group(&self, project: ProjectId, new: NewGroup) -> Result<DeploymentGroup> {
        self.require(Permission::GroupCreate, &Resource::project(project)).await?;
        self.check_level(&new.group_type, &new.settings)?;
        self.check_secrets(project, &new.settings).await?;
        let group = DeploymentGroup {
            id: GroupId::new(),
            project_id: project,
            name: display_name(new.name, &new.slug)?,
            slug: new.slug,
            group_type: new.group_type,
            settings: new.settings,
            created_at: self.now(),
            version: 1,
        };
        let audit = self.allowed(Permission::GroupCreate.as_str(), format!("group {}", group.id), Some(project));
        self.store().create_group(&group, &audit).await?;
        Ok(group)
    }

    /// The group of that id.
    ///
    /// # Errors
    /// `NotFound`, also for what the principal may not read.
    pub async fn group(&self, id: GroupId) -> Result<DeploymentGroup> {
        self.group_for(id, Permission::ProjectRead).await
    }

    /// The project's groups that the principal may read, in the order of their making.
    ///
    /// # Errors
    /// `NotFound`, also for a project that the principal may not read.
    pub async fn groups(&self, project: ProjectId, page: PageRequest) -> Result<Page<DeploymentGroup>> {
        let resource = Resource::project(project);
        let decision = self.require_as(Permission::ProjectRead, &resource).await?;
        self.store().groups(project, self.reader(&resource, decision), page).await
    }

    /// Changes a group that still has the version that was read.
    ///
    /// # Errors
    /// `Conflict` when it has changed since.
    pub async fn update_group(&self, id: GroupId, version: u64, patch: GroupPatch) -> Result<DeploymentGroup> {
        let mut group = self.group_for(id, Permission::GroupUpdate).await?;
        group.version = version;
        group.name = patch.name.unwrap_or(group.name);
        let check = |changed: &Settings| self.check_level(&group.group_type, changed);
        group.settings = self.change_level(group.project_id, group.settings, patch.settings, patch.settings_patch, check).await?;
        let audit = self.allowed(Permission::GroupUpdate.as_str(), format!("group {id}"), Some(group.project_id));
        self.store().update_group(&group, &audit).await?;
        group.version += 1;
        Ok(group)
    }

    /// Deletes an empty group with its scopes.
    ///
    /// # Errors
    /// `Conflict` while it has deployments.
    pub async fn delete_group(&self, id: GroupId) -> Result<()> {
        let group = self.group_for(id, Permission::GroupDelete).await?;
        let audit = self.allowed(Permission::GroupDelete.as_str(), format!("group {id}"), Some(group.project_id));
        self.store().delete_group(id, &audit).await
    }

    /// The group, for whoever has the permission on it.
    pub(super) async fn group_for(&self, id: GroupId, permission: Permission) -> Result<DeploymentGroup> {
        let group = self.store().group(id).await?;
        self.require(permission, &Resource::group(id, group.project_id)).await?;
        Ok(group)
    }
}
