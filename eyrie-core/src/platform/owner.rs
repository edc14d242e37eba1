//! Who owns a project.

use crate::{
    access::Permission,
    error::{Invalid, Result},
    id::{ProjectId, UserId},
    model::Project,
    platform::{Acting, Resource},
};

impl Acting {
    /// Gives a project another owner, who is admin in all of it from then on; none: the operators own it. The former owner keeps what it
    /// has as a member. Operators do that, for instance when the owner's account is disabled.
    ///
    /// # Errors
    /// `Invalid` when there is no such account, or it is disabled; `Conflict` when the project was changed at the same time.
    pub async fn transfer_project(&self, id: ProjectId, owner: Option<UserId>) -> Result<Project> {
        self.require(Permission::ProjectTransfer, &Resource::project(id)).await?;
        let mut project = self.store().project(id).await?;
        if let Some(user) = owner {
            let is_there = self.store().user(user).await.map(|user| !user.disabled);
            match is_there {
                Ok(true) => {}
                Err(error) if !error.is_not_found() => return Err(error),
                _ => return Err(Invalid::new("user_id", "there is no such account, or it is disabled").into()),
            }
        }
        project.owner_id = owner;
        let reason = owner.map_or_else(|| "owned by the operators".to_owned(), |owner| format!("owner {owner}"));
        let audit = self.allowed_because(Permission::ProjectTransfer.as_str(), Resource::project(id), Some(id), reason);
        self.store().update_project(&project, &audit).await?;
        project.version += 1;
        Ok(project)
    }
}
