//! Deployments, and the settings that they inherit.

use serde::Serialize;

use crate::{
    access::Permission,
    error::{Invalid, Result},
    id::{DeploymentId, GroupId},
    model::{Deployment, DeploymentPatch, EffectiveSettings, Level, NewDeployment},
    platform::{Acting, Resource, project::display_name, queue::refuse_limit},
    store::{DeploymentFilter, Page, PageRequest},
};

/// A deployment with everything that it inherits.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeploymentView {
    /// The deployment.
    #[serde(flatten)]
    pub deployment: Deployment,
    /// Its settings, each with the level that it comes from.
    pub effective_settings: EffectiveSettings,
}

impl Acting {
    /// Makes a deployment in a group.
    ///
    /// # Errors
    /// `AlreadyExists` when the slug is taken in the group; `Invalid` when the scope or service belongs elsewhere.
    pub async fn create_deployment(&self, group: GroupId, new: NewDeployment) -> Result<Deployment> {
        let group = self.group_for(group, Permission::DeploymentCreate).await?;
        refuse_limit(&new.settings)?;
        self.check_secrets(group.project_id, &new.settings).await?;
        if let Some(scope) = new.scope_id {
            self.check_scope(scope, group.id).await?;
        }
        if let Some(service) = new.service_id {
            let known = self.store().service(service).await;
            if !known.is_ok_and(|service| service.project_id == group.project_id) {
                return Err(Invalid::new("service_id", "there is no such service in the project").into());
            }
        }
        let deployment = Deployment {
            id: DeploymentId::new(),
            project_id: group.project_id,
            group_id: group.id,
            name: display_name(new.name, &new.slug)?,
            slug: new.slug,
            scope_id: new.scope_id,
            service_id: new.service_id,
            settings: new.settings,
            created_at: self.now(),
            version: 1,
        };
        let audit = self.allowed(Permission::DeploymentCreate.as_str(), format!("deployment {}", deployment.id), Some(group.project_id));
        self.store().create_deployment(&deployment, &audit).await?;
        Ok(deployment)
    }

    /// The deployment of that id, with its effective settings.
    ///
    /// # Errors
    /// `NotFound`, also for what the principal may not read.
    pub async fn deployment(&self, id: DeploymentId) -> Result<DeploymentView> {
        let deployment = self.deployment_for(id, Permission::ProjectRead).await?;
        let effective_settings = self.effective_settings(&deployment).await?;
        Ok(DeploymentView { deployment, effective_settings })
    }

    /// A project's, group's or service's deployments that the principal may read, in the order of their making.
    ///
    /// # Errors
    /// `Invalid` when the filter names none of the three; `NotFound` for what the principal may not read.
    pub async fn deployments(&self, filter: DeploymentFilter, page: PageRequest) -> Result<Page<Deployment>> {
        let resource = match filter {
            DeploymentFilter { group: Some(group), .. } => Resource::group(group, self.store().group(group).await?.project_id),
            DeploymentFilter { service: Some(service), .. } => {
                Resource::inside("service", service.uuid(), self.store().service(service).await?.project_id)
            }
            DeploymentFilter { project: Some(project), .. } => Resource::project(project),
            _ => return Err(Invalid::new("project", "name the project, group or service whose deployments to list").into()),
        };
        let decision = self.require_as(Permission::ProjectRead, &resource).await?;
        let project = match filter.project {
            Some(project) if project != resource.project_id() => return Ok(Page { items: Vec::new(), next: None }),
            _ => Some(resource.project_id()),
        };
        self.store().deployments(DeploymentFilter { project, reader: self.reader(decision), ..filter }, page).await
    }

    /// Changes a deployment that still has the version that was read.
    ///
    /// # Errors
    /// `Conflict` when it has changed since.
    pub async fn update_deployment(&self, id: DeploymentId, version: u64, patch: DeploymentPatch) -> Result<Deployment> {
        let mut deployment = self.deployment_for(id, Permission::DeploymentUpdate).await?;
        if let Some(scope) = patch.scope_id {
            self.check_scope(scope, deployment.group_id).await?;
            deployment.scope_id = Some(scope);
        }
        if let Some(settings) = &patch.settings {
            refuse_limit(settings)?;
            self.check_secrets(deployment.project_id, settings).await?;
        }
        deployment.version = version;
        deployment.name = patch.name.unwrap_or(deployment.name);
        deployment.settings = patch.settings.unwrap_or(deployment.settings);
        let audit = self.allowed(Permission::DeploymentUpdate.as_str(), format!("deployment {id}"), Some(deployment.project_id));
        self.store().update_deployment(&deployment, &audit).await?;
        deployment.version += 1;
        Ok(deployment)
    }

    /// Deletes a deployment that has never run.
    ///
    /// # Errors
    /// `Conflict` while it has runs.
    pub async fn delete_deployment(&self, id: DeploymentId) -> Result<()> {
        let deployment = self.deployment_for(id, Permission::DeploymentDelete).await?;
        let audit = self.allowed(Permission::DeploymentDelete.as_str(), format!("deployment {id}"), Some(deployment.project_id));
        self.store().delete_deployment(id, &audit).await
    }

    /// The deployment, for whoever has the permission on it.
    pub(super) async fn deployment_for(&self, id: DeploymentId, permission: Permission) -> Result<Deployment> {
        let deployment = self.store().deployment(id).await?;
        self.require(permission, &Resource::deployment(id, deployment.project_id)).await?;
        Ok(deployment)
    }

    /// All levels resolved: deployment, scope, group, project, built-in defaults of the group's type.
    pub(super) async fn effective_settings(&self, deployment: &Deployment) -> Result<EffectiveSettings> {
        let group = self.store().group(deployment.group_id).await?;
        let project = self.store().project(deployment.project_id).await?;
        let scope = match deployment.scope_id {
            Some(scope) => Some(self.store().scope(scope).await?),
            None => None,
        };
        let defaults = self.eyrie.0.types.get(&group.group_type).map(|known| known.defaults()).unwrap_or_default();
        let levels = [
            Some((Level::Deployment, &deployment.settings)),
            scope.as_ref().map(|scope| (Level::Scope, &scope.settings)),
            Some((Level::Group, &group.settings)),
            Some((Level::Project, &project.settings)),
            Some((Level::Default, &defaults)),
        ];
        Ok(EffectiveSettings::resolve(levels.into_iter().flatten()))
    }

    async fn check_scope(&self, scope: crate::id::ScopeId, group: GroupId) -> Result<()> {
        let known = self.store().scope(scope).await;
        if known.is_ok_and(|scope| scope.group_id == group) {
            Ok(())
        } else {
            Err(Invalid::new("scope_id", "there is no such scope in the group").into())
        }
    }
}
