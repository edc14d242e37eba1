//! Processes that are killed, stopped, cut off and starved of room; and an oracle outside of them.
//!
//! A [`Field`](field::Field) is a database with a journal beside it. Processes on it ([`child`]) queue, execute and cancel random
//! plans, and write down what they do and hear. A [`drill`] does something to them. Afterwards the [`oracle`] reads the database in
//! its own words and holds it against the journal.

pub mod bodies;
pub mod child;
pub mod copy;
pub mod device;
pub mod drill;
pub mod field;
pub mod gone;
pub mod journal;
pub mod oracle;
pub mod plans;
pub mod points;
pub mod process;
pub mod proxy;
pub mod shim;
