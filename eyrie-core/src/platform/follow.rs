//! Following runs: streams that end when the follower may no longer see what they show.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    access::Permission,
    engine::{Feed, Subscription},
    error::{Error, ErrorKind, Result},
    id::RunId,
    model::{EventCursor, Principal, RunEvent, TokenBinding, TokenKind},
    platform::Acting,
    store::{FeedItem, RunReader},
};

/// How long a stream trusts the last look at its follower's rights.
const RECHECK: Duration = Duration::from_secs(2);

/// Of how many runs at most it is found out at once whether they may be seen.
const ASKED_AT_ONCE: usize = 500;

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
    /// Of which runs the follower may see what happens, as of the last look at its rights.
    readable: HashMap<RunId, bool>,
    sees: Sees,
    checked: Instant,
}

/// Which runs somebody may see at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sees {
    Everything,
    RunsOf(RunReader),
    Nothing,
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
                self.sees = self.acting.sees().await?;
                self.readable.clear();
                self.checked = Instant::now();
            }
            let item = tokio::select! {
                biased;
                item = self.feed.next() => item?,
                () = tokio::time::sleep_until(self.checked + RECHECK) => continue,
            };
            if self.may_see(item.event.run_id).await? {
                return Ok(item);
            }
        }
    }

    /// Whether the run may be seen. Where that is not known yet, the same is found out of all runs whose events come next.
    async fn may_see(&mut self, run: RunId) -> Result<bool> {
        let reader = match self.sees {
            Sees::Everything => return Ok(true),
            Sees::Nothing => return Ok(false),
            Sees::RunsOf(reader) => reader,
        };
        if let Some(readable) = self.readable.get(&run) {
            return Ok(*readable);
        }
        let ahead = self.feed.read_ahead().map(|item| item.event.run_id).filter(|run| !self.readable.contains_key(run));
        let mut unknown: HashSet<RunId> = ahead.take(ASKED_AT_ONCE - 1).collect();
        unknown.insert(run);
        let unknown = Vec::from_iter(unknown);
        let readable = self.acting.store().readable_runs(reader, &unknown).await?;
        self.readable.extend(unknown.into_iter().map(|run| (run, false)));
        self.readable.extend(readable.into_iter().map(|run| (run, true)));
        Ok(self.readable.get(&run) == Some(&true))
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
        let (feed, sees) = (self.eyrie.0.engine.feed(cursor), self.sees().await?);
        Ok(RunsStream { acting: self.clone(), feed, readable: HashMap::new(), sees, checked: Instant::now() })
    }

    /// Which runs the principal may see.
    async fn sees(&self) -> Result<Sees> {
        let (user, bound) = match self.principal.rights() {
            Principal::System { .. } | Principal::LocalOperator { .. } => return Ok(Sees::Everything),
            Principal::User { id, .. } => (Some(*id), RunReader::default()),
            Principal::Token { kind: TokenKind::Service, binding, created_by, .. } => match binding {
                TokenBinding::Project(id) => (*created_by, RunReader { project: Some(*id), ..RunReader::default() }),
                TokenBinding::Group(id) => (*created_by, RunReader { group: Some(*id), ..RunReader::default() }),
                TokenBinding::Deployment(id) => (*created_by, RunReader { deployment: Some(*id), ..RunReader::default() }),
                TokenBinding::Service(id) => (*created_by, RunReader { service: Some(*id), ..RunReader::default() }),
                _ => return Ok(Sees::Nothing),
            },
            _ => return Ok(Sees::Nothing),
        };
        let Some(id) = user else { return Ok(Sees::RunsOf(bound)) };
        Ok(match self.enabled_user(id).await? {
            None => Sees::Nothing,
            Some(user) if !user.operator => Sees::RunsOf(RunReader { user: Some(id), ..bound }),
            Some(_) if bound == RunReader::default() => Sees::Everything,
            Some(_) => Sees::RunsOf(bound),
        })
    }

    async fn still_may_read(&self, run: RunId) -> Result<()> {
        self.still_proved().await?;
        self.run_for(run, Permission::ProjectRead).await.map(drop)
    }

    pub(super) async fn still_proved(&self) -> Result<()> {
        if self.proof_still_valid().await? {
            Ok(())
        } else {
            Err(Error::new(ErrorKind::Unauthenticated, "follow", "the token is no longer valid"))
        }
    }
}
