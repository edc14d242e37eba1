//! One binary for all tests over the whole.

mod crash;
mod dependencies;
mod engine;
mod inputs;
mod portal;
mod services;
mod store;
