//! Tokens.

use async_trait::async_trait;

use super::{
    MemoryStore,
    state::{find, free, get, oldest_first},
};
use crate::{
    error::{Error, Result},
    id::{TokenId, UserId},
    model::{AuditEntry, Token},
    store::{Page, PageRequest, TokenStore},
};

#[async_trait]
impl TokenStore for MemoryStore {
    async fn create_token(&self, token: &Token, audit: &AuditEntry) -> Result<()> {
        let mut state = self.state();
        let taken = |other: &Token| other.id == token.id || other.secret_hash == token.secret_hash;
        free(state.tokens.values(), "create token", "there is such a token", taken)?;
        state.tokens.insert(token.id, token.clone());
        state.note(audit);
        Ok(())
    }

    async fn token(&self, id: TokenId) -> Result<Token> {
        get(&self.state().tokens, id, "token")
    }

    async fn token_by_hash(&self, hash: &[u8; 32]) -> Result<Token> {
        find(&self.state().tokens, "token", |token| token.secret_hash == *hash)
    }

    async fn tokens(&self, creator: Option<UserId>, page: PageRequest) -> Result<Page<Token>> {
        let state = self.state();
        let fits = |token: &Token| creator.is_none_or(|user| token.created_by == Some(user));
        Ok(oldest_first(&state.tokens, &page, TokenId::from_uuid, |token| token.id.uuid(), fits))
    }

    async fn revoke_token(&self, id: TokenId, audit: &AuditEntry) -> Result<()> {
        let mut state = self.state();
        let now = self.now();
        let token = state.tokens.get_mut(&id).ok_or_else(|| Error::not_found("token"))?;
        if token.revoked_at.is_none() {
            token.revoked_at = Some(now);
            state.note(audit);
        }
        Ok(())
    }
}
