//! Workers and their leases.

use std::time::Duration;

use async_trait::async_trait;

use super::{
    MemoryStore,
    state::{Lease, free},
};
use crate::{
    clock::later,
    error::{Error, Result},
    id::WorkerId,
    store::{WorkerLease, WorkerStore},
};

#[async_trait]
impl WorkerStore for MemoryStore {
    async fn register_worker(&self, worker: WorkerId, ttl: Duration) -> Result<WorkerLease> {
        let mut state = self.state();
        let until = later(self.now(), ttl);
        free(state.workers.keys(), "register worker", "the worker was registered before", |known| *known == worker)?;
        state.workers.insert(worker, Lease { until, retired: false });
        Ok(WorkerLease { worker, until })
    }

    async fn renew_worker(&self, worker: WorkerId, ttl: Duration) -> Result<WorkerLease> {
        let mut state = self.state();
        let now = self.now();
        let until = later(now, ttl);
        let lease = state.workers.get_mut(&worker).filter(|lease| !lease.retired && now < lease.until);
        lease.ok_or_else(|| Error::not_found("lease"))?.until = until;
        Ok(WorkerLease { worker, until })
    }

    async fn retire_worker(&self, worker: WorkerId) -> Result<()> {
        let mut state = self.state();
        let lease = state.workers.get_mut(&worker).ok_or_else(|| Error::not_found("lease"))?;
        lease.retired = true;
        Ok(())
    }
}
