//! Who belongs to a project, and as what.

use crate::{
    access::{Permission, Role},
    error::Result,
    id::{ProjectId, UserId},
    model::{Membership, OverrideAt},
    name::UserName,
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

    /// The same, each with the name of its account, in the order of the names.
    ///
    /// # Errors
    /// As for [`members`](Self::members).
    pub async fn named_members(&self, project: ProjectId) -> Result<Vec<(UserName, Membership)>> {
        let mut named = Vec::new();
        for member in self.members(project).await? {
            named.push((self.store().user(member.user_id).await?.name, member));
        }
        named.sort_by(|(one, _), (other, _)| one.as_str().cmp(other.as_str()));
        Ok(named)
    }

    /// Sets a user's role in a project. Overrides that it has there stay.
    ///
    /// # Errors
    /// `NotFound` when there is no such user; `Conflict` when that would leave a project without an owner to nobody.
    pub async fn set_member(&self, project: ProjectId, user: UserId, role: Role) -> Result<Membership> {
        self.require(Permission::MemberEdit, &Resource::project(project)).await?;
        let membership = Membership { project_id: project, user_id: user, role };
        let audit = self.allowed_because(Permission::MemberEdit.as_str(), format!("member {user}"), Some(project), format!("role {role}"));
        self.store().set_membership(&membership, &audit).await?;
        Ok(membership)
    }

    /// Takes a user out of a project, with all its overrides: so whoever does that must be admin at each of those, too.
    ///
    /// # Errors
    /// `NotFound` when it is no member, or has an override where the principal may not read; `Denied` when it has one where the principal
    /// is no admin; `Conflict` when that would leave a project without an owner to nobody.
    pub async fn remove_member(&self, project: ProjectId, user: UserId) -> Result<()> {
        let resource = Resource::project(project);
        let decision = self.require_as(Permission::MemberEdit, &resource).await?;
        if self.reader(&resource, decision).is_some() {
            for given in self.store().overrides_of(project, user).await? {
                let resource = match given.at {
                    OverrideAt::Group(group) => Resource::group(group, project),
                    OverrideAt::Deployment(deployment) => Resource::deployment(deployment, project),
                };
                self.require(Permission::MemberEdit, &resource).await?;
            }
        }
        let audit = self.allowed(Permission::MemberEdit.as_str(), format!("member {user}"), Some(project));
        self.store().remove_membership(project, user, &audit).await
    }
}
