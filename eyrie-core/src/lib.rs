#![doc = include_str!("../../README.md")]

pub mod access;
pub mod address;
pub mod clock;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod deployment_type;
pub mod engine;
pub mod error;
pub mod git;
pub mod id;
pub mod memory;
pub mod model;
pub mod name;
pub mod oci;
pub mod platform;
#[cfg(feature = "process")]
pub mod process;
mod random;
pub mod secret;
pub mod store;
#[cfg(feature = "testing")]
pub mod testing;
mod word_enum;

pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use error::{Denied, Error, ErrorKind, IllegalTransition, Invalid, Result};
pub use platform::{Acting, Eyrie, EyrieBuilder};
