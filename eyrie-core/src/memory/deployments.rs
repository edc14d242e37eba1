//! Deployments.

use async_trait::async_trait;

use super::{
    MemoryStore,
    state::{State, find, free, get, need, oldest_first, same_version, unused},
};
use crate::{
    error::Result,
    id::{DeploymentId, GroupId},
    model::{AuditEntry, Deployment, OverrideAt},
    name::Slug,
    store::{DeploymentFilter, DeploymentStore, Page, PageRequest},
};

impl State {
    fn check_deployment(&self, deployment: &Deployment, operation: &'static str) -> Result<()> {
        self.check_settings(&deployment.settings)?;
        need(&self.projects, deployment.project_id, "project")?;
        need(&self.groups, deployment.group_id, "group")?;
        deployment.scope_id.map_or(Ok(()), |scope| need(&self.scopes, scope, "scope"))?;
        deployment.service_id.map_or(Ok(()), |service| need(&self.services, service, "service"))?;
        deployment.branch_id.map_or(Ok(()), |branch| need(&self.branches, branch, "branch"))?;
        deployment.image_id.map_or(Ok(()), |image| need(&self.images, image, "image"))?;
        let others = self.deployments.values().filter(|other| other.id != deployment.id && other.group_id == deployment.group_id);
        free(others, operation, "the group has a deployment of that slug", |other| other.slug == deployment.slug)
    }
}

#[async_trait]
impl DeploymentStore for MemoryStore {
    async fn create_deployment(&self, deployment: &Deployment, audit: &AuditEntry) -> Result<()> {
        const OPERATION: &str = "create deployment";
        let mut state = self.state();
        free(state.deployments.keys(), OPERATION, "there is a deployment of that id", |id| *id == deployment.id)?;
        state.check_deployment(deployment, OPERATION)?;
        state.deployments.insert(deployment.id, deployment.clone());
        state.note(audit);
        Ok(())
    }

    async fn deployment(&self, id: DeploymentId) -> Result<Deployment> {
        get(&self.state().deployments, id, "deployment")
    }

    async fn deployment_by_slug(&self, group: GroupId, slug: &Slug) -> Result<Deployment> {
        find(&self.state().deployments, "deployment", |deployment| deployment.group_id == group && deployment.slug == *slug)
    }

    async fn deployments(&self, filter: DeploymentFilter, page: PageRequest) -> Result<Page<Deployment>> {
        let state = self.state();
        let fits = |deployment: &Deployment| {
            filter.project.is_none_or(|project| project == deployment.project_id)
                && filter.group.is_none_or(|group| group == deployment.group_id)
                && filter.service.is_none_or(|service| Some(service) == deployment.service_id)
                && state.shows(filter.reader, deployment.id)
                && filter.branch.is_none_or(|branch| Some(branch) == deployment.branch_id)
                && filter.image.is_none_or(|image| Some(image) == deployment.image_id)
        };
        Ok(oldest_first(&state.deployments, &page, DeploymentId::from_uuid, |deployment| deployment.id.uuid(), fits))
    }

    async fn update_deployment(&self, deployment: &Deployment, audit: &AuditEntry) -> Result<()> {
        const OPERATION: &str = "update deployment";
        let mut state = self.state();
        let stored = get(&state.deployments, deployment.id, "deployment")?;
        same_version(stored.version, deployment.version, OPERATION)?;
        state.check_deployment(deployment, OPERATION)?;
        state.deployments.insert(deployment.id, Deployment { version: deployment.version + 1, ..deployment.clone() });
        state.note(audit);
        Ok(())
    }

    async fn delete_deployment(&self, id: DeploymentId, audit: &AuditEntry) -> Result<()> {
        let mut state = self.state();
        need(&state.deployments, id, "deployment")?;
        let is_used = state.runs.values().any(|record| record.run.deployment_id == id);
        unused(is_used, "delete deployment", "the deployment has runs")?;
        state.deployments.remove(&id);
        state.drop_links();
        state.schedules.retain(|_, schedule| schedule.deployment_id != id);
        state.drop_overrides(|given| given.at == OverrideAt::Deployment(id));
        state.monitors.retain(|_, monitor| monitor.deployment_id != id);
        state.note(audit);
        Ok(())
    }
}
