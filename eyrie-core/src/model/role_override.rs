//! Roles that differ from the project's at one group or one deployment, and all the grants that count for one user at one place.

use serde::{Deserialize, Serialize};

use crate::{
    id::{DeploymentId, GroupId, ProjectId, UserId},
    model::Role,
    word_enum::word_enum,
};

word_enum! {
    /// What an override says: another role, or none at all.
    pub enum Grant("role") {
        /// No role: what stands there is hidden.
        None = "none",
        /// [`Role::User`].
        User = "user",
        /// [`Role::Developer`].
        Developer = "developer",
        /// [`Role::Admin`].
        Admin = "admin",
    }
}

impl Grant {
    /// The role; none: nothing may be seen.
    #[must_use]
    pub const fn role(self) -> Option<Role> {
        match self {
            Self::None => None,
            Self::User => Some(Role::User),
            Self::Developer => Some(Role::Developer),
            Self::Admin => Some(Role::Admin),
        }
    }
}

/// Where an override counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum OverrideAt {
    /// In a group, and in its deployments unless they have one of their own.
    #[serde(rename = "group_id")]
    Group(GroupId),
    /// In one deployment.
    #[serde(rename = "deployment_id")]
    Deployment(DeploymentId),
}

/// A member's role in a group or a deployment, instead of the one in the project. It ends with the membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RoleOverride {
    /// The project that the member belongs to.
    pub project_id: ProjectId,
    /// Where it counts.
    #[serde(flatten)]
    pub at: OverrideAt,
    /// The member.
    pub user_id: UserId,
    /// What it says.
    pub role: Grant,
}

/// A place at which rights are asked for, with the places around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AccessPath {
    /// A project.
    Project(ProjectId),
    /// A group of a project.
    Group(ProjectId, GroupId),
    /// A deployment of a project; its group is the one that it stands in.
    Deployment(ProjectId, DeploymentId),
}

impl AccessPath {
    /// The project that it leads through.
    #[must_use]
    pub const fn project(self) -> ProjectId {
        match self {
            Self::Project(project) | Self::Group(project, _) | Self::Deployment(project, _) => project,
        }
    }
}

/// Everything that says what a user may do at a place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Grants {
    /// The account is an operator's.
    pub operator: bool,
    /// The account is disabled.
    pub disabled: bool,
    /// It owns the project.
    pub owner: bool,
    /// Its role in the project.
    pub member: Option<Role>,
    /// The override at the group.
    pub group: Option<Grant>,
    /// The override at the deployment.
    pub deployment: Option<Grant>,
}
