//! Accounts.

use async_trait::async_trait;

use crate::{
    error::Result,
    id::UserId,
    model::{AuditEntry, User},
    name::UserName,
    store::{Page, PageRequest},
};

/// When a new user is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewUserRule {
    /// Whenever the name is free.
    NameIsFree,
    /// Only while there is no user at all: the first operator. Otherwise `Conflict`.
    NobodyYet,
}

/// Keeps accounts.
#[async_trait]
pub trait UserStore {
    /// Keeps a new user under the rule.
    async fn create_user(&self, user: &User, rule: NewUserRule, audit: &AuditEntry) -> Result<()>;
    /// The user of that id.
    async fn user(&self, id: UserId) -> Result<User>;
    /// The user of that name.
    async fn user_by_name(&self, name: &UserName) -> Result<User>;
    /// Users in the order of their making.
    async fn users(&self, page: PageRequest) -> Result<Page<User>>;
    /// Replaces the user if the stored version is `user.version`; the stored version then is one more. With `end_sessions`, the
    /// user's session tokens are revoked in the same transaction.
    async fn update_user(&self, user: &User, end_sessions: bool, audit: &AuditEntry) -> Result<()>;
}
