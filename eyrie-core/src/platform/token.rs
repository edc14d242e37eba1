//! Tokens: for programs that start deployments from elsewhere, and how each token comes to be and ends.

use std::time::Duration;

use serde::Deserialize;

use crate::{
    access::{Permission, TokenSecret},
    clock::{Timestamp, later},
    error::{Error, ErrorKind, Invalid, Result, known},
    id::{DeploymentId, GroupId, ProjectId, ServiceId, TokenId, UserId},
    model::{Principal, Token, TokenBinding, TokenCapabilities, TokenKind},
    name::{DisplayName, Origin},
    platform::{Acting, Eyrie, Resource},
    store::{Page, PageRequest, TokenFilter},
};

const DAY: u64 = 24 * 3600;
/// How long a token that others use may last.
const MAX_DAYS: u16 = 180;
/// How long a token may be valid beside the one that took its place.
const MAX_OVERLAP: Duration = Duration::from_secs(7 * DAY);
/// When a token was last used is kept to that.
const USE_NOTED_EVERY: Duration = Duration::from_secs(60);

/// What a service token is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceTokenTarget {
    /// Everything in a project.
    Project(ProjectId),
    /// What is deployed in a group.
    Group(GroupId),
    /// One deployment.
    Deployment(DeploymentId),
    /// What is deployed by a service.
    Service(ServiceId),
}

/// What a new service token needs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewServiceToken {
    /// A name to recognise it by.
    pub name: DisplayName,
    /// What it is bound to.
    pub target: ServiceTokenTarget,
    /// What it can do there.
    #[serde(default = "TokenCapabilities::usual")]
    pub capabilities: TokenCapabilities,
    /// From where it will be used; kept on every run that it starts.
    pub origin: Origin,
    /// How long it lasts: 1 to 180 days.
    pub days: u16,
}

/// How a token takes the place of another one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenRotation {
    /// How long the new one lasts: 1 to 180 days; as long as the old one did, if missing.
    #[serde(default)]
    pub days: Option<u16>,
    /// For how many seconds the old one is still valid, up to a week, and never longer than it was anyway.
    #[serde(default)]
    pub overlap_seconds: u64,
}

/// A token that is about to be made.
pub(super) struct Issue {
    pub(super) kind: TokenKind,
    pub(super) name: DisplayName,
    pub(super) binding: TokenBinding,
    pub(super) project_id: Option<ProjectId>,
    pub(super) created_by: Option<UserId>,
    pub(super) origin: Origin,
    pub(super) life: Duration,
}

impl Issue {
    /// The token with its secret, which is nowhere else.
    pub(super) fn at(self, now: Timestamp) -> Result<(TokenSecret, Token)> {
        let secret = TokenSecret::generate(self.kind)?;
        let token = Token {
            id: TokenId::new(),
            kind: self.kind,
            name: self.name,
            secret_hash: secret.hash(),
            created_by: self.created_by,
            binding: self.binding,
            project_id: self.project_id,
            capabilities: TokenCapabilities::default(),
            origin: self.origin,
            created_at: now,
            expires_at: later(now, self.life),
            revoked_at: None,
            last_used_at: None,
            replaces: None,
        };
        Ok((secret, token))
    }
}

/// The life of a token that others use.
pub(super) fn life(days: u16) -> Result<Duration, Invalid> {
    if (1..=MAX_DAYS).contains(&days) {
        Ok(Duration::from_secs(u64::from(days) * DAY))
    } else {
        Err(Invalid::new("days", format!("must be 1 to {MAX_DAYS}")))
    }
}

impl Acting {
    /// Makes a service token, and answers with its secret, once. Its rights are what it is capable of at its target, cut to the
    /// current role of whoever made it, and to a developer's.
    ///
    /// # Errors
    /// `Invalid` unless it lasts 1 to 180 days and is capable of something; `NotFound` for a target that the principal may not read.
    pub async fn create_service_token(&self, new: NewServiceToken) -> Result<(TokenSecret, Token)> {
        let (resource, binding) = match new.target {
            ServiceTokenTarget::Project(project) => {
                // A token for a project that does not exist would wait for one.
                (Resource::project(self.store().project(project).await?.id), TokenBinding::Project(project))
            }
            ServiceTokenTarget::Group(id) => (Resource::group(id, self.store().group(id).await?.project_id), TokenBinding::Group(id)),
            ServiceTokenTarget::Deployment(id) => {
                (Resource::deployment(id, self.store().deployment(id).await?.project_id), TokenBinding::Deployment(id))
            }
            ServiceTokenTarget::Service(id) => {
                (Resource::service(id, self.store().service(id).await?.project_id), TokenBinding::Service(id))
            }
        };
        self.require(Permission::TokenCreate, &resource).await?;
        if new.capabilities.is_empty() {
            return Err(Invalid::new("capabilities", "must name at least one of read deploy cancel approve record").into());
        }
        let issue = Issue {
            kind: TokenKind::Service,
            name: new.name,
            binding,
            project_id: Some(resource.project_id()),
            created_by: self.own_user(),
            origin: new.origin,
            life: life(new.days)?,
        };
        let (secret, token) = issue.at(self.now())?;
        let token = Token { capabilities: new.capabilities, ..token };
        self.keep_token(&token).await?;
        Ok((secret, token))
    }

    /// Tokens in the order of their making: those of a project for its admins; one's own ones, or all of them for operators, where the
    /// filter names no project.
    ///
    /// # Errors
    /// `NotFound` for a project that the principal may not read.
    pub async fn tokens(&self, filter: TokenFilter, page: PageRequest) -> Result<Page<Token>> {
        let nothing = || Ok(Page { items: Vec::new(), next: None });
        if let Some(project) = filter.project {
            self.require(Permission::TokenRead, &Resource::project(project)).await?;
            return self.store().tokens(filter, page).await;
        }
        let creator = match &self.principal {
            Principal::System { .. } | Principal::LocalOperator { .. } => filter.creator,
            Principal::User { id, .. } => match self.enabled_user(*id).await? {
                Some(user) if user.operator => filter.creator,
                Some(user) if filter.creator.is_none_or(|creator| creator == user.id) => Some(user.id),
                _ => return nothing(),
            },
            Principal::Token { .. } | Principal::Deputy { .. } => return nothing(),
        };
        self.store().tokens(TokenFilter { creator, ..filter }, page).await
    }

    /// The token of that id: one's own, or one of a project for its admins.
    ///
    /// # Errors
    /// `NotFound`, also for what the principal may not know of.
    pub async fn token(&self, id: TokenId) -> Result<Token> {
        self.token_for(id, Permission::TokenRead).await
    }

    /// Puts another token in the place of one that others use, and answers with its secret, once: the same target, capabilities,
    /// name and origin. From then on it is the principal's token, cut to its rights. A token does not replace itself: who has got hold
    /// of one could go on for ever.
    ///
    /// # Errors
    /// `Invalid` names the field; `Conflict` for a token that is no longer valid, and for sessions and tokens of runs, which are not
    /// replaced; `NotFound` for what the principal may not know of.
    pub async fn rotate_token(&self, id: TokenId, rotation: TokenRotation) -> Result<(TokenSecret, Token)> {
        let old = self.token_for(id, Permission::TokenRevoke).await?;
        match old.project_id {
            // Whoever puts one there must be somebody who could make it.
            Some(project) => self.require(Permission::TokenCreate, &self.place_of(&old, project).await?).await?,
            None => self.require_everywhere(Permission::UserManage, &format!("token {id}")).await?,
        }
        if !matches!(old.kind, TokenKind::Service | TokenKind::Discovery) {
            return Err(Error::new(ErrorKind::Conflict, "rotate token", "a session or a run's token is not replaced"));
        }
        let overlap = Duration::from_secs(rotation.overlap_seconds);
        if overlap > MAX_OVERLAP {
            return Err(Invalid::new("overlap_seconds", format!("must be at most {}", MAX_OVERLAP.as_secs())).into());
        }
        // One that is replaced for the second time has less time left than it was made for.
        let lasted = Duration::try_from(old.expires_at.duration_since(old.created_at)).unwrap_or_default().max(Duration::from_secs(DAY));
        let life = rotation.days.map_or(Ok(lasted), life)?;
        let Token { kind, name, binding, project_id, capabilities, origin, .. } = old;
        let now = self.now();
        let (secret, token) = Issue { kind, name, binding, project_id, created_by: self.own_user(), origin, life }.at(now)?;
        let token = Token { capabilities, replaces: Some(id), ..token };
        let audit = self.allowed_because(
            Permission::TokenRevoke.as_str(),
            format!("token {id}"),
            project_id,
            format!("replaced by token {}", token.id),
        );
        self.store().replace_token(&token, later(now, overlap), &audit).await?;
        Ok((secret, token))
    }

    /// Revokes a token: one's own, or one of a project in which the principal is admin. Streams that it opened end within seconds.
    ///
    /// # Errors
    /// `NotFound`, also for what the principal may not know of.
    pub async fn revoke_token(&self, id: TokenId) -> Result<()> {
        let token = self.token_for(id, Permission::TokenRevoke).await?;
        let audit = self.allowed(Permission::TokenRevoke.as_str(), format!("token {id}"), token.project_id);
        self.store().revoke_token(id, &audit).await
    }

    /// The token, for whoever has the permission where it is bound to; its own ones for everybody.
    async fn token_for(&self, id: TokenId, permission: Permission) -> Result<Token> {
        let token = self.store().token(id).await?;
        match token.project_id {
            _ if token.created_by.is_some() && token.created_by == self.own_user() => {}
            Some(project) => self.require(permission, &self.place_of(&token, project).await?).await?,
            // A session of somebody else's: whoever is no operator does not even learn that it exists.
            None => self.require_everywhere_unseen(Permission::UserManage, "token", &format!("token {id}")).await?,
        }
        Ok(token)
    }

    /// Where a token stands, for whoever wants to know of it: where it is bound to, or in its project when that is gone.
    async fn place_of(&self, token: &Token, project: ProjectId) -> Result<Resource> {
        let id = token.id.uuid();
        let deployment = match token.binding {
            TokenBinding::Group(group) if known(self.store().group(group).await)?.is_some() => {
                return Ok(Resource::in_group("token", id, group, project));
            }
            TokenBinding::Deployment(deployment) => known(self.store().deployment(deployment).await)?.map(|deployment| deployment.id),
            TokenBinding::Run(run) => known(self.store().run(run).await)?.map(|run| run.deployment_id),
            _ => None,
        };
        Ok(match deployment {
            Some(deployment) => Resource::in_deployment("token", id, deployment, project),
            None => Resource::inside("token", id, project),
        })
    }

    /// Keeps a token that others use.
    pub(super) async fn keep_token(&self, token: &Token) -> Result<()> {
        let audit = self.allowed(Permission::TokenCreate.as_str(), format!("token {}", token.id), token.project_id);
        self.store().create_token(token, &audit).await
    }

    /// The account that acts itself, if one does.
    pub(super) fn own_user(&self) -> Option<UserId> {
        match &self.principal {
            Principal::User { id, .. } => Some(*id),
            _ => None,
        }
    }
}

impl Eyrie {
    /// Keeps that the token is used, once a minute. What cannot be kept is no reason to refuse it.
    pub(super) async fn note_use(&self, token: &Token) {
        let now = self.now();
        let is_news = token.last_used_at.is_none_or(|last| later(last, USE_NOTED_EVERY) <= now);
        if token.kind != TokenKind::Run
            && is_news
            && let Err(error) = self.store().note_token_use(token.id, now).await
        {
            tracing::warn!(token = %token.id, error = %crate::error::report(&error), "the use of a token could not be noted");
        }
    }
}
