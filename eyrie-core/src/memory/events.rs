//! Reading what happened.

use async_trait::async_trait;
use tokio::sync::watch;

use super::{MemoryStore, state::State};
use crate::{
    error::Result,
    id::RunId,
    model::{EventCursor, RunEvent},
    store::{EventStore, FeedItem},
};

fn behind<T>(all: &[T], position: u64, limit: u32) -> impl Iterator<Item = &T> {
    let start = usize::try_from(position).unwrap_or(usize::MAX).min(all.len());
    all.iter().skip(start).take(limit as usize)
}

#[async_trait]
impl EventStore for MemoryStore {
    async fn run_events(&self, run: RunId, after: u64, limit: u32) -> Result<Vec<RunEvent>> {
        let state = self.state();
        let events = state.runs.get(&run).map_or(&[][..], |record| &record.events);
        Ok(behind(events, after, limit).map(|event| RunEvent::clone(event)).collect())
    }

    async fn feed(&self, after: EventCursor, limit: u32) -> Result<Vec<FeedItem>> {
        let State { feed, .. } = &*self.state();
        let places = (after.position() + 1..).map(EventCursor::from_position);
        let items = behind(feed, after.position(), limit).zip(places);
        Ok(items.map(|(event, cursor)| FeedItem { event: RunEvent::clone(event), cursor }).collect())
    }

    async fn feed_end(&self) -> Result<EventCursor> {
        Ok(EventCursor::from_position(self.state().feed.len() as u64))
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }
}
