//! The server's time between two journeys to it.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use eyrie_core::{Timestamp, clock::from_micros};

/// How long the time that was heard is good for. Each transaction brings it along, heartbeats above all; in so short a time no
/// clock drifts by as much as the journey takes.
const GOOD_FOR: Duration = Duration::from_secs(10);

/// What the server's clock said last, and when that was by this machine's monotonic clock.
#[derive(Debug, Default)]
pub(super) struct ServerClock(Mutex<Option<(i64, Instant)>>);

impl ServerClock {
    /// The server just said that it is so late, in microseconds since 1970.
    pub(super) fn heard(&self, micros: i64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((micros, Instant::now()));
    }

    /// How late it is there, if it was heard of lately. Never ahead of the server: the answer was on its way for a while.
    pub(super) fn now(&self) -> Option<Timestamp> {
        let (micros, heard) = (*self.0.lock().unwrap_or_else(PoisonError::into_inner))?;
        let since = heard.elapsed();
        (since < GOOD_FOR).then(|| from_micros(micros.saturating_add(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))))
    }
}
