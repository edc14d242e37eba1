//! Time as a port: the system's clock, and one that tests set by hand.

use std::{
    fmt::Debug,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

pub use jiff::Timestamp;

/// Says what time it is. Stores with a clock of their own (a database server) do not ask it.
pub trait Clock: Debug + Send + Sync + 'static {
    /// The time now, to the microsecond.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        from_micros(Timestamp::now().as_microsecond())
    }
}

/// A clock that stands still until it is moved. Clones share the time.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// A clock that shows `start`.
    #[must_use]
    pub fn new(start: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(start.as_microsecond())))
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        from_micros(self.0.load(Ordering::SeqCst))
    }
}

/// The time `by` after `at`; at the end of representable time it stays there.
#[must_use]
pub fn later(at: Timestamp, by: Duration) -> Timestamp {
    let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
    from_micros(at.as_microsecond().saturating_add(micros))
}

/// How long it is from `now` until `at`; nothing when that time has come.
#[must_use]
pub fn until(now: Timestamp, at: Timestamp) -> Duration {
    Duration::from_micros(u64::try_from(at.as_microsecond().saturating_sub(now.as_microsecond())).unwrap_or(0))
}

/// The time `by` before `at`; at the beginning of representable time it stays there.
#[must_use]
pub fn earlier(at: Timestamp, by: Duration) -> Timestamp {
    let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
    from_micros(at.as_microsecond().saturating_sub(micros))
}

/// The time that is `micros` microseconds after 1970-01-01T00:00:00Z, cut to what can be represented.
#[must_use]
pub fn from_micros(micros: i64) -> Timestamp {
    let fallback = if micros < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_microsecond(micros).unwrap_or(fallback)
}
