//! Service tokens: for programs that start deployments from elsewhere.

use std::time::Duration;

use serde::Deserialize;

use crate::{
    access::{Permission, TokenSecret},
    clock::later,
    error::{Invalid, Result},
    id::{DeploymentId, ProjectId, TokenId},
    model::{Principal, Token, TokenBinding, TokenKind},
    name::{DisplayName, Origin},
    platform::{Acting, Resource},
    store::{Page, PageRequest},
};

/// What a service token may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceTokenTarget {
    /// Everything in a project.
    Project(ProjectId),
    /// One deployment.
    Deployment(DeploymentId),
}

/// What a new service token needs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewServiceToken {
    /// A name to recognise it by.
    pub name: DisplayName,
    /// What it may start.
    pub target: ServiceTokenTarget,
    /// From where it will be used; kept on every run that it starts.
    pub origin: Origin,
    /// How long it lasts: 1 to 180 days.
    pub days: u16,
}

impl Acting {
    /// Makes a service token, and answers with its secret, once. Its rights are starting, reading and cancelling runs of its target,
    /// cut to the current role of whoever made it.
    ///
    /// # Errors
    /// `Invalid` unless it lasts 1 to 180 days.
    pub async fn create_service_token(&self, new: NewServiceToken) -> Result<(TokenSecret, Token)> {
        let (resource, binding) = match new.target {
            ServiceTokenTarget::Project(project) => (Resource::project(project), TokenBinding::Project(project)),
            ServiceTokenTarget::Deployment(id) => {
                (Resource::deployment(id, self.store().deployment(id).await?.project_id), TokenBinding::Deployment(id))
            }
        };
        self.require(Permission::TokenCreate, &resource).await?;
        let project = resource.project_id();
        if !(1..=180).contains(&new.days) {
            return Err(Invalid::new("days", "must be 1 to 180").into());
        }
        // A token for a project that does not exist would wait for one.
        self.store().project(project).await?;
        let secret = TokenSecret::generate(TokenKind::Service)?;
        let now = self.now();
        let token = Token {
            id: TokenId::new(),
            kind: TokenKind::Service,
            name: new.name,
            secret_hash: secret.hash(),
            created_by: match &self.principal {
                Principal::User { id, .. } => Some(*id),
                _ => None,
            },
            binding,
            origin: new.origin,
            created_at: now,
            expires_at: later(now, Duration::from_secs(u64::from(new.days) * 24 * 3600)),
            revoked_at: None,
        };
        let audit = self.allowed(Permission::TokenCreate.as_str(), format!("token {}", token.id), Some(project));
        self.store().create_token(&token, &audit).await?;
        Ok((secret, token))
    }

    /// Tokens: a user's own ones, all of them for operators.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn tokens(&self, page: PageRequest) -> Result<Page<Token>> {
        let creator = match &self.principal {
            Principal::System { .. } | Principal::LocalOperator { .. } => None,
            Principal::User { id, .. } => match self.enabled_user(*id).await? {
                Some(user) if user.operator => None,
                Some(user) => Some(user.id),
                None => return Ok(Page { items: Vec::new(), next: None }),
            },
            Principal::Token { .. } | Principal::Deputy { .. } => return Ok(Page { items: Vec::new(), next: None }),
        };
        self.store().tokens(creator, page).await
    }

    /// Revokes a token: one's own, or one of a project in which the principal is admin.
    ///
    /// # Errors
    /// `NotFound`, also for what the principal may not know of.
    pub async fn revoke_token(&self, id: TokenId) -> Result<()> {
        let token = self.store().token(id).await?;
        let own = matches!(&self.principal, Principal::User { id, .. } if token.created_by == Some(*id));
        let resource = match token.binding {
            TokenBinding::Project(project) => Some(Resource::inside("token", id.uuid(), project)),
            TokenBinding::Deployment(deployment) => {
                Some(Resource::in_deployment("token", id.uuid(), deployment, self.store().deployment(deployment).await?.project_id))
            }
            TokenBinding::Run(run) => {
                let run = self.store().run(run).await?;
                Some(Resource::in_deployment("token", id.uuid(), run.deployment_id, run.project_id))
            }
            TokenBinding::User(_) | TokenBinding::Everything => None,
        };
        match &resource {
            _ if own => {}
            Some(resource) => self.require(Permission::TokenRevoke, resource).await?,
            // A session of somebody else's: whoever is no operator does not even learn that it exists.
            None => self.require_everywhere_unseen(Permission::UserManage, "token", &format!("token {id}")).await?,
        }
        let project = resource.map(|resource| resource.project_id());
        let audit = self.allowed(Permission::TokenRevoke.as_str(), format!("token {id}"), project);
        self.store().revoke_token(id, &audit).await
    }
}
