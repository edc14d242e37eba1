//! What is running because of a release.

use serde::Serialize;

use crate::{
    clock::Timestamp,
    id::{ClusterId, DeployedServiceId, DeploymentId, ProjectId, ReleaseId, RunId},
    model::RunKind,
    word_enum::word_enum,
};

word_enum! {
    /// Whether the deployed service runs.
    pub enum DeployedState("deployed_state") {
        /// It runs.
        Running = "running",
        /// It was stopped and can be started again.
        Stopped = "stopped",
        /// It was taken away.
        Removed = "removed",
        /// Nobody knows: a run that would have changed it did not end well.
        Unknown = "unknown",
    }
}

impl DeployedState {
    /// The state after a run of `kind` ended, in success or not. A run that only looks or saves changes nothing. A failed one that
    /// may have changed something leaves it unknown.
    #[must_use]
    pub const fn after(self, kind: RunKind, succeeded: bool) -> Self {
        match (kind, succeeded) {
            (RunKind::Backup | RunKind::Probe, _) => self,
            (_, false) => Self::Unknown,
            (RunKind::Stop, true) => Self::Stopped,
            (RunKind::Remove, true) => Self::Removed,
            (RunKind::Deploy | RunKind::Start | RunKind::Restart | RunKind::Restore | RunKind::Rollback, true) => Self::Running,
        }
    }
}

/// What runs: one per deployment and cluster.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeployedService {
    /// Its id.
    pub id: DeployedServiceId,
    /// The project.
    pub project_id: ProjectId,
    /// The deployment.
    pub deployment_id: DeploymentId,
    /// Where it runs; none: on the machine of the deploy server.
    pub cluster_id: Option<ClusterId>,
    /// Whether it runs.
    pub state: DeployedState,
    /// The release it is.
    pub release_id: ReleaseId,
    /// The run that last changed it.
    pub run_id: RunId,
    /// When it last changed.
    pub updated_at: Timestamp,
}
