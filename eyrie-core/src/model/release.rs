//! Releases: what a successful run made, for ever as it was.

use serde::Serialize;
use serde_json::Value;

use crate::{
    clock::Timestamp,
    id::{DeploymentId, ReleaseId, RunId},
    model::PlanHash,
};

/// The immutable result of a successful run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Release {
    /// The release's id.
    pub id: ReleaseId,
    /// What was deployed.
    pub deployment_id: DeploymentId,
    /// The run that made it.
    pub run_id: RunId,
    /// The plan that made it.
    pub plan_hash: PlanHash,
    /// The exact resolved configuration, secrets as references.
    pub config: Value,
    /// When.
    pub created_at: Timestamp,
}
