//! Tokens.

use async_trait::async_trait;

use crate::{
    error::Result,
    id::{TokenId, UserId},
    model::{AuditEntry, Token},
    store::{Page, PageRequest},
};

/// Keeps tokens, never their secrets.
#[async_trait]
pub trait TokenStore {
    /// Keeps a new token.
    async fn create_token(&self, token: &Token, audit: &AuditEntry) -> Result<()>;
    /// The token of that id.
    async fn token(&self, id: TokenId) -> Result<Token>;
    /// The token whose secret has this SHA-256, valid or not.
    async fn token_by_hash(&self, hash: &[u8; 32]) -> Result<Token>;
    /// Tokens in the order of their making; with `creator`, only those that this user made.
    async fn tokens(&self, creator: Option<UserId>, page: PageRequest) -> Result<Page<Token>>;
    /// Revokes the token at the store's time. Doing it again changes nothing.
    async fn revoke_token(&self, id: TokenId, audit: &AuditEntry) -> Result<()>;
}
