//! The worker: claims runs, drives them, and starts again under a new identity when its lease was lost.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::{sync::Notify, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    engine::{
        WorkerOptions,
        driver::{RunSignals, Shared, drive},
        firing::Firing,
        hub::Hub,
        lease::Lease,
    },
    error::ErrorKind,
    id::RunId,
    model::RunState,
};

/// The most runs of one claim.
const CLAIM: u32 = 64;
/// While runs are held, the worker looks for more at most this often: a claim is a transaction, and takes all that is there.
const BREATH: Duration = Duration::from_millis(3);

/// The runs that are held, and how to tell their drivers of a cancel.
type Held = HashMap<RunId, (CancellationToken, Arc<Notify>)>;

/// What a look says about the next one.
#[derive(Default)]
struct Looked {
    /// Whether there may be more at once.
    again: bool,
    /// How long until the next run's time comes.
    next_due: Option<Duration>,
    /// How long until the next schedule fires.
    next_fire: Option<Duration>,
}

pub(super) struct Worker {
    pub(super) shared: Arc<Shared>,
    pub(super) hub: Hub,
    pub(super) options: WorkerOptions,
    /// Takes no new runs or steps.
    pub(super) draining: CancellationToken,
    /// The grace for bodies is over.
    pub(super) stop: CancellationToken,
}

impl Worker {
    /// Works until it is told to drain and everything it held has ended or was handed back.
    pub(super) async fn work(self) {
        while !self.draining.is_cancelled() {
            let lease = match Lease::acquire(Arc::clone(&self.shared.store), self.options.lease).await {
                Ok(lease) => lease,
                Err(error) => {
                    tracing::error!(error = %crate::error::report(&error), "no lease; trying again");
                    tokio::select! {
                        biased;
                        () = self.draining.cancelled() => return,
                        () = tokio::time::sleep(self.options.poll) => continue,
                    }
                }
            };
            tracing::info!(worker = %lease.worker, "worker ready");
            self.work_under(&lease).await;
            lease.release(&*self.shared.store).await;
        }
    }

    async fn work_under(&self, lease: &Lease) {
        let mut changes = self.shared.store.changes();
        let mut runs: JoinSet<RunId> = JoinSet::new();
        let mut held: Held = HashMap::new();
        let mut firing = Firing::new(self.options.poll);
        let mut look = true;
        let mut due = self.options.poll;
        let mut next_look = Instant::now();
        loop {
            let breathed = held.is_empty() || Instant::now() >= next_look;
            if look && breathed && !self.draining.is_cancelled() {
                let looked = self.look(lease, &mut runs, &mut held).await;
                look = looked.again;
                let next_fire = firing.fire(&self.shared, looked.next_fire);
                due = looked.next_due.into_iter().chain(next_fire).min().unwrap_or(self.options.poll).clamp(BREATH, self.options.poll);
                next_look = Instant::now() + BREATH;
            }
            if self.draining.is_cancelled() && held.is_empty() {
                return;
            }
            tokio::select! {
                biased;
                () = lease.lost.cancelled() => break,
                () = self.draining.cancelled(), if !self.draining.is_cancelled() => {}
                Some(left) = runs.join_next() => {
                    if let Ok(run) = left {
                        held.remove(&run);
                    }
                    look = true;
                }
                fired = firing.ended() => look |= fired,
                () = self.hub.work() => look = true,
                Ok(()) = changes.changed() => look = true,
                () = tokio::time::sleep_until(if look { next_look } else { next_look + due }), if !self.draining.is_cancelled() => look = true,
            }
        }
        // The lease is lost: drivers stop their bodies and write nothing more. A body that never yields cannot be waited for.
        let all_gone = async { while runs.join_next().await.is_some() {} };
        drop(tokio::time::timeout(self.options.cancel_grace, all_gone).await);
    }

    /// Cancels what is to be cancelled and claims what there is room for.
    async fn look(&self, lease: &Lease, runs: &mut JoinSet<RunId>, held: &mut Held) -> Looked {
        let poll = match self.shared.store.poll(lease.worker).await {
            Ok(poll) => poll,
            Err(error) => {
                tracing::warn!(error = %crate::error::report(&error), "looking for work failed");
                return Looked::default();
            }
        };
        for run in &poll.cancelling {
            if let Some((cancel, cancelling)) = held.get(run) {
                cancel.cancel();
                cancelling.notify_one();
            }
        }
        let room = u32::try_from(self.options.max_runs.saturating_sub(held.len())).unwrap_or(CLAIM).min(CLAIM);
        let looked = Looked { again: false, next_due: None, next_fire: poll.next_fire };
        if room == 0 {
            return looked;
        }
        if !poll.claimable {
            return Looked { next_due: poll.next_due, ..looked };
        }
        let asked = Instant::now();
        let claims = match self.shared.store.claim(lease.worker, room).await {
            Ok(claims) => claims,
            Err(error) => {
                tracing::warn!(error = %crate::error::report(&error), "claiming failed");
                if error.kind() == ErrorKind::OutcomeUnknown {
                    // Runs that it may hold without knowing of them would wait for it as long as its lease is renewed.
                    lease.lost.cancel();
                }
                return looked;
            }
        };
        tracing::debug!(claimed = claims.len(), took = ?asked.elapsed(), "claimed");
        let full = claims.len() == room as usize;
        for claim in claims {
            let events: Vec<_> = claim.events.iter().cloned().map(Arc::new).collect();
            self.hub.publish(&events);
            let id = claim.run.id;
            let cancel = CancellationToken::new();
            if claim.run.state == RunState::Cancelling {
                cancel.cancel();
            }
            let cancelling = Arc::new(Notify::new());
            let signals = RunSignals {
                cancel: cancel.clone(),
                cancelling: Arc::clone(&cancelling),
                draining: self.draining.clone(),
                stop: self.stop.clone(),
                lost: lease.lost.child_token(),
                give_up: lease.lost.clone(),
                validity: lease.validity.clone(),
            };
            held.insert(id, (cancel, cancelling));
            let shared = Arc::clone(&self.shared);
            runs.spawn(async move {
                drive(shared, claim, signals).await;
                id
            });
        }
        // What was due is in its queue now, and what is due next is not known.
        let again = full || poll.next_due.is_some_and(|time_left| time_left.is_zero());
        Looked { again, next_due: poll.next_due, ..looked }
    }
}
