//! Tokens.

use async_trait::async_trait;

use super::{
    MemoryStore,
    state::{find, free, get, oldest_first},
};
use crate::{
    clock::Timestamp,
    error::{Error, ErrorKind, Result},
    id::TokenId,
    model::{AuditEntry, Token},
    store::{Page, PageRequest, TokenFilter, TokenStore},
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

    async fn tokens(&self, filter: TokenFilter, page: PageRequest) -> Result<Page<Token>> {
        let state = self.state();
        let fits = |token: &Token| {
            filter.creator.is_none_or(|user| token.created_by == Some(user))
                && filter.project.is_none_or(|project| token.project_id == Some(project))
                && filter.kind.is_none_or(|kind| token.kind == kind)
        };
        Ok(oldest_first(&state.tokens, &page, TokenId::from_uuid, |token| token.id.uuid(), fits))
    }

    async fn replace_token(&self, token: &Token, old_ends_at: Timestamp, audit: &AuditEntry) -> Result<()> {
        const OPERATION: &str = "replace token";
        let mut state = self.state();
        let old = token.replaces.and_then(|old| state.tokens.get(&old)).ok_or_else(|| Error::not_found("token"))?;
        if !old.is_valid_at(token.created_at) {
            return Err(Error::new(ErrorKind::Conflict, OPERATION, "the token is not valid any more"));
        }
        let old = Token { expires_at: old.expires_at.min(old_ends_at), ..old.clone() };
        let taken = |other: &Token| other.id == token.id || other.secret_hash == token.secret_hash;
        free(state.tokens.values(), OPERATION, "there is such a token", taken)?;
        state.tokens.insert(old.id, old);
        state.tokens.insert(token.id, token.clone());
        state.note(audit);
        Ok(())
    }

    async fn note_token_use(&self, id: TokenId, at: Timestamp) -> Result<()> {
        if let Some(token) = self.state().tokens.get_mut(&id) {
            token.last_used_at = token.last_used_at.max(Some(at));
        }
        Ok(())
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
