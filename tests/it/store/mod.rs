//! The store on a server.

mod conformance;
mod refusals;
