//! The policy: which permission needs what standing.

use std::fmt;

use crate::{
    error::Denied,
    model::{Grant, Role, TokenCapability},
    word_enum::word_enum,
};

word_enum! {
    /// Something that a principal may or may not do.
    pub enum Permission("permission") {
        /// Make a project, and own it.
        ProjectCreate = "project.create",
        /// See a project, or what stands in it.
        ProjectRead = "project.read",
        /// Change a project's name and settings.
        ProjectUpdate = "project.update",
        /// Delete an empty project.
        ProjectDelete = "project.delete",
        /// Give a project another owner.
        ProjectTransfer = "project.transfer",
        /// Give and take roles in a project, group or deployment.
        MemberEdit = "member.edit",
        /// Ask what somebody else may do, and why.
        AccessExplain = "access.explain",
        /// Make a deployment group.
        GroupCreate = "group.create",
        /// Change a group.
        GroupUpdate = "group.update",
        /// Delete an empty group.
        GroupDelete = "group.delete",
        /// Make a scope.
        ScopeCreate = "scope.create",
        /// Change a scope.
        ScopeUpdate = "scope.update",
        /// Delete an unused scope.
        ScopeDelete = "scope.delete",
        /// Make a deployment.
        DeploymentCreate = "deployment.create",
        /// Change a deployment.
        DeploymentUpdate = "deployment.update",
        /// Delete a deployment that has never run.
        DeploymentDelete = "deployment.delete",
        /// Add a service: it names an executable.
        ServiceCreate = "service.create",
        /// Change a service.
        ServiceUpdate = "service.update",
        /// Delete an unused service.
        ServiceDelete = "service.delete",
        /// Make a schedule of a deployment's runs.
        ScheduleCreate = "schedule.create",
        /// Change a schedule.
        ScheduleUpdate = "schedule.update",
        /// Delete a schedule.
        ScheduleDelete = "schedule.delete",
        /// Add a repository.
        RepositoryCreate = "repository.create",
        /// Change a repository: its credentials go where its address says.
        RepositoryUpdate = "repository.update",
        /// Delete an unused repository.
        RepositoryDelete = "repository.delete",
        /// Add a branch of a repository.
        BranchCreate = "branch.create",
        /// Say what the newest commit of a branch is: what follows it is deployed again.
        BranchRecord = "branch.record",
        /// Delete an unused branch.
        BranchDelete = "branch.delete",
        /// Add an image.
        ImageCreate = "image.create",
        /// Change an image.
        ImageUpdate = "image.update",
        /// Say what the digest of an image is: what follows it is deployed again.
        ImageRecord = "image.record",
        /// Delete an unused image.
        ImageDelete = "image.delete",
        /// Make a monitor of a deployment.
        MonitorCreate = "monitor.create",
        /// Change a monitor.
        MonitorUpdate = "monitor.update",
        /// Say what a check has found out.
        MonitorRecord = "monitor.record",
        /// Delete a monitor with its log.
        MonitorDelete = "monitor.delete",
        /// Start a run.
        RunStart = "run.start",
        /// Cancel a run.
        RunCancel = "run.cancel",
        /// Let a parked run go on, or continue one that failed.
        RunResume = "run.resume",
        /// Decide what becomes of an undo that failed.
        RunUndo = "run.undo",
        /// Approve of a step that a run waits for, or reject it; the plan may ask for a higher role.
        RunApprove = "run.approve",
        /// Report a step of a run from outside.
        RunReport = "run.report",
        /// Make a token for others to use in a project.
        TokenCreate = "token.create",
        /// See which such tokens there are, never their secrets.
        TokenRead = "token.read",
        /// Revoke such a token, or replace it.
        TokenRevoke = "token.revoke",
        /// Make, change and list accounts.
        UserManage = "user.manage",
        /// Read the audit of a project.
        AuditRead = "audit.read",
        /// See which secrets there are, never their values.
        SecretRead = "secret.read",
        /// Keep a secret.
        SecretCreate = "secret.create",
        /// Give a secret another value.
        SecretUpdate = "secret.update",
        /// Delete a secret that nothing names.
        SecretDelete = "secret.delete",
        /// Make and change clusters, say who may use them, and see all of them.
        ClusterManage = "cluster.manage",
        /// Link what is deployed to a cluster that the project may use.
        ClusterLink = "cluster.link",
        /// See which datasources the operators have.
        DatasourceList = "datasource.list",
        /// Make a datasource.
        DatasourceCreate = "datasource.create",
        /// Change a datasource.
        DatasourceUpdate = "datasource.update",
        /// Delete a datasource that nothing refers to.
        DatasourceDelete = "datasource.delete",
        /// See, add and give up the keys that secrets are sealed by.
        KeyringManage = "keyring.manage",
        /// See which deployment types there are, and the schemas of their settings.
        TypeRead = "type.read",
    }
}

/// What a permission needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Being signed in.
    SignedIn,
    /// This role in the project, or a higher one.
    Role(Role),
    /// Being an operator.
    Operator,
    /// The token of that very run, or this role.
    OwnRun,
}

word_enum! {
    /// Where a permission is asked for.
    pub enum AccessLevel("level") {
        /// At a project.
        Project = "project",
        /// At a group.
        Group = "group",
        /// At a deployment.
        Deployment = "deployment",
    }
}

/// What a principal is with respect to one place: a project, a group or a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// An operator: counts as admin everywhere.
    Operator,
    /// A member, or the owner (who is admin).
    Member(Role),
    /// Signed in, without a role here.
    Outsider,
    /// The token of a run of this project.
    OwnRun,
}

impl Standing {
    /// What an override makes of a member.
    #[must_use]
    pub const fn granted(grant: Grant) -> Self {
        match grant.role() {
            Some(role) => Self::Member(role),
            None => Self::Outsider,
        }
    }

    /// The role that it amounts to.
    #[must_use]
    pub const fn role(self) -> Option<Role> {
        match self {
            Self::Operator => Some(Role::Admin),
            Self::Member(role) => Some(role),
            Self::Outsider | Self::OwnRun => None,
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator => f.write_str("operator"),
            Self::Member(role) => role.fmt(f),
            Self::Outsider => f.write_str("outsider"),
            Self::OwnRun => f.write_str("own run"),
        }
    }
}

impl Permission {
    /// At which levels it is asked for; none: at no place in particular.
    #[must_use]
    pub const fn levels(self) -> &'static [AccessLevel] {
        match self {
            Self::ProjectCreate | Self::UserManage | Self::KeyringManage | Self::ClusterManage | Self::DatasourceList => &[],
            Self::ProjectRead | Self::MemberEdit | Self::AccessExplain | Self::TokenCreate | Self::TokenRead | Self::TokenRevoke => {
                AccessLevel::ALL
            }
            Self::GroupUpdate | Self::GroupDelete | Self::ScopeCreate | Self::ScopeUpdate | Self::ScopeDelete | Self::DeploymentCreate => {
                &[AccessLevel::Group]
            }
            Self::DeploymentUpdate
            | Self::DeploymentDelete
            | Self::ScheduleCreate
            | Self::ScheduleUpdate
            | Self::ScheduleDelete
            | Self::RunStart
            | Self::RunCancel
            | Self::RunResume
            | Self::RunUndo
            | Self::RunApprove
            | Self::RunReport
            | Self::MonitorCreate
            | Self::MonitorUpdate
            | Self::MonitorRecord
            | Self::MonitorDelete => &[AccessLevel::Deployment],
            Self::ClusterLink => &[AccessLevel::Group, AccessLevel::Deployment],

            _ => &[AccessLevel::Project],
        }
    }

    /// The policy's row.
    #[must_use]
    pub const fn needs(self) -> Needs {
        match self {
            Self::ProjectCreate | Self::DatasourceList | Self::TypeRead => Needs::SignedIn,
            Self::ProjectRead => Needs::Role(Role::User),
            Self::DeploymentCreate
            | Self::DeploymentUpdate
            | Self::DeploymentDelete
            | Self::ScheduleCreate
            | Self::ScheduleUpdate
            | Self::ScheduleDelete
            | Self::BranchCreate
            | Self::BranchRecord
            | Self::BranchDelete
            | Self::ImageCreate
            | Self::ImageUpdate
            | Self::ImageRecord
            | Self::ImageDelete
            | Self::MonitorCreate
            | Self::MonitorUpdate
            | Self::MonitorRecord
            | Self::MonitorDelete
            | Self::RunStart
            | Self::RunCancel
            | Self::RunApprove
            | Self::SecretRead => Needs::Role(Role::Developer),
            Self::ProjectUpdate
            | Self::ProjectDelete
            | Self::MemberEdit
            | Self::AccessExplain
            | Self::GroupCreate
            | Self::GroupUpdate
            | Self::GroupDelete
            | Self::ScopeCreate
            | Self::ScopeUpdate
            | Self::ScopeDelete
            | Self::RepositoryCreate
            | Self::RepositoryUpdate
            | Self::RepositoryDelete
            | Self::RunResume
            | Self::RunUndo
            | Self::TokenCreate
            | Self::TokenRead
            | Self::TokenRevoke
            | Self::AuditRead
            | Self::SecretCreate
            | Self::SecretUpdate
            | Self::SecretDelete
            | Self::ClusterLink
            | Self::DatasourceCreate
            | Self::DatasourceUpdate
            | Self::DatasourceDelete => Needs::Role(Role::Admin),
            Self::ProjectTransfer
            | Self::ServiceCreate
            | Self::ServiceUpdate
            | Self::ServiceDelete
            | Self::UserManage
            | Self::KeyringManage
            | Self::ClusterManage => Needs::Operator,
            Self::RunReport => Needs::OwnRun,
        }
    }

    /// Whether a principal of that standing has this permission.
    #[must_use]
    pub fn allows(self, standing: Standing) -> bool {
        match (self.needs(), standing) {
            (Needs::OwnRun, standing) => standing == Standing::OwnRun,
            (_, Standing::Operator) => true,
            (_, Standing::OwnRun) => false,
            (Needs::SignedIn, _) => true,
            (Needs::Role(role), Standing::Member(has)) => has >= role,
            (Needs::Role(_) | Needs::Operator, _) => false,
        }
    }

    /// What a service token must be capable of; none: no such token has this permission.
    #[must_use]
    pub const fn capability(self) -> Option<TokenCapability> {
        match self {
            Self::ProjectRead => Some(TokenCapability::Read),
            Self::RunStart => Some(TokenCapability::Deploy),
            Self::RunCancel => Some(TokenCapability::Cancel),
            Self::RunApprove => Some(TokenCapability::Approve),
            Self::BranchRecord | Self::ImageRecord | Self::MonitorRecord => Some(TokenCapability::Record),
            _ => None,
        }
    }

    /// The refusal of this permission.
    #[must_use]
    pub fn denied(self) -> Denied {
        let needs = match self.needs() {
            Needs::SignedIn => "a signed-in user".to_owned(),
            Needs::Role(role) => format!("the role {role} in the project"),
            Needs::Operator => "an operator".to_owned(),
            Needs::OwnRun => "the token of that run".to_owned(),
        };
        Denied { permission: self.as_str(), needs }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every permission against every standing, beside a table written by hand.
    #[test]
    fn the_policy_is_the_golden_table() {
        let standings = [
            ("outsider", Standing::Outsider),
            ("user", Standing::Member(Role::User)),
            ("developer", Standing::Member(Role::Developer)),
            ("admin", Standing::Member(Role::Admin)),
            ("operator", Standing::Operator),
            ("own_run", Standing::OwnRun),
        ];
        let mut table = String::new();
        for &permission in Permission::ALL {
            let allowed: Vec<_> = standings.iter().filter(|(_, standing)| permission.allows(*standing)).map(|(name, _)| *name).collect();
            table.push_str(&format!("{permission}: {}\n", allowed.join(" ")));
        }
        assert_eq!(table, include_str!("policy.txt"));
    }
}
