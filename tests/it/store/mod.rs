//! The store on a server, and what programs keep beside it.

mod conformance;
mod deadlocks;
mod refusals;
mod statements;
mod turns;
