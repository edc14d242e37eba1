//! Accounts.

use async_trait::async_trait;

use super::{
    MemoryStore,
    state::{find, free, get, oldest_first, same_version},
};
use crate::{
    error::{Error, ErrorKind, Result},
    id::UserId,
    model::{AuditEntry, TokenBinding, TokenKind, User},
    name::UserName,
    store::{NewUserRule, Page, PageRequest, UserStore},
};

#[async_trait]
impl UserStore for MemoryStore {
    async fn create_user(&self, user: &User, rule: NewUserRule, audit: &AuditEntry) -> Result<()> {
        const OPERATION: &str = "create user";
        let mut state = self.state();
        if rule == NewUserRule::NobodyYet && !state.users.is_empty() {
            return Err(Error::new(ErrorKind::Conflict, OPERATION, "there is a user already"));
        }
        free(state.users.values(), OPERATION, "there is a user of that name", |other| other.id == user.id || other.name == user.name)?;
        state.users.insert(user.id, user.clone());
        state.note(audit);
        Ok(())
    }

    async fn user(&self, id: UserId) -> Result<User> {
        get(&self.state().users, id, "user")
    }

    async fn user_by_name(&self, name: &UserName) -> Result<User> {
        find(&self.state().users, "user", |user| user.name == *name)
    }

    async fn users(&self, page: PageRequest) -> Result<Page<User>> {
        let state = self.state();
        Ok(oldest_first(&state.users, &page, UserId::from_uuid, |user| user.id.uuid(), |_| true))
    }

    async fn update_user(&self, user: &User, end_sessions: bool, audit: &AuditEntry) -> Result<()> {
        const OPERATION: &str = "update user";
        let mut state = self.state();
        let now = self.now();
        let stored = get(&state.users, user.id, "user")?;
        same_version(stored.version, user.version, OPERATION)?;
        let others = state.users.values().filter(|other| other.id != user.id);
        free(others, OPERATION, "there is a user of that name", |other| other.name == user.name)?;
        state.users.insert(user.id, User { version: user.version + 1, ..user.clone() });
        if end_sessions {
            let is_session = |kind, binding| kind == TokenKind::Session && binding == TokenBinding::User(user.id);
            for token in state.tokens.values_mut().filter(|token| is_session(token.kind, token.binding)) {
                token.revoked_at.get_or_insert(now);
            }
        }
        state.note(audit);
        Ok(())
    }
}
