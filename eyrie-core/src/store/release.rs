//! Releases and what runs because of them. Both are written by the engine's transitions only.

use async_trait::async_trait;

use crate::{
    clock::Timestamp,
    error::Result,
    id::{DeployedServiceId, DeploymentId, ProjectId, ReleaseId, UserId},
    model::{DeployedService, DeployedState, Release, RunKind},
    store::{Outcome, Page, PageRequest},
};

/// Which deployed services to list; what is missing does not matter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeployedServiceFilter {
    /// In this project.
    pub project: Option<ProjectId>,
    /// Of this deployment.
    pub deployment: Option<DeploymentId>,
    /// What this member may see. The platform says who reads; whatever else is given here does not count.
    pub reader: Option<UserId>,
}

/// Reads releases and deployed services.
#[async_trait]
pub trait ReleaseStore {
    /// The release of that id.
    async fn release(&self, id: ReleaseId) -> Result<Release>;
    /// The deployment's releases, newest first.
    async fn releases(&self, deployment: DeploymentId, page: PageRequest) -> Result<Page<Release>>;
    /// The deployed service of that id.
    async fn deployed_service(&self, id: DeployedServiceId) -> Result<DeployedService>;
    /// Deployed services in the order of their making.
    async fn deployed_services(&self, filter: DeployedServiceFilter, page: PageRequest) -> Result<Page<DeployedService>>;
}

/// What a run's end makes of the deployment's deployed service: the row to write, new or changed; none when it stays as it is.
/// Shared by every store, so that they cannot differ in it.
///
/// A success whose release leaves something running makes (or becomes) a running one of that release. Any other end only changes
/// the state of one that exists, and a run that only looks or saves does not touch it.
#[must_use]
pub fn deployed_after(existing: Option<DeployedService>, outcome: &Outcome, project: ProjectId, now: Timestamp) -> Option<DeployedService> {
    if let (true, Some((release, true))) = (outcome.succeeded, &outcome.release) {
        return Some(DeployedService {
            id: existing.map_or_else(DeployedServiceId::new, |service| service.id),
            project_id: project,
            deployment_id: outcome.deployment_id,
            cluster_id: None,
            state: DeployedState::Running,
            release_id: release.id,
            run_id: outcome.run_id,
            updated_at: now,
        });
    }
    if matches!(outcome.kind, RunKind::Backup | RunKind::Probe) {
        return None;
    }
    let service = existing?;
    Some(DeployedService {
        state: service.state.after(outcome.kind, outcome.succeeded),
        run_id: outcome.run_id,
        updated_at: now,
        ..service
    })
}
