//! One binary for all tests over the whole.

mod access;
mod crash;
mod dependencies;
mod engine;
mod inputs;
mod portal;
mod secrets;
mod services;
mod store;
