//! Who may do what: roles, permissions and the table between them; passwords and token secrets.
//!
//! The policy is a pure table ([`Permission::needs`]); the checks stand in [`platform`](crate::platform), beside what they guard.

mod password;
mod permission;
mod secret;

pub use crate::model::Role;
pub use password::PasswordHasher;
pub use permission::{Needs, Permission, Standing};
pub use secret::TokenSecret;
