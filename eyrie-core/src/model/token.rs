//! A token: a secret that stands for a principal. Only its SHA-256 is kept.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    id::{DeploymentId, GroupId, ProjectId, RunId, ServiceId, TokenId, UserId},
    name::{DisplayName, Origin},
    word_enum::word_enum,
};

word_enum! {
    /// What a token is for.
    pub enum TokenKind("token_kind") {
        /// A signed-in user's session.
        Session = "session",
        /// Starts runs of what it is bound to, from a fixed origin.
        Service = "service",
        /// Lets a script report the steps of its own run.
        Run = "run",
        /// Lists deployed services.
        Discovery = "discovery",
    }
}

word_enum! {
    /// What a service token can do, where its creator may.
    pub enum TokenCapability("capability") {
        /// Read; each of the others includes it.
        Read = "read",
        /// Start runs.
        Deploy = "deploy",
        /// Cancel runs.
        Cancel = "cancel",
        /// Approve of steps that wait for it, and reject them.
        Approve = "approve",
        /// Say what was pushed, built and found out by monitors.
        Record = "record",
    }
}

/// What a service token can do, each once; tokens of other kinds need none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenCapabilities(BTreeSet<TokenCapability>);

impl TokenCapabilities {
    /// What a token can do that was made without saying what it is for.
    #[must_use]
    pub fn usual() -> Self {
        Self::from_iter([TokenCapability::Deploy, TokenCapability::Cancel, TokenCapability::Record])
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this is among them: reading always is, where there are any.
    #[must_use]
    pub fn include(&self, capability: TokenCapability) -> bool {
        self.0.contains(&capability) || (capability == TokenCapability::Read && !self.is_empty())
    }
}

impl FromIterator<TokenCapability> for TokenCapabilities {
    fn from_iter<I: IntoIterator<Item = TokenCapability>>(capabilities: I) -> Self {
        Self(BTreeSet::from_iter(capabilities))
    }
}

/// What a token is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "type", content = "id", rename_all = "snake_case")]
#[non_exhaustive]
pub enum TokenBinding {
    /// The user's own rights (sessions).
    User(UserId),
    /// Everything in a project.
    Project(ProjectId),
    /// One group, and what is deployed in it.
    Group(GroupId),
    /// One deployment.
    Deployment(DeploymentId),
    /// One service, and what is deployed by it.
    Service(ServiceId),
    /// One run.
    Run(RunId),
    /// Everything there is (discovery).
    Everything,
}

/// A token as it is kept: everything but the secret.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Token {
    /// The token's id.
    pub id: TokenId,
    /// What it is for.
    pub kind: TokenKind,
    /// A name for its owner to recognise it by.
    pub name: DisplayName,
    /// SHA-256 of the secret.
    #[serde(skip)]
    pub secret_hash: [u8; 32],
    /// Who made it; none for one made by the local operator.
    pub created_by: Option<UserId>,
    /// What it is bound to.
    pub binding: TokenBinding,
    /// The project in which that stands, if it stands in one.
    pub project_id: Option<ProjectId>,
    /// What it can do there, for a service token.
    pub capabilities: TokenCapabilities,
    /// Where requests made with it come from.
    pub origin: Origin,
    /// When it was made.
    pub created_at: Timestamp,
    /// From then on it is refused.
    pub expires_at: Timestamp,
    /// Since then it is refused.
    pub revoked_at: Option<Timestamp>,
    /// When it was last used, to the minute; not kept for a run's token.
    pub last_used_at: Option<Timestamp>,
    /// The token whose place it took.
    pub replaces: Option<TokenId>,
}

impl Token {
    /// Whether the token is valid at `now`.
    #[must_use]
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && now < self.expires_at
    }
}
