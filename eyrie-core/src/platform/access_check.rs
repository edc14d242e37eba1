//! The checks: what a principal is with respect to a project, a group or a deployment, and whether that is enough.

use std::{fmt, sync::atomic::Ordering};

use crate::{
    access::{AccessLevel, DecidedBy, Decision, Permission, Role, Standing},
    error::{Denied, Error, ErrorKind, Result, known},
    id::{DeploymentId, GroupId, MonitorId, ProjectId, RunId, ScheduleId, ServiceId, UserId},
    model::{AccessPath, AuditEntry, Principal, TokenBinding, TokenKind, User, Verdict},
    platform::Acting,
};

/// What a permission is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Resource {
    what: &'static str,
    id: uuid::Uuid,
    path: AccessPath,
    run: Option<RunId>,
    service: Option<ServiceId>,
}

impl Resource {
    pub(super) fn project(id: ProjectId) -> Self {
        Self { what: "project", id: id.uuid(), path: AccessPath::Project(id), run: None, service: None }
    }

    /// Something in a project, for which the role in the project counts.
    pub(super) fn inside(what: &'static str, id: uuid::Uuid, project: ProjectId) -> Self {
        Self { what, id, path: AccessPath::Project(project), run: None, service: None }
    }

    pub(super) fn service(id: ServiceId, project: ProjectId) -> Self {
        Self { service: Some(id), ..Self::inside("service", id.uuid(), project) }
    }

    pub(super) fn group(id: GroupId, project: ProjectId) -> Self {
        Self::in_group("group", id.uuid(), id, project)
    }

    /// Something in a group, for which the role in the group counts.
    pub(super) fn in_group(what: &'static str, id: uuid::Uuid, group: GroupId, project: ProjectId) -> Self {
        Self { what, id, path: AccessPath::Group(project, group), run: None, service: None }
    }

    pub(super) fn deployment(id: DeploymentId, project: ProjectId) -> Self {
        Self::in_deployment("deployment", id.uuid(), id, project)
    }

    /// Something of a deployment, for which the role in the deployment counts.
    pub(super) fn in_deployment(what: &'static str, id: uuid::Uuid, deployment: DeploymentId, project: ProjectId) -> Self {
        Self { what, id, path: AccessPath::Deployment(project, deployment), run: None, service: None }
    }

    pub(super) fn scheduled(id: ScheduleId, deployment: DeploymentId, project: ProjectId) -> Self {
        Self::in_deployment("schedule", id.uuid(), deployment, project)
    }

    pub(super) fn monitor(id: MonitorId, deployment: DeploymentId, project: ProjectId) -> Self {
        Self::in_deployment("monitor", id.uuid(), deployment, project)
    }

    pub(super) fn run(id: RunId, deployment: DeploymentId, project: ProjectId) -> Self {
        Self { run: Some(id), ..Self::in_deployment("run", id.uuid(), deployment, project) }
    }

    /// The project that it belongs to.
    pub(super) fn project_id(&self) -> ProjectId {
        self.path.project()
    }

    /// Whose roles count for it.
    pub(super) fn level(&self) -> AccessLevel {
        match self.path {
            AccessPath::Project(_) => AccessLevel::Project,
            AccessPath::Group(..) => AccessLevel::Group,
            AccessPath::Deployment(..) => AccessLevel::Deployment,
        }
    }

    fn deployment_id(&self) -> Option<DeploymentId> {
        match self.path {
            AccessPath::Deployment(_, deployment) => Some(deployment),
            _ => None,
        }
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
        self.require_as(permission, resource).await.map(drop)
    }

    /// The same, and says as what.
    pub(super) async fn require_as(&self, permission: Permission, resource: &Resource) -> Result<Decision> {
        let decision = self.judge(resource).await?;
        if permission.allows(decision.standing) && self.token_can(permission) {
            return Ok(decision);
        }
        let denied = permission.denied();
        self.refused(permission, &resource.to_string(), Some(resource.project_id()), &denied.needs).await;
        if Permission::ProjectRead.allows(decision.standing) { Err(denied.into()) } else { Err(Error::not_found(resource.what)) }
    }

    /// Whether the principal may see the resource. Asking leaves nothing in the audit.
    pub(super) async fn may_see(&self, resource: &Resource) -> Result<bool> {
        Ok(Permission::ProjectRead.allows(self.standing(resource).await?))
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

    /// The same, where whoever is refused does not even hear that there is such a thing.
    pub(super) async fn require_everywhere_unseen(&self, permission: Permission, what: &'static str, on: &str) -> Result<()> {
        self.require_everywhere(permission, on).await.map_err(|error| match error.kind() {
            ErrorKind::Denied => Error::not_found(what),
            _ => error,
        })
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
        self.refused(permission, &resource.to_string(), Some(resource.project_id()), &denied.needs).await;
        Err(denied.into())
    }

    /// Leaves a refusal in the audit.
    pub(super) async fn refused(&self, permission: Permission, resource: &str, project: Option<ProjectId>, needs: &str) {
        let entry = self.entry(permission.as_str(), resource.to_owned(), project, Verdict::Refused, format!("needs {needs}"));
        self.keep_refusal(&entry).await;
    }

    /// Keeps a refusal, as well as that goes: whoever is refused is refused all the same.
    pub(super) async fn keep_refusal(&self, entry: &AuditEntry) {
        if let Err(error) = self.store().record_refusal(entry).await {
            tracing::warn!(error = %crate::error::report(&error), "a refusal could not be written to the audit");
        }
    }

    /// Whether what a token can do covers the permission.
    pub(super) fn token_can(&self, permission: Permission) -> bool {
        match self.principal.rights() {
            Principal::Token { kind: TokenKind::Service, capabilities, .. } => {
                permission.capability().is_some_and(|capability| capabilities.include(capability))
            }
            Principal::Token { kind: TokenKind::Run, .. } => permission == Permission::RunReport,
            Principal::Token { .. } => false,
            _ => true,
        }
    }

    /// What the principal is with respect to the resource.
    pub(super) async fn standing(&self, resource: &Resource) -> Result<Standing> {
        Ok(self.judge(resource).await?.standing)
    }

    /// What the principal is with respect to the resource, and which grant says so. One question to the store at most.
    pub(super) async fn judge(&self, resource: &Resource) -> Result<Decision> {
        let decided = |standing, by| Ok(Decision { standing, by });
        match self.principal.rights() {
            Principal::System { .. } | Principal::LocalOperator { .. } => decided(Standing::Operator, DecidedBy::LocalOperator),
            Principal::Deputy { .. } => decided(Standing::Outsider, DecidedBy::NoRole),
            Principal::User { id, .. } => self.judge_user(*id, resource).await,
            Principal::Token { kind, binding, created_by, .. } => {
                match (kind, self.covers(*binding, resource).await?) {
                    // Discovery has a check of its own.
                    (_, false) | (TokenKind::Discovery, _) => decided(Standing::Outsider, DecidedBy::TokenBinding),
                    (TokenKind::Run, true) => decided(Standing::OwnRun, DecidedBy::TokenBinding),
                    // Its creator's current standing at that very place, cut to a developer's.
                    (_, true) => match created_by {
                        None => decided(Standing::Member(Role::Developer), DecidedBy::TokenBinding),
                        Some(creator) => {
                            let Decision { standing, by } = self.judge_user(*creator, resource).await?;
                            decided(standing.role().map_or(standing, |role| Standing::Member(role.min(Role::Developer))), by)
                        }
                    },
                }
            }
        }
    }

    /// Whether what a token is bound to holds the resource.
    async fn covers(&self, binding: TokenBinding, resource: &Resource) -> Result<bool> {
        let deployment = match (binding, resource.path) {
            (TokenBinding::Group(group), AccessPath::Group(_, own)) if group == own => return Ok(true),
            (TokenBinding::Service(service), _) if resource.service == Some(service) => return Ok(true),
            (TokenBinding::Group(_) | TokenBinding::Service(_), AccessPath::Deployment(_, deployment)) => deployment,
            (TokenBinding::Project(project), _) => return Ok(project == resource.project_id()),
            (TokenBinding::Deployment(deployment), _) => return Ok(Some(deployment) == resource.deployment_id()),
            (TokenBinding::Run(run), _) => return Ok(Some(run) == resource.run),
            _ => return Ok(false),
        };
        let deployment = known(self.store().deployment(deployment).await)?;
        Ok(deployment.is_some_and(|deployment| match binding {
            TokenBinding::Group(group) => deployment.group_id == group,
            TokenBinding::Service(service) => deployment.service_id == Some(service),
            _ => false,
        }))
    }

    /// What the user is with respect to the resource.
    pub(super) async fn judge_user(&self, user: UserId, resource: &Resource) -> Result<Decision> {
        let grants = self.store().grants_on_path(user, resource.path).await?;
        self.note_operator(user, grants.operator);
        Ok(Decision::of(&grants))
    }

    /// Whose overrides a list below the resource has to obey, for whoever was let through there as that; none: nobody's, all of it is seen.
    pub(super) fn reader(&self, resource: &Resource, decision: Decision) -> Option<UserId> {
        let whose = match self.principal.rights() {
            Principal::User { id, .. } => Some(*id),
            Principal::Token { created_by, .. } => *created_by,
            _ => None,
        };
        let sees_all = matches!(decision.by, DecidedBy::Operator | DecidedBy::Owner);
        // Below a deployment there is nothing to be overridden.
        whose.filter(|_| !sees_all && resource.level() != AccessLevel::Deployment)
    }

    pub(super) async fn enabled_user(&self, id: UserId) -> Result<Option<User>> {
        let Some(user) = known(self.store().user(id).await)? else { return Ok(None) };
        self.note_operator(id, user.operator);
        Ok(Some(user).filter(|user| !user.disabled))
    }

    /// Remembers for the audit whether the principal acts as an operator.
    fn note_operator(&self, user: UserId, is_operator: bool) {
        if matches!(self.principal.rights(), Principal::User { id, .. } if *id == user) {
            self.as_operator.store(is_operator, Ordering::Relaxed);
        }
    }

    /// Whether the token that proved this principal is still valid; for those who came without one, always.
    pub(super) async fn proof_still_valid(&self) -> Result<bool> {
        let token = match self.principal.rights() {
            Principal::User { session: Some(token), .. } => *token,
            Principal::Token { id, .. } => *id,
            _ => return Ok(true),
        };
        let token = known(self.store().token(token).await)?;
        Ok(token.is_some_and(|token| token.is_valid_at(self.now())))
    }
}
