//! Releases and deployed services.

use async_trait::async_trait;

use super::{
    MemoryStore,
    state::{State, get, newest_first, oldest_first},
};
use crate::{
    clock::Timestamp,
    error::Result,
    id::{DeployedServiceId, DeploymentId, ReleaseId},
    model::{DeployedService, Release},
    store::{DeployedServiceFilter, Outcome, Page, PageRequest, ReleaseStore, deployed_after},
};

impl State {
    /// What the end of a run means for releases and deployed services.
    pub(super) fn conclude(&mut self, outcome: Outcome, now: Timestamp) {
        let Some(project) = self.runs.get(&outcome.run_id).map(|record| record.run.project_id) else { return };
        let is_here = |service: &&DeployedService| service.deployment_id == outcome.deployment_id && service.cluster_id.is_none();
        let existing = self.deployed.values().find(is_here).cloned();
        if let Some(service) = deployed_after(existing, &outcome, project, now) {
            self.deployed.insert(service.id, service);
        }
        if let Some((release, _)) = outcome.release {
            self.releases.insert(release.id, release);
        }
    }
}

#[async_trait]
impl ReleaseStore for MemoryStore {
    async fn release(&self, id: ReleaseId) -> Result<Release> {
        get(&self.state().releases, id, "release")
    }

    async fn releases(&self, deployment: DeploymentId, page: PageRequest) -> Result<Page<Release>> {
        let state = self.state();
        let pick = |release: &Release| (release.deployment_id == deployment).then(|| release.clone());
        Ok(newest_first(&state.releases, &page, ReleaseId::from_uuid, |release| release.id.uuid(), pick))
    }

    async fn deployed_service(&self, id: DeployedServiceId) -> Result<DeployedService> {
        get(&self.state().deployed, id, "deployed service")
    }

    async fn deployed_services(&self, filter: DeployedServiceFilter, page: PageRequest) -> Result<Page<DeployedService>> {
        let state = self.state();
        let fits = |service: &DeployedService| {
            filter.project.is_none_or(|project| project == service.project_id)
                && filter.deployment.is_none_or(|deployment| deployment == service.deployment_id)
                && state.shows(filter.reader, service.deployment_id)
        };
        Ok(oldest_first(&state.deployed, &page, DeployedServiceId::from_uuid, |service| service.id.uuid(), fits))
    }
}
