//! A token: a secret that stands for a principal. Only its SHA-256 is kept.

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    id::{DeploymentId, ProjectId, RunId, TokenId, UserId},
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

/// What a token is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "type", content = "id", rename_all = "snake_case")]
#[non_exhaustive]
pub enum TokenBinding {
    /// The user's own rights (sessions).
    User(UserId),
    /// Everything in a project.
    Project(ProjectId),
    /// One deployment.
    Deployment(DeploymentId),
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
    /// Where requests made with it come from.
    pub origin: Origin,
    /// When it was made.
    pub created_at: Timestamp,
    /// From then on it is refused.
    pub expires_at: Timestamp,
    /// Since then it is refused.
    pub revoked_at: Option<Timestamp>,
}

impl Token {
    /// Whether the token is valid at `now`.
    #[must_use]
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && now < self.expires_at
    }
}
