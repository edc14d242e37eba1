//! The store on a server.

mod conformance;
mod deadlocks;
mod refusals;
