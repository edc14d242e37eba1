//! Hands durable events to the subscribers of this process, and says when something may have been queued.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Notify, broadcast, watch};

use crate::{id::RunId, model::RunEvent};

/// How many events a subscriber may be behind before it reads the store again.
const BACKLOG: usize = 256;

type Topics = HashMap<RunId, broadcast::Sender<Arc<RunEvent>>>;

/// The hub. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Hub(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    topics: Mutex<Topics>,
    published: watch::Sender<u64>,
    work: Notify,
}

impl Hub {
    pub(super) fn new() -> Self {
        Self(Arc::new(Shared { topics: Mutex::default(), published: watch::Sender::new(0), work: Notify::new() }))
    }

    fn topics(&self) -> MutexGuard<'_, Topics> {
        self.0.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands out events that are durable.
    pub(super) fn publish(&self, events: &[Arc<RunEvent>]) {
        if events.is_empty() {
            return;
        }
        let mut topics = self.topics();
        for event in events {
            if let Some(topic) = topics.get(&event.run_id)
                && (topic.send(Arc::clone(event)).is_err() || event.is_final())
            {
                topics.remove(&event.run_id);
            }
        }
        drop(topics);
        self.0.published.send_modify(|count| *count += 1);
    }

    /// Live events of one run, from now on.
    pub(super) fn follow(&self, run: RunId) -> broadcast::Receiver<Arc<RunEvent>> {
        self.topics().entry(run).or_insert_with(|| broadcast::Sender::new(BACKLOG)).subscribe()
    }

    /// Changes whenever anything was published.
    pub(super) fn published(&self) -> watch::Receiver<u64> {
        self.0.published.subscribe()
    }

    /// Says that something was queued.
    pub(super) fn queued(&self) {
        self.0.work.notify_one();
    }

    /// Resolves when something was queued since the last time.
    pub(super) async fn work(&self) {
        self.0.work.notified().await;
    }
}
