//! Deployments, and the settings that they inherit.

use serde::Serialize;

use crate::{
    access::Permission,
    error::{Invalid, Result, known},
    id::{BranchId, DeploymentId, GroupId, ImageId, ProjectId, RepositoryId, ScopeId, ServiceId},
    model::{Deployment, DeploymentGroup, DeploymentPatch, EffectiveSettings, Level, NewDeployment, PrincipalRef, Settings},
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
    /// `AlreadyExists` when the slug is taken in the group; `Invalid` when the scope, service, branch or image belongs elsewhere.
    pub async fn create_deployment(&self, group: GroupId, new: NewDeployment) -> Result<Deployment> {
        let group = self.group_for(group, Permission::DeploymentCreate).await?;
        refuse_limit(&new.settings)?;
        self.check_level(&group.group_type, &new.settings)?;
        self.check_secrets(group.project_id, &new.settings).await?;
        if let Some(scope) = new.scope_id {
            self.check_scope(scope, group.id).await?;
        }
        if let Some(service) = new.service_id {
            self.check_service(service, group.project_id).await?;
        }
        self.check_sources(&group, new.branch_id, new.image_id).await?;
        check_redeploy(new.redeploy_on_commit, new.branch_id, new.redeploy_on_digest, new.image_id)?;
        let is_redeployed = new.redeploy_on_commit || new.redeploy_on_digest;
        let deployment = Deployment {
            id: DeploymentId::new(),
            project_id: group.project_id,
            group_id: group.id,
            name: display_name(new.name, &new.slug)?,
            slug: new.slug,
            scope_id: new.scope_id,
            service_id: new.service_id,
            branch_id: new.branch_id,
            image_id: new.image_id,
            redeploy_on_commit: new.redeploy_on_commit,
            redeploy_on_digest: new.redeploy_on_digest,
            redeploy_for: is_redeployed.then(|| PrincipalRef::from(&self.principal)),
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
            DeploymentFilter { service: Some(service), .. } => Resource::service(service, self.store().service(service).await?.project_id),
            DeploymentFilter { project: Some(project), .. } => Resource::project(project),
            _ => return Err(Invalid::new("project", "name the project, group or service whose deployments to list").into()),
        };
        let decision = self.require_as(Permission::ProjectRead, &resource).await?;
        let project = match filter.project {
            Some(project) if project != resource.project_id() => return Ok(Page { items: Vec::new(), next: None }),
            _ => Some(resource.project_id()),
        };
        self.store().deployments(DeploymentFilter { project, reader: self.reader(&resource, decision), ..filter }, page).await
    }

    /// Changes a deployment that still has the version that was read. Whoever changes what it follows answers for its redeploys.
    ///
    /// # Errors
    /// `Conflict` when it has changed since; otherwise as for [`create_deployment`](Self::create_deployment).
    pub async fn update_deployment(&self, id: DeploymentId, version: u64, patch: DeploymentPatch) -> Result<Deployment> {
        let mut deployment = self.deployment_for(id, Permission::DeploymentUpdate).await?;
        if let Some(Some(scope)) = patch.scope_id {
            self.check_scope(scope, deployment.group_id).await?;
        }
        if let Some(Some(service)) = patch.service_id {
            self.check_service(service, deployment.project_id).await?;
        }
        self.follow(&mut deployment, &patch).await?;
        let deployment_type = self.deployment_type_of(&deployment).await?;
        let check = |changed: &Settings| {
            refuse_limit(changed)?;
            self.check_level(&deployment_type, changed)
        };
        deployment.settings =
            self.change_level(deployment.project_id, deployment.settings, patch.settings, patch.settings_patch, check).await?;
        deployment.version = version;
        deployment.name = patch.name.unwrap_or(deployment.name);
        deployment.scope_id = patch.scope_id.unwrap_or(deployment.scope_id);
        deployment.service_id = patch.service_id.unwrap_or(deployment.service_id);
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

    /// Has the deployment follow what the patch says. Whoever changes that answers for the redeploys.
    async fn follow(&self, deployment: &mut Deployment, patch: &DeploymentPatch) -> Result<()> {
        let is_new = patch.branch_id.is_some() || patch.image_id.is_some();
        if !is_new && patch.redeploy_on_commit.is_none() && patch.redeploy_on_digest.is_none() {
            return Ok(());
        }
        if is_new {
            let group = self.store().group(deployment.group_id).await?;
            self.check_sources(&group, patch.branch_id.flatten(), patch.image_id.flatten()).await?;
        }
        deployment.branch_id = patch.branch_id.unwrap_or(deployment.branch_id);
        deployment.image_id = patch.image_id.unwrap_or(deployment.image_id);
        deployment.redeploy_on_commit = patch.redeploy_on_commit.unwrap_or(deployment.redeploy_on_commit);
        deployment.redeploy_on_digest = patch.redeploy_on_digest.unwrap_or(deployment.redeploy_on_digest);
        check_redeploy(deployment.redeploy_on_commit, deployment.branch_id, deployment.redeploy_on_digest, deployment.image_id)?;
        let is_redeployed = deployment.redeploy_on_commit || deployment.redeploy_on_digest;
        deployment.redeploy_for = is_redeployed.then(|| PrincipalRef::from(&self.principal));
        Ok(())
    }

    /// Refuses a branch or image of another project, or of a repository that is for another type of groups.
    async fn check_sources(&self, group: &DeploymentGroup, branch: Option<BranchId>, image: Option<ImageId>) -> Result<()> {
        let is_here = |owner: Option<ProjectId>| owner.is_none_or(|owner| owner == group.project_id);
        if let Some(branch) = branch {
            let known = known(self.store().branch(branch).await)?.filter(|branch| is_here(branch.project_id));
            let Some(branch) = known else {
                return Err(Invalid::new("branch_id", "there is no such branch in the project, nor one of the operators").into());
            };
            self.check_type("branch_id", branch.repository_id, group).await?;
        }
        if let Some(image) = image {
            let known = known(self.store().image(image).await)?.filter(|image| is_here(image.project_id));
            let Some(image) = known else {
                return Err(Invalid::new("image_id", "there is no such image in the project, nor one of the operators").into());
            };
            if let Some(repository) = image.repository_id {
                self.check_type("image_id", repository, group).await?;
            }
        }
        Ok(())
    }

    async fn check_type(&self, field: &'static str, repository: RepositoryId, group: &DeploymentGroup) -> Result<()> {
        match self.store().repository(repository).await?.group_type {
            Some(only) if only != group.group_type => {
                Err(Invalid::new(field, format!("its repository is for groups of type {only:?} only", only = only.as_str())).into())
            }
            _ => Ok(()),
        }
    }

    async fn check_service(&self, service: ServiceId, project: ProjectId) -> Result<()> {
        let known = known(self.store().service(service).await)?;
        if known.is_some_and(|service| service.project_id == project) {
            Ok(())
        } else {
            Err(Invalid::new("service_id", "there is no such service in the project").into())
        }
    }

    async fn check_scope(&self, scope: ScopeId, group: GroupId) -> Result<()> {
        let known = known(self.store().scope(scope).await)?;
        if known.is_some_and(|scope| scope.group_id == group) {
            Ok(())
        } else {
            Err(Invalid::new("scope_id", "there is no such scope in the group").into())
        }
    }
}

/// Refuses to follow what is not there.
fn check_redeploy(on_commit: bool, branch: Option<BranchId>, on_digest: bool, image: Option<ImageId>) -> Result<(), Invalid> {
    if on_commit && branch.is_none() {
        return Err(Invalid::new("redeploy_on_commit", "is on, and there is no branch to follow: name its branch_id, or turn it off"));
    }
    if on_digest && image.is_none() {
        return Err(Invalid::new("redeploy_on_digest", "is on, and there is no image to follow: name its image_id, or turn it off"));
    }
    Ok(())
}
