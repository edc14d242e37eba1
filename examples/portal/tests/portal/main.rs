//! The portal as a client sees it, over a store in memory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod access;
mod audit;
mod bad_input;
mod browser;
mod clusters;
mod decisions;
mod discovery;
mod document;
mod events;
mod matrix;
mod members;
mod monitors;
mod queue;
mod rest;
mod schedules;
mod secrets;
mod settings;
mod site;
mod sources;
mod tokens;
