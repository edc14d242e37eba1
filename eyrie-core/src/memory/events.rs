//! Reading what happened.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;

use super::MemoryStore;
use crate::{
    error::Result,
    id::RunId,
    model::{EventCursor, RunEvent},
    store::{EventStore, FeedItem, FeedPage, unbroken},
};

#[async_trait]
impl EventStore for MemoryStore {
    async fn run_events(&self, run: RunId, after: u64, limit: u32) -> Result<Vec<RunEvent>> {
        let state = self.state();
        let Some(record) = state.runs.get(&run) else { return Ok(Vec::new()) };
        let read = record.events.partition_point(|(_, event)| event.seq <= after);
        let behind = record.events.iter().skip(read).take(limit as usize);
        unbroken(after, behind.map(|(_, event)| RunEvent::clone(event)).collect())
    }

    async fn feed(&self, after: EventCursor, limit: u32) -> Result<FeedPage> {
        let state = self.state();
        let behind = state.feed.range(after.position() + 1..).take(limit as usize);
        let item =
            |(place, event): (&u64, &Arc<RunEvent>)| FeedItem { event: RunEvent::clone(event), cursor: EventCursor::from_position(*place) };
        Ok(FeedPage { items: behind.map(item).collect(), floor: EventCursor::from_position(state.feed_floor) })
    }

    async fn feed_end(&self) -> Result<EventCursor> {
        Ok(EventCursor::from_position(self.state().feed_end))
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }
}
