//! Tokens.

use async_trait::async_trait;

use crate::{
    clock::Timestamp,
    error::Result,
    id::{ProjectId, TokenId, UserId},
    model::{AuditEntry, Token, TokenKind},
    store::{Page, PageRequest},
};

/// Which tokens to list; what is missing does not matter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TokenFilter {
    /// Those that this user made.
    pub creator: Option<UserId>,
    /// Those that are bound to this project, or to something in it.
    pub project: Option<ProjectId>,
    /// Those of this kind.
    pub kind: Option<TokenKind>,
}

/// Keeps tokens, never their secrets.
#[async_trait]
pub trait TokenStore {
    /// Keeps a new token.
    async fn create_token(&self, token: &Token, audit: &AuditEntry) -> Result<()>;
    /// The token of that id.
    async fn token(&self, id: TokenId) -> Result<Token>;
    /// The token whose secret has this SHA-256, valid or not.
    async fn token_by_hash(&self, hash: &[u8; 32]) -> Result<Token>;
    /// Tokens in the order of their making.
    async fn tokens(&self, filter: TokenFilter, page: PageRequest) -> Result<Page<Token>>;
    /// Keeps a new token in the place of the one that it [replaces](Token::replaces), which ends at that time unless it ends before.
    /// `Conflict` when that one is revoked or has expired by the time at which the new one was made; `NotFound` when there is none.
    async fn replace_token(&self, token: &Token, old_ends_at: Timestamp, audit: &AuditEntry) -> Result<()>;
    /// Keeps when the token was used, unless a later time is known. Not worth an entry of the audit; what does not exist is passed over.
    async fn note_token_use(&self, id: TokenId, at: Timestamp) -> Result<()>;
    /// Revokes the token at the store's time. Doing it again changes nothing.
    async fn revoke_token(&self, id: TokenId, audit: &AuditEntry) -> Result<()>;
}
