//! The checks: what a principal is with respect to a project, and whether that is enough.

use std::fmt;

use crate::{
    access::{Permission, Role, Standing},
    error::{Denied, Error, Result},
    id::{DeploymentId, ProjectId, RunId, ScheduleId, UserId},
    model::{Principal, Project, TokenBinding, TokenKind, User, Verdict},
    platform::Acting,
};

/// What a permission is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Resource {
    what: &'static str,
    id: uuid::Uuid,
    project: ProjectId,
    deployment: Option<DeploymentId>,
    run: Option<RunId>,
}

impl Resource {
    pub(super) fn project(id: ProjectId) -> Self {
        Self { what: "project", id: id.uuid(), project: id, deployment: None, run: None }
    }

    /// Something in a project.
    pub(super) fn inside(what: &'static str, id: uuid::Uuid, project: ProjectId) -> Self {
        Self { what, id, project, deployment: None, run: None }
    }

    pub(super) fn deployment(id: DeploymentId, project: ProjectId) -> Self {
        Self { what: "deployment", id: id.uuid(), project, deployment: Some(id), run: None }
    }

    pub(super) fn scheduled(id: ScheduleId, deployment: DeploymentId, project: ProjectId) -> Self {
        Self { what: "schedule", id: id.uuid(), project, deployment: Some(deployment), run: None }
    }

    pub(super) fn run(id: RunId, deployment: DeploymentId, project: ProjectId) -> Self {
        Self { what: "run", id: id.uuid(), project, deployment: Some(deployment), run: Some(id) }
    }

    /// The project that it belongs to.
    pub(super) fn project_id(&self) -> ProjectId {
        self.project
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.what, self.id)
    }
}

impl Acting {
    /// Lets through whoever has the permission on the resource. What a principal may not even read answers as missing.
    pub(super) async fn require(&self, permission: Permission, resource: &Resource) -> Result<()> {
        let standing = self.standing(resource).await?;
        if permission.allows(standing) && self.token_can(permission) {
            return Ok(());
        }
        let denied = permission.denied();
        self.refused(permission, &resource.to_string(), Some(resource.project), &denied.needs).await;
        if Permission::ProjectRead.allows(standing) { Err(denied.into()) } else { Err(Error::not_found(resource.what)) }
    }

    /// Lets through whoever has a permission that belongs to no project.
    pub(super) async fn require_everywhere(&self, permission: Permission, on: &str) -> Result<()> {
        let standing = match self.principal.rights() {
            Principal::System { .. } | Principal::LocalOperator { .. } => Standing::Operator,
            Principal::User { id, .. } => match self.enabled_user(*id).await? {
                Some(user) if user.operator => Standing::Operator,
                Some(_) => Standing::Outsider,
                None => return Err(self.refuse_everywhere(permission, on).await),
            },
            Principal::Token { .. } | Principal::Deputy { .. } => return Err(self.refuse_everywhere(permission, on).await),
        };
        if permission.allows(standing) { Ok(()) } else { Err(self.refuse_everywhere(permission, on).await) }
    }

    async fn refuse_everywhere(&self, permission: Permission, on: &str) -> Error {
        let denied = permission.denied();
        self.refused(permission, on, None, &denied.needs).await;
        denied.into()
    }

    /// Lets through whoever has at least this role on the resource, besides the permission: what is asked for says which.
    pub(super) async fn require_role(&self, role: Role, permission: Permission, resource: &Resource) -> Result<()> {
        let enough = match self.standing(resource).await? {
            Standing::Operator => true,
            Standing::Member(has) => has >= role,
            _ => false,
        };
        if enough {
            return Ok(());
        }
        let denied = Denied { permission: permission.as_str(), needs: format!("the role {role} in the project") };
        self.refused(permission, &resource.to_string(), Some(resource.project), &denied.needs).await;
        Err(denied.into())
    }

    async fn refused(&self, permission: Permission, resource: &str, project: Option<ProjectId>, needs: &str) {
        let entry = self.entry(permission.as_str(), resource.to_owned(), project, Verdict::Refused, format!("needs {needs}"));
        if let Err(error) = self.store().record_refusal(&entry).await {
            tracing::warn!(error = %crate::error::report(&error), "a refusal could not be written to the audit");
        }
    }

    /// Whether a token's capability covers the permission: a service token starts, reads and cancels, and nothing else.
    fn token_can(&self, permission: Permission) -> bool {
        match self.principal.rights() {
            Principal::Token { kind: TokenKind::Service, .. } => {
                matches!(permission, Permission::ProjectRead | Permission::RunStart | Permission::RunCancel)
            }
            Principal::Token { kind: TokenKind::Run, .. } => permission == Permission::RunReport,
            Principal::Token { .. } => false,
            _ => true,
        }
    }

    /// What the principal is with respect to the resource's project.
    pub(super) async fn standing(&self, resource: &Resource) -> Result<Standing> {
        match self.principal.rights() {
            Principal::System { .. } | Principal::LocalOperator { .. } => Ok(Standing::Operator),
            Principal::Deputy { .. } => Ok(Standing::Outsider),
            Principal::User { id, .. } => self.user_standing(*id, resource.project).await,
            Principal::Token { kind, binding, created_by, .. } => {
                let covered = match binding {
                    TokenBinding::Project(project) => *project == resource.project,
                    TokenBinding::Deployment(deployment) => Some(*deployment) == resource.deployment,
                    TokenBinding::Run(run) => Some(*run) == resource.run,
                    _ => false,
                };
                match (kind, covered) {
                    (_, false) => Ok(Standing::Outsider),
                    (TokenKind::Run, true) => Ok(Standing::OwnRun),
                    // Its creator's current standing, cut to a developer's.
                    (_, true) => match created_by {
                        None => Ok(Standing::Member(Role::Developer)),
                        Some(creator) => Ok(match self.user_standing(*creator, resource.project).await? {
                            Standing::Operator => Standing::Member(Role::Developer),
                            Standing::Member(role) => Standing::Member(role.min(Role::Developer)),
                            other => other,
                        }),
                    },
                }
            }
        }
    }

    pub(super) async fn user_standing(&self, id: UserId, project: ProjectId) -> Result<Standing> {
        let Some(user) = self.enabled_user(id).await? else {
            return Ok(Standing::Outsider);
        };
        if user.operator {
            return Ok(Standing::Operator);
        }
        let owner = match self.store().project(project).await {
            Ok(Project { owner_id, .. }) => owner_id == Some(id),
            Err(error) if error.is_not_found() => false,
            Err(error) => return Err(error),
        };
        if owner {
            return Ok(Standing::Member(Role::Admin));
        }
        Ok(self.store().role_in(project, id).await?.map_or(Standing::Outsider, Standing::Member))
    }

    pub(super) async fn enabled_user(&self, id: UserId) -> Result<Option<User>> {
        match self.store().user(id).await {
            Ok(user) => Ok(Some(user).filter(|user| !user.disabled)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether the token that proved this principal is still valid; for those who came without one, always.
    pub(super) async fn proof_still_valid(&self) -> Result<bool> {
        let token = match self.principal.rights() {
            Principal::User { session: Some(token), .. } => *token,
            Principal::Token { id, .. } => *id,
            _ => return Ok(true),
        };
        match self.store().token(token).await {
            Ok(token) => Ok(token.is_valid_at(self.now())),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }
}
