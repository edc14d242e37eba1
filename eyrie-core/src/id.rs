//! Identifiers: one newtype per kind of thing, so that a run's id cannot be passed where a step's is meant.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::Invalid;

macro_rules! id {
    ($(#[$doc:meta] $name:ident = $field:literal;)+) => {$(
        #[$doc]
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id: a version 7 UUID (RFC 9562), ordered by the time of its making.
            #[must_use]
            #[expect(clippy::new_without_default, reason = "every call makes another id; a default would hide that")]
            pub fn new() -> Self {
                Self(crate::random::uuid())
            }

            /// The id with this value.
            #[must_use]
            pub const fn from_uuid(value: Uuid) -> Self {
                Self(value)
            }

            /// The value.
            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = Invalid;

            fn from_str(text: &str) -> Result<Self, Invalid> {
                Uuid::try_parse(text).map(Self).map_err(|_| Invalid::new($field, "not a UUID of the form 01234567-89ab-7cde-8f01-23456789abcd"))
            }
        }
    )+};
}

id! {
    /// Identifies a [`Project`](crate::model::Project).
    ProjectId = "project_id";
    /// Identifies a [`DeploymentGroup`](crate::model::DeploymentGroup).
    GroupId = "group_id";
    /// Identifies a [`Scope`](crate::model::Scope).
    ScopeId = "scope_id";
    /// Identifies a [`Deployment`](crate::model::Deployment).
    DeploymentId = "deployment_id";
    /// Identifies a [`Service`](crate::model::Service).
    ServiceId = "service_id";
    /// Identifies a [`Run`](crate::model::Run).
    RunId = "run_id";
    /// Identifies a [`Schedule`](crate::model::Schedule).
    ScheduleId = "schedule_id";
    /// Identifies a [`Release`](crate::model::Release).
    ReleaseId = "release_id";
    /// Identifies a [`DeployedService`](crate::model::DeployedService).
    DeployedServiceId = "deployed_service_id";
    /// Identifies a shared cluster.
    ClusterId = "cluster_id";
    /// Identifies a [`User`](crate::model::User).
    UserId = "user_id";
    /// Identifies a [`Token`](crate::model::Token); never the token's secret.
    TokenId = "token_id";
    /// Identifies an [`AuditEntry`](crate::model::AuditEntry).
    AuditId = "audit_id";
    /// Identifies one start of one worker: a new one at every process start, never a host name.
    WorkerId = "worker_id";
    /// Identifies a secret; never its value.
    SecretId = "secret_id";
    /// Identifies a datasource.
    DatasourceId = "datasource_id";
    /// Identifies a [`Repository`](crate::model::Repository).
    RepositoryId = "repository_id";
    /// Identifies a [`Branch`](crate::model::Branch).
    BranchId = "branch_id";
    /// Identifies an [`Image`](crate::model::Image).
    ImageId = "image_id";
    /// Identifies a [`Monitor`](crate::model::Monitor).
    MonitorId = "monitor_id";
    /// Identifies a [`MonitorLog`](crate::model::MonitorLog).
    MonitorLogId = "monitor_log_id";
    /// Identifies one [`Command`](crate::store::Command), so that a commit without an answer can be resolved.
    CommandId = "command_id";
}
