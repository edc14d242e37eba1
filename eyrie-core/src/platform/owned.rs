//! What belongs to a project, or to no project and so to the operators: repositories and images. Everybody who is signed in may read
//! what is the operators', and use it; only operators change it.

use uuid::Uuid;

use crate::{
    access::Permission,
    error::{Denied, Error, ErrorKind, Result},
    id::ProjectId,
    model::Principal,
    platform::{Acting, Resource},
};

impl Acting {
    /// Lets through whoever has the permission on a thing of this owner. What may not be read answers as missing.
    pub(super) async fn require_owned(&self, permission: Permission, what: &'static str, id: Uuid, owner: Option<ProjectId>) -> Result<()> {
        match owner {
            Some(project) => self.require(permission, &Resource::inside(what, id, project)).await,
            None => self.require_shared(permission, what, &format!("{what} {id}")).await,
        }
    }

    /// Lets through whoever may list what this owner has.
    pub(super) async fn require_list_of(&self, owner: Option<ProjectId>, what: &'static str) -> Result<()> {
        match owner {
            Some(project) => self.require(Permission::ProjectRead, &Resource::project(project)).await,
            None => self.require_shared(Permission::ProjectRead, what, &format!("each {what} of the operators")).await,
        }
    }

    /// Lets through whoever may make something for this owner.
    pub(super) async fn require_to_own(&self, permission: Permission, what: &str, owner: Option<ProjectId>) -> Result<()> {
        match owner {
            Some(project) => self.require(permission, &Resource::project(project)).await,
            None => self.require_operator(permission, what).await,
        }
    }

    async fn require_shared(&self, permission: Permission, what: &'static str, on: &str) -> Result<()> {
        let reads = self.reads_what_is_the_operators().await?;
        if reads && permission == Permission::ProjectRead {
            return Ok(());
        }
        match self.require_operator(permission, on).await {
            // The refusal stands in the audit, and says nothing to whoever asks.
            Err(error) if !reads && error.kind() == ErrorKind::Denied => Err(Error::not_found(what)),
            other => other,
        }
    }

    async fn require_operator(&self, permission: Permission, on: &str) -> Result<()> {
        self.require_everywhere(permission, on).await.map_err(|error| match error.kind() {
            ErrorKind::Denied => Denied { permission: permission.as_str(), needs: "an operator".to_owned() }.into(),
            _ => error,
        })
    }

    /// Whether the principal reads what is the operators': a token reaches only what it is bound to.
    async fn reads_what_is_the_operators(&self) -> Result<bool> {
        match self.principal.rights() {
            Principal::System { .. } | Principal::LocalOperator { .. } => Ok(true),
            Principal::User { id, .. } => Ok(self.enabled_user(*id).await?.is_some()),
            Principal::Token { .. } | Principal::Deputy { .. } => Ok(false),
        }
    }
}
