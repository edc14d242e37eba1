//! Following runs: streams that end when the follower may no longer see what they show.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    access::Permission,
    engine::{Feed, Subscription},
    error::{Error, ErrorKind, Result},
    id::{ProjectId, RunId},
    model::{EventCursor, RunEvent},
    platform::{Acting, Resource},
    store::FeedItem,
};

/// How long a stream trusts the last look at its follower's rights.
const RECHECK: Duration = Duration::from_secs(2);

/// The events of one run, each exactly once and in order.
#[derive(Debug)]
pub struct RunStream {
    acting: Acting,
    run: RunId,
    subscription: Subscription,
    checked: Instant,
}

impl RunStream {
    /// The next event; none when the run has ended and nothing stands behind its end. A run that is resumed later is followed anew.
    ///
    /// # Errors
    /// `Pruned` when events that come next are no longer kept: said once, and the stream goes on with the first that is. `NotFound` or
    /// `Unauthenticated` once the follower may no longer see the run, or it is no longer kept: the stream is over then.
    pub async fn next(&mut self) -> Result<Option<Arc<RunEvent>>> {
        loop {
            if self.checked.elapsed() >= RECHECK {
                self.acting.still_may_read(self.run).await?;
                self.checked = Instant::now();
            }
            tokio::select! {
                biased;
                event = self.subscription.next() => return event,
                () = tokio::time::sleep_until(self.checked + RECHECK) => {}
            }
        }
    }
}

/// The events of all runs that the follower may see. Never misses one without saying so; may repeat one after a reconnect.
#[derive(Debug)]
pub struct RunsStream {
    acting: Acting,
    feed: Feed,
    readable: HashMap<ProjectId, bool>,
    checked: Instant,
}

impl RunsStream {
    /// The next event that the follower may see.
    ///
    /// # Errors
    /// `Pruned` when events are no longer kept, perhaps of runs that the follower could not see: said once for what was pruned until
    /// then, and the stream goes on with all that is still there. `Unauthenticated` once the follower's token is no longer valid: the stream is over then.
    pub async fn next(&mut self) -> Result<FeedItem> {
        loop {
            if self.checked.elapsed() >= RECHECK {
                self.acting.still_proved().await?;
                self.readable.clear();
                self.checked = Instant::now();
            }
            let item = tokio::select! {
                biased;
                item = self.feed.next() => item?,
                () = tokio::time::sleep_until(self.checked + RECHECK) => continue,
            };
            let project = item.event.project_id;
            let readable = match self.readable.get(&project) {
                Some(readable) => *readable,
                None => {
                    let standing = self.acting.standing(&Resource::project(project)).await?;
                    let readable = Permission::ProjectRead.allows(standing);
                    self.readable.insert(project, readable);
                    readable
                }
            };
            if readable {
                return Ok(item);
            }
        }
    }
}

impl Acting {
    /// Follows a run from behind event `after` (0: from its beginning).
    ///
    /// # Errors
    /// `NotFound`, also for what the principal may not read.
    pub async fn follow_run(&self, id: RunId, after: u64) -> Result<RunStream> {
        self.run_for(id, Permission::ProjectRead).await?;
        let subscription = self.eyrie.0.engine.subscribe(id, after);
        Ok(RunStream { acting: self.clone(), run: id, subscription, checked: Instant::now() })
    }

    /// Follows all runs that the principal may see, from behind the cursor; none: from now on.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn follow_runs(&self, after: Option<EventCursor>) -> Result<RunsStream> {
        let cursor = match after {
            Some(cursor) => cursor,
            None => self.store().feed_end().await?,
        };
        Ok(RunsStream { acting: self.clone(), feed: self.eyrie.0.engine.feed(cursor), readable: HashMap::new(), checked: Instant::now() })
    }

    async fn still_may_read(&self, run: RunId) -> Result<()> {
        self.still_proved().await?;
        self.run_for(run, Permission::ProjectRead).await.map(drop)
    }

    async fn still_proved(&self) -> Result<()> {
        if self.proof_still_valid().await? {
            Ok(())
        } else {
            Err(Error::new(ErrorKind::Unauthenticated, "follow", "the token is no longer valid"))
        }
    }
}
