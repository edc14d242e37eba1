//! Accounts, and their roles in projects.

use serde::Serialize;

use crate::{
    clock::Timestamp,
    id::{ProjectId, UserId},
    name::UserName,
    word_enum::word_enum,
};

word_enum! {
    /// What a member may do in a project, each including the ones before it.
    pub enum Role("role") {
        /// Sees everything but the secrets.
        User = "user",
        /// Also starts, stops, cancels and changes deployments.
        Developer = "developer",
        /// Also changes the project, its groups, members and tokens.
        Admin = "admin",
    }
}

/// An account.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct User {
    /// The account's id.
    pub id: UserId,
    /// The name to sign in with; unique.
    pub name: UserName,
    /// argon2id in PHC form; none: cannot sign in with a password.
    #[serde(skip)]
    pub password_hash: Option<String>,
    /// Operators own shared things and users, and count as admin everywhere.
    pub operator: bool,
    /// A disabled user has no rights, its tokens neither.
    pub disabled: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// Grows at every change.
    pub version: u64,
}

/// A user's role in a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Membership {
    /// The project.
    pub project_id: ProjectId,
    /// The user.
    pub user_id: UserId,
    /// The role.
    pub role: Role,
}
