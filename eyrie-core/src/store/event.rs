//! Reading what happened, and hearing that something did.

use async_trait::async_trait;
use tokio::sync::watch;

use crate::{
    error::{Pruned, Result},
    id::RunId,
    model::{EventCursor, RunEvent},
};

/// An event in the feed across runs, with the cursor behind it.
#[derive(Debug, Clone, PartialEq)]
pub struct FeedItem {
    /// The event.
    pub event: RunEvent,
    /// Continue from here.
    pub cursor: EventCursor,
}

/// A part of the feed across runs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FeedPage {
    /// The events.
    pub items: Vec<FeedItem>,
    /// The place of the last event that was pruned: whoever reads from before it may have missed something for good. What is still
    /// there of other runs may stand before it all the same.
    pub floor: EventCursor,
}

/// The run's events as they were read from behind `after`, unless those that should come first were pruned. The last event of a run
/// stays as long as the run, so that what was pruned is told apart from what is not there yet by the events alone. Shared by
/// every store.
///
/// # Errors
/// [`Pruned`] with the first event that is still there.
pub fn unbroken(after: u64, events: Vec<RunEvent>) -> Result<Vec<RunEvent>> {
    match events.first() {
        Some(first) if first.seq > after + 1 => Err(Pruned { first: first.seq }.into()),
        _ => Ok(events),
    }
}

/// Reads events. They are written by [`RunStore`](crate::store::RunStore) together with the transitions they tell of.
#[async_trait]
pub trait EventStore {
    /// The run's events with `seq > after`, in order without gaps, at most `limit`. [`Pruned`] when some of them are no longer kept:
    /// what is still there follows from behind `first - 1`.
    async fn run_events(&self, run: RunId, after: u64, limit: u32) -> Result<Vec<RunEvent>>;
    /// Events of all runs behind the cursor, at most `limit`. Never misses an event without saying so by its floor; may repeat one
    /// (tell them apart by run and seq).
    async fn feed(&self, after: EventCursor, limit: u32) -> Result<FeedPage>;
    /// The cursor behind the newest event.
    async fn feed_end(&self) -> Result<EventCursor>;
    /// Changes its value some time after another process may have written to the store. A store that no other process can write
    /// to never changes it. Hearing of it is a hint: pollers remain the guard.
    fn changes(&self) -> watch::Receiver<u64>;
}
