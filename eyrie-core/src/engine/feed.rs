//! Following events: one run's, each exactly once, or all runs', never missing one.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::sync::{broadcast, watch};

use crate::{
    engine::hub::Hub,
    error::{Pruned, Result},
    id::RunId,
    model::{EventCursor, RunEvent},
    store::{FeedItem, Store},
};

/// How often a follower looks for itself, in case nobody woke it.
const GUARD: Duration = Duration::from_secs(1);
/// How many events are read from the store at a time.
const READ: u32 = 500;

/// The events of one run in order, without gaps and without repeats: what the store has, then live.
#[derive(Debug)]
pub struct Subscription {
    store: Arc<dyn Store>,
    run: RunId,
    seen: u64,
    read: VecDeque<RunEvent>,
    live: Option<broadcast::Receiver<Arc<RunEvent>>>,
    changes: watch::Receiver<u64>,
    behind: bool,
    /// The latest event was one that ends the run.
    ended: bool,
}

impl Subscription {
    pub(super) fn new(store: Arc<dyn Store>, hub: &Hub, run: RunId, after: u64) -> Self {
        let changes = store.changes();
        let live = Some(hub.follow(run));
        Self { store, run, seen: after, read: VecDeque::new(), live, changes, behind: true, ended: false }
    }

    /// The next event; none when the run has ended and nothing stands behind its end. A run that was resumed after its end goes on
    /// behind it: whoever follows it from before sees both, and whoever saw it end follows it anew. Cancel-safe.
    ///
    /// # Errors
    /// [`Pruned`] when events that come next are no longer kept: said once, and the subscription goes on with the first that is.
    /// When the store cannot be read; the subscription goes on where it was.
    pub async fn next(&mut self) -> Result<Option<Arc<RunEvent>>> {
        loop {
            if let Some(event) = self.read.pop_front() {
                return Ok(Some(self.deliver(Arc::new(event))));
            }
            if self.behind {
                let read = self.store.run_events(self.run, self.seen, READ).await;
                self.read = read.inspect_err(|error| self.seen = error.pruned().map_or(self.seen, |pruned| pruned.first - 1))?.into();
                self.behind = self.read.len() >= READ as usize;
                if !self.read.is_empty() {
                    continue;
                }
            }
            if self.ended {
                return Ok(None);
            }
            if let Some(event) = self.wait().await {
                return Ok(Some(self.deliver(event)));
            }
        }
    }

    fn deliver(&mut self, event: Arc<RunEvent>) -> Arc<RunEvent> {
        self.seen = event.seq;
        self.ended = event.is_final();
        event
    }

    /// Waits for the next event in line; none when the store should be read.
    async fn wait(&mut self) -> Option<Arc<RunEvent>> {
        loop {
            let live = async {
                match &mut self.live {
                    Some(live) => live.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                heard = live => match heard {
                    Ok(event) if event.seq <= self.seen => {}
                    Ok(event) if event.seq == self.seen + 1 => return Some(event),
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {
                        self.behind = true;
                        return None;
                    }
                    Err(broadcast::error::RecvError::Closed) => {
                        self.live = None;
                        self.behind = true;
                        return None;
                    }
                },
                Ok(()) = self.changes.changed() => {
                    self.behind = true;
                    return None;
                }
                () = tokio::time::sleep(GUARD) => {
                    self.behind = true;
                    return None;
                }
            }
        }
    }
}

/// The events of all runs behind a cursor. Never misses one; may repeat one after a reconnect (tell them apart by run and seq).
#[derive(Debug)]
pub struct Feed {
    store: Arc<dyn Store>,
    cursor: EventCursor,
    /// Up to where it has said that events were pruned.
    told: EventCursor,
    read: VecDeque<FeedItem>,
    published: watch::Receiver<u64>,
    changes: watch::Receiver<u64>,
}

impl Feed {
    pub(super) fn new(store: Arc<dyn Store>, hub: &Hub, cursor: EventCursor) -> Self {
        let changes = store.changes();
        Self { store, cursor, told: EventCursor::default(), read: VecDeque::new(), published: hub.published(), changes }
    }

    /// The events that were read and come next, without waiting for any.
    pub fn read_ahead(&self) -> impl Iterator<Item = &FeedItem> {
        self.read.iter()
    }

    /// The next event. Cancel-safe.
    ///
    /// # Errors
    /// [`Pruned`] when events behind the cursor are no longer kept: said once for what was pruned until then, and the feed goes on
    /// with all that is still there. When the store cannot be read; the feed goes on where it was.
    pub async fn next(&mut self) -> Result<FeedItem> {
        loop {
            if let Some(item) = self.read.pop_front() {
                self.cursor = item.cursor;
                return Ok(item);
            }
            self.published.mark_unchanged();
            self.changes.mark_unchanged();
            let page = self.store.feed(self.cursor, READ).await?;
            self.read = page.items.into();
            if self.cursor.max(self.told) < page.floor {
                self.told = page.floor;
                let first = self.read.front().map_or(page.floor, |item| item.cursor);
                return Err(Pruned { first: first.position() }.into());
            }
            if self.read.is_empty() {
                tokio::select! {
                    biased;
                    Ok(()) = self.published.changed() => {}
                    Ok(()) = self.changes.changed() => {}
                    () = tokio::time::sleep(GUARD) => {}
                }
            }
        }
    }
}
