//! A store in memory: for tests, for trying things out, and as the shortest reading of the storage port.
//!
//! Nothing survives the process. Every method locks once, checks everything and then changes, so that a refused call leaves what it
//! found.

mod access;
mod audit;
mod clusters;
mod datasources;
mod deployments;
mod events;
mod groups;
mod images;
mod logs;
mod monitors;
mod positions;
mod projects;
mod queue;
mod releases;
mod repositories;
mod retention;
mod runs;
mod schedules;
mod secrets;
mod services;
mod sign_ins;
mod state;
#[cfg(all(test, feature = "conformance"))]
mod tests;
mod tokens;
mod users;
mod workers;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use crate::clock::{Clock, SystemClock};
use state::State;

/// A [`Store`](crate::store::Store) in memory. Clones share what they keep.
#[derive(Clone)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    clock: Arc<dyn Clock>,
    /// No other process can write here: the value never changes.
    changes: watch::Sender<u64>,
}

impl MemoryStore {
    /// An empty store by the machine's clock.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }

    /// An empty store by this clock.
    #[must_use]
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self { shared: Arc::new(Shared { state: Mutex::default(), clock, changes: watch::Sender::new(0) }) }
    }

    /// The state, locked. A method that panicked half-way is a fault of the program; what it left is the best there is.
    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> crate::clock::Timestamp {
        self.shared.clock.now()
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("clock", &self.shared.clock).finish_non_exhaustive()
    }
}
