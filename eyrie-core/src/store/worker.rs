//! Workers and their leases.

use std::time::Duration;

use async_trait::async_trait;

use crate::{clock::Timestamp, error::Result, id::WorkerId};

/// A worker's lease as the store knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerLease {
    /// The worker.
    pub worker: WorkerId,
    /// Until when, by the store's clock. Its holder counts on the monotonic clock, from before it asked.
    pub until: Timestamp,
}

/// Keeps one lease row per worker.
#[async_trait]
pub trait WorkerStore {
    /// Registers a worker that has never been registered, with a lease of `ttl`.
    async fn register_worker(&self, worker: WorkerId, ttl: Duration) -> Result<WorkerLease>;
    /// Extends the lease to `ttl` from now. `NotFound` when it has run out or was given up: the worker must stop at once.
    async fn renew_worker(&self, worker: WorkerId, ttl: Duration) -> Result<WorkerLease>;
    /// Gives the lease up; what the worker still holds may be taken over at once. Doing it again changes nothing.
    async fn retire_worker(&self, worker: WorkerId) -> Result<()>;
}
