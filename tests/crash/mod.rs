//! What the crash tests share with the process that they kill.

pub mod journal;
pub mod plans;
pub mod rng;
