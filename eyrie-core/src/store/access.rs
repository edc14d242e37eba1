//! Roles that differ from the project's, and what they let somebody see.

use async_trait::async_trait;

use crate::{
    error::Result,
    id::{DeploymentId, GroupId, ProjectId, RunId, ServiceId, UserId},
    model::{AccessPath, AuditEntry, Grants, OverrideAt, RoleOverride},
};

/// Whose runs count when several are looked at; what is missing does not matter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RunReader {
    /// Those that this user may see as owner or member of the project, with all overrides.
    pub user: Option<UserId>,
    /// Those of this project.
    pub project: Option<ProjectId>,
    /// Those of what is deployed in this group.
    pub group: Option<GroupId>,
    /// Those of this deployment.
    pub deployment: Option<DeploymentId>,
    /// Those of what is deployed by this service.
    pub service: Option<ServiceId>,
}

/// Keeps overrides of roles, and reads all that counts at a place at once.
///
/// A list that takes a `reader` leaves out what that member's overrides hide: a deployment for which it has `none`, or whose group it
/// has `none` for unless the deployment has an override that says otherwise. That the reader is a member is not looked at again.
#[async_trait]
pub trait AccessStore {
    /// Sets a member's role at a group or deployment, new or changed. `NotFound` when there is no such place, or the user is no member.
    async fn set_override(&self, given: &RoleOverride, audit: &AuditEntry) -> Result<()>;
    /// Takes an override away. `NotFound` when there is none.
    async fn remove_override(&self, at: OverrideAt, user: UserId, audit: &AuditEntry) -> Result<()>;
    /// The overrides at the place, in the order of the users' ids.
    async fn overrides(&self, at: OverrideAt) -> Result<Vec<RoleOverride>>;
    /// The member's overrides in the project: those at groups, then those at deployments, each in the order of their ids.
    async fn overrides_of(&self, project: ProjectId, user: UserId) -> Result<Vec<RoleOverride>>;
    /// All that counts for the user at the place, read at once. Nothing does for a user who does not exist; at a place that does not
    /// exist, only what the account is.
    async fn grants_on_path(&self, user: UserId, path: AccessPath) -> Result<Grants>;
    /// Which of these runs the reader may see, in no order; at most 500 are asked about at a time.
    async fn readable_runs(&self, reader: RunReader, runs: &[RunId]) -> Result<Vec<RunId>>;
}
