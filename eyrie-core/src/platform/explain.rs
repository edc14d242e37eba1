//! What somebody may do somewhere, and why.

use serde::Serialize;

use crate::{
    access::{AccessLevel, DecidedBy, Permission, Role, Standing},
    error::{Invalid, Result},
    id::{DeploymentId, GroupId, ProjectId, UserId},
    platform::{Acting, Resource},
};

/// A place at which rights are asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A project.
    Project(ProjectId),
    /// A group.
    Group(GroupId),
    /// A deployment.
    Deployment(DeploymentId),
}

/// Whether somebody has a permission at a place, and the grant that decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// What was asked about.
    pub permission: Permission,
    /// At which level.
    pub level: AccessLevel,
    /// Whether it may be done.
    pub allowed: bool,
    /// Whether the place can be read at all; else it answers as missing.
    pub readable: bool,
    /// The role at the place; none: no role.
    pub role: Option<Role>,
    /// The grant that decided.
    pub decided_by: DecidedBy,
    /// What the permission needs, in words.
    pub needs: String,
}

impl Acting {
    /// Says whether a user has the permission at the place, and which grant decided; none: the principal itself, whatever it came with.
    /// Of oneself anybody may ask where they may read, of others whoever is admin there.
    ///
    /// # Errors
    /// `NotFound` for a place that the principal may not read, and for a user who does not exist; `Denied` for who is no admin and asks
    /// about somebody else; `Invalid` for a permission that is not asked for at such a place.
    pub async fn explain(&self, user: Option<UserId>, permission: Permission, place: Place) -> Result<Explanation> {
        let resource = match place {
            Place::Project(id) => Resource::project(id),
            Place::Group(id) => Resource::group(id, self.store().group(id).await?.project_id),
            Place::Deployment(id) => Resource::deployment(id, self.store().deployment(id).await?.project_id),
        };
        let user = user.filter(|user| !self.is_user(*user));
        self.require(if user.is_some() { Permission::AccessExplain } else { Permission::ProjectRead }, &resource).await?;
        self.store().project(resource.project_id()).await?;
        let level = resource.level();
        if !permission.levels().contains(&level) {
            let levels: Vec<_> = permission.levels().iter().map(|level| level.as_str()).collect();
            let reason = match levels.as_slice() {
                [] => format!("{permission} belongs to no place"),
                levels => format!("{permission} is asked for at a {}, not at a {level}", levels.join(" or ")),
            };
            return Err(Invalid::new("permission", reason).into());
        }
        let (decision, can) = match user {
            Some(user) => {
                self.store().user(user).await?;
                (self.judge_user(user, &resource).await?, true)
            }
            None => (self.judge(&resource).await?, self.token_can(permission)),
        };
        Ok(Explanation {
            permission,
            level,
            allowed: can && permission.allows(decision.standing),
            readable: Permission::ProjectRead.allows(decision.standing),
            role: decision.standing.role(),
            decided_by: match decision.standing {
                Standing::Outsider => decision.by,
                _ if !can => DecidedBy::TokenCapability,
                _ => decision.by,
            },
            needs: permission.denied().needs,
        })
    }
}
