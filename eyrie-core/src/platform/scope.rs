//! Scopes.

use crate::{
    access::Permission,
    error::{Invalid, Result},
    id::{GroupId, ScopeId},
    model::{DeploymentGroup, NewScope, Scope, ScopePatch, Settings},
    platform::{Acting, Resource, project::display_name, queue::refuse_limit},
    store::{Page, PageRequest},
};

/// A hundred years, in seconds.
const MAX_LOG_AGE: u64 = 36_525 * 24 * 3600;

impl Acting {
    /// Makes a scope in a group.
    ///
    /// # Errors
    /// `AlreadyExists` when the slug is taken in the group.
    pub async fn create_scope(&self, group: GroupId, new: NewScope) -> Result<Scope> {
        let group = self.group_for(group, Permission::ScopeCreate).await?;
        refuse_limit(&new.settings)?;
        check_log_age(new.monitor_log_delete_after_seconds)?;
        self.check_level(&group.group_type, &new.settings)?;
        self.check_secrets(group.project_id, &new.settings).await?;
        self.check_backup_dest(new.backup_dest_datasource_id, group.project_id).await?;
        let scope = Scope {
            id: ScopeId::new(),
            group_id: group.id,
            name: display_name(new.name, &new.slug)?,
            slug: new.slug,
            settings: new.settings,
            backup_dest_datasource_id: new.backup_dest_datasource_id,
            monitor_log_delete_after_seconds: new.monitor_log_delete_after_seconds,
            created_at: self.now(),
            version: 1,
        };
        let audit = self.allowed(Permission::ScopeCreate.as_str(), format!("scope {}", scope.id), Some(group.project_id));
        self.store().create_scope(&scope, &audit).await?;
        Ok(scope)
    }

    /// The scope of that id.
    ///
    /// # Errors
    /// `NotFound`, also for what the principal may not read.
    pub async fn scope(&self, id: ScopeId) -> Result<Scope> {
        Ok(self.scope_for(id, Permission::ProjectRead).await?.0)
    }

    /// The group's scopes in the order of their making.
    ///
    /// # Errors
    /// `NotFound`, also for a group that the principal may not read.
    pub async fn scopes(&self, group: GroupId, page: PageRequest) -> Result<Page<Scope>> {
        self.group_for(group, Permission::ProjectRead).await?;
        self.store().scopes(group, page).await
    }

    /// Changes a scope that still has the version that was read.
    ///
    /// # Errors
    /// `Conflict` when it has changed since.
    pub async fn update_scope(&self, id: ScopeId, version: u64, patch: ScopePatch) -> Result<Scope> {
        let (mut scope, group) = self.scope_for(id, Permission::ScopeUpdate).await?;
        if let Some(place) = patch.backup_dest_datasource_id {
            self.check_backup_dest(place, group.project_id).await?;
            scope.backup_dest_datasource_id = place;
        }
        check_log_age(patch.monitor_log_delete_after_seconds.flatten())?;
        let check = |changed: &Settings| {
            refuse_limit(changed)?;
            self.check_level(&group.group_type, changed)
        };
        scope.settings = self.change_level(group.project_id, scope.settings, patch.settings, patch.settings_patch, check).await?;
        scope.version = version;
        scope.name = patch.name.unwrap_or(scope.name);
        scope.monitor_log_delete_after_seconds = patch.monitor_log_delete_after_seconds.unwrap_or(scope.monitor_log_delete_after_seconds);
        let audit = self.allowed(Permission::ScopeUpdate.as_str(), format!("scope {id}"), Some(group.project_id));
        self.store().update_scope(&scope, &audit).await?;
        scope.version += 1;
        Ok(scope)
    }

    /// Deletes an unused scope.
    ///
    /// # Errors
    /// `Conflict` while a deployment is in it.
    pub async fn delete_scope(&self, id: ScopeId) -> Result<()> {
        let (_, group) = self.scope_for(id, Permission::ScopeDelete).await?;
        let audit = self.allowed(Permission::ScopeDelete.as_str(), format!("scope {id}"), Some(group.project_id));
        self.store().delete_scope(id, &audit).await
    }

    pub(super) async fn scope_for(&self, id: ScopeId, permission: Permission) -> Result<(Scope, DeploymentGroup)> {
        let scope = self.store().scope(id).await?;
        let group = self.store().group(scope.group_id).await?;
        self.require(permission, &Resource::in_group("scope", id.uuid(), group.id, group.project_id)).await?;
        Ok((scope, group))
    }
}

/// Refuses to keep monitor logs for longer than a hundred years.
fn check_log_age(seconds: Option<u64>) -> Result<(), Invalid> {
    if seconds.is_some_and(|seconds| seconds > MAX_LOG_AGE) {
        let reason = format!("must be a whole number of seconds from 0 to {MAX_LOG_AGE}, or null for the default");
        return Err(Invalid::new("monitor_log_delete_after_seconds", reason));
    }
    Ok(())
}
