//! Roles in single groups and deployments.

use crate::{
    access::Permission,
    error::Result,
    id::UserId,
    model::{Grant, OverrideAt, RoleOverride},
    platform::{Acting, Resource},
};

impl Acting {
    /// The overrides at a group or deployment.
    ///
    /// # Errors
    /// `NotFound`, also for what the principal may not read.
    pub async fn overrides(&self, at: OverrideAt) -> Result<Vec<RoleOverride>> {
        self.override_for(at, Permission::ProjectRead).await?;
        self.store().overrides(at).await
    }

    /// Sets a member's role in a group or deployment. It counts there instead of the role in the project, whether higher or lower; the
    /// owner and operators stay admin whatever it says.
    ///
    /// # Errors
    /// `NotFound` for a place that the principal may not read, and for a user who is no member; `Denied` unless it is admin there.
    pub async fn set_override(&self, at: OverrideAt, user: UserId, role: Grant) -> Result<RoleOverride> {
        let resource = self.override_for(at, Permission::MemberEdit).await?;
        let given = RoleOverride { project_id: resource.project_id(), at, user_id: user, role };
        let said = format!("member {user} has role {role}");
        let audit = self.allowed_because(Permission::MemberEdit.as_str(), resource, Some(given.project_id), said);
        self.store().set_override(&given, &audit).await?;
        Ok(given)
    }

    /// Takes an override away: the role of the group or the project counts again.
    ///
    /// # Errors
    /// `NotFound` when there is none, or the principal may not read the place; `Denied` unless it is admin there.
    pub async fn remove_override(&self, at: OverrideAt, user: UserId) -> Result<()> {
        let resource = self.override_for(at, Permission::MemberEdit).await?;
        let said = format!("member {user} has no role of its own");
        let audit = self.allowed_because(Permission::MemberEdit.as_str(), resource, Some(resource.project_id()), said);
        self.store().remove_override(at, user, &audit).await
    }

    async fn override_for(&self, at: OverrideAt, permission: Permission) -> Result<Resource> {
        let resource = match at {
            OverrideAt::Group(group) => Resource::group(group, self.store().group(group).await?.project_id),
            OverrideAt::Deployment(deployment) => Resource::deployment(deployment, self.store().deployment(deployment).await?.project_id),
        };
        self.require(permission, &resource).await?;
        Ok(resource)
    }
}
