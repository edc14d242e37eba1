//! The worker's lease: renewed by a heartbeat, and given up by the worker itself, on the monotonic clock, before it ends.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{error::Result, id::WorkerId, store::Store};

/// A registered worker, whose lease is being renewed until the token `ended` is cancelled or the lease is lost.
#[derive(Debug)]
pub(super) struct Lease {
    pub worker: WorkerId,
    /// Cancelled when the lease is lost, before another worker may take over.
    pub lost: CancellationToken,
    pub validity: Validity,
    heart: AbortOnDropHandle<()>,
}

/// Until when a lease may be acted on, by the monotonic clock. A process that stood still finds out before its heartbeat does. Clones
/// share it.
#[derive(Debug, Clone)]
pub(super) struct Validity(Arc<Mutex<Instant>>);

impl Validity {
    fn new(asked: Instant, ttl: Duration) -> Self {
        Self(Arc::new(Mutex::new(good_until(asked, ttl))))
    }

    fn renew(&self, asked: Instant, ttl: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = good_until(asked, ttl);
    }

    fn end(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing may be begun under the lease any more.
    pub(super) fn is_over(&self) -> bool {
        Instant::now() >= self.end()
    }
}

impl Lease {
    /// Registers a new worker. The lease counts from before the store was asked.
    pub(super) async fn acquire(store: Arc<dyn Store>, ttl: Duration) -> Result<Self> {
        let worker = WorkerId::new();
        let asked = Instant::now();
        store.register_worker(worker, ttl).await?;
        let lost = CancellationToken::new();
        let validity = Validity::new(asked, ttl);
        let heart = AbortOnDropHandle::new(tokio::spawn(beat(store, worker, ttl, validity.clone(), lost.clone())));
        Ok(Self { worker, lost, validity, heart })
    }

    /// Stops the heartbeat and gives the lease up.
    pub(super) async fn release(self, store: &dyn Store) {
        self.heart.abort();
        if let Err(error) = store.retire_worker(self.worker).await {
            tracing::warn!(worker = %self.worker, error = %crate::error::report(&error), "the lease could not be given up; it runs out by itself");
        }
    }
}

/// A tenth of the lease is kept back, so that this worker has stopped before another may begin.
fn good_until(asked: Instant, ttl: Duration) -> Instant {
    asked + ttl - ttl / 10
}

async fn beat(store: Arc<dyn Store>, worker: WorkerId, ttl: Duration, validity: Validity, lost: CancellationToken) {
    let mut pause = ttl / 3;
    loop {
        let fence = validity.end();
        tokio::time::sleep_until((Instant::now() + pause).min(fence)).await;
        let asked = Instant::now();
        let renewed = tokio::time::timeout_at(fence, store.renew_worker(worker, ttl)).await;
        match renewed {
            Ok(Ok(_)) => {
                validity.renew(asked, ttl);
                pause = ttl / 3;
            }
            Ok(Err(error)) if error.is_not_found() => break,
            Ok(Err(error)) if Instant::now() < fence => {
                tracing::warn!(%worker, error = %crate::error::report(&error), "the lease could not be renewed; trying again");
                pause = ttl / 20;
            }
            Ok(Err(_)) | Err(_) => break,
        }
    }
    tracing::error!(%worker, "the lease is lost; all bodies are stopped");
    lost.cancel();
}
