//! What the tests share: worlds to run in, and actions that misbehave on purpose.

pub mod actions;
pub mod crash;
pub mod postgres;
pub mod schedules;
pub mod scripts;
pub mod world;
