//! Who belongs to a project, and as what.

use crate::{
    access::{Permission, Role},
    error::Result,
    id::{ProjectId, UserId},
    model::Membership,
    platform::{Acting, Resource},
};

impl Acting {
    /// The members of a project. The owner, who is always admin, need not be among them.
    ///
    /// # Errors
    /// `NotFound`, also for what the principal may not read.
    pub async fn members(&self, project: ProjectId) -> Result<Vec<Membership>> {
        self.require(Permission::ProjectRead, &Resource::project(project)).await?;
        self.store().memberships(project).await
    }

    /// Sets a user's role in a project.
    ///
    /// # Errors
    /// `NotFound` when there is no such user.
    pub async fn set_member(&self, project: ProjectId, user: UserId, role: Role) -> Result<Membership> {
        self.require(Permission::MemberEdit, &Resource::project(project)).await?;
        let membership = Membership { project_id: project, user_id: user, role };
        let mut audit = self.allowed(Permission::MemberEdit.as_str(), format!("member {user}"), Some(project));
        audit.reason = format!("role {role}");
        self.store().set_membership(&membership, &audit).await?;
        Ok(membership)
    }

    /// Takes a user out of a project.
    ///
    /// # Errors
    /// `NotFound` when it is no member.
    pub async fn remove_member(&self, project: ProjectId, user: UserId) -> Result<()> {
        self.require(Permission::MemberEdit, &Resource::project(project)).await?;
        let audit = self.allowed(Permission::MemberEdit.as_str(), format!("member {user}"), Some(project));
        self.store().remove_membership(project, user, &audit).await
    }
}
