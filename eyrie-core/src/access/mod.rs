//! Who may do what: roles, permissions and the table between them; passwords and token secrets.
//!
//! The policy is a pure table ([`Permission::needs`]), and so is what a user's grants at a place make of them ([`Decision::of`]); the checks stand in [`platform`](crate::platform), beside what they guard.

mod decision;
mod password;
mod permission;
mod secret;

pub use crate::model::Role;
pub use decision::{DecidedBy, Decision};
pub use password::PasswordHasher;
pub use permission::{AccessLevel, Needs, Permission, Standing};
pub use secret::TokenSecret;
