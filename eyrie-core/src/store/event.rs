//! Reading what happened, and hearing that something did.

use async_trait::async_trait;
use tokio::sync::watch;

use crate::{
    error::Result,
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

/// Reads events. They are written by [`RunStore`](crate::store::RunStore) together with the transitions they tell of.
#[async_trait]
pub trait EventStore {
    /// The run's events with `seq > after`, in order without gaps, at most `limit`.
    async fn run_events(&self, run: RunId, after: u64, limit: u32) -> Result<Vec<RunEvent>>;
    /// Events of all runs behind the cursor, at most `limit`. Never misses an event; may repeat one (tell them apart by run and seq).
    async fn feed(&self, after: EventCursor, limit: u32) -> Result<Vec<FeedItem>>;
    /// The cursor behind the newest event.
    async fn feed_end(&self) -> Result<EventCursor>;
    /// Changes its value some time after another process may have written to the store. A store that no other process can write
    /// to never changes it. Hearing of it is a hint: pollers remain the guard.
    fn changes(&self) -> watch::Receiver<u64>;
}
