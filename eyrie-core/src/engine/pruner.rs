//! Prunes what has ended, and what monitors found out long ago, as each deployment's policy says, and tokens of no use: in small
//! pieces, with pauses between them, so that whoever records a transition waits for one piece at most.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    engine::RunHost,
    error::Result,
    id::DeploymentId,
    model::{Deployment, RetentionPolicy},
    random,
    store::{DeploymentFilter, ForgetRule, PageRequest, Pruning, Store},
};

/// How many rows of a kind go in one transaction.
const PIECE: u32 = 500;
/// How many runs are forgotten in one transaction.
const RUNS: u32 = 50;
/// For how long a token is still shown that is of no use any more.
const TOKENS_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// The shortest pause between two pieces, and how many times as long as a piece it is: the writer belongs to others.
const PAUSE: Duration = Duration::from_millis(20);
const REST: u32 = 4;

/// What is done in pieces.
#[derive(Debug, Clone, Copy)]
enum Work {
    Trim(DeploymentId, Duration),
    Forget(DeploymentId, ForgetRule),
    MonitorLogs(DeploymentId, Duration),
    Sweep,
    Tokens,
}

pub(super) struct Pruner {
    pub(super) store: Arc<dyn Store>,
    pub(super) host: Option<Arc<dyn RunHost>>,
    /// How often it looks.
    pub(super) every: Duration,
    /// What ended less long ago is left alone, whatever the policy says: the recorder may still repeat the command that ended it,
    /// which it knows by its events.
    pub(super) margin: Duration,
    pub(super) draining: CancellationToken,
}

impl Pruner {
    /// Looks again and again until it is told to stop. Processes that start together do not look together.
    pub(super) async fn work(self) {
        let mut pause = self.every.mul_f64(random::fraction());
        while self.rest(pause).await {
            let begun = Instant::now();
            let mut done = Pruning::default();
            if let Err(error) = self.look_at_all(&mut done).await {
                tracing::warn!(error = %crate::error::report(&error), "pruning stopped; it goes on later");
            }
            let Pruning { runs, events, chunks, steps, plans, monitor_logs, tokens, .. } = done;
            if runs + events + chunks + steps + plans + monitor_logs + tokens > 0 {
                tracing::info!(runs, events, chunks, steps, plans, monitor_logs, tokens, took = ?begun.elapsed(), "pruned");
            }
            pause = self.every;
        }
    }

    /// Waits; false: it is to stop.
    async fn rest(&self, pause: Duration) -> bool {
        tokio::select! {
            biased;
            () = self.draining.cancelled() => false,
            () = tokio::time::sleep(pause) => true,
        }
    }

    async fn look_at_all(&self, done: &mut Pruning) -> Result<()> {
        let first = PageRequest::first(PageRequest::MAX)?;
        let mut page = first;
        loop {
            let deployments = self.store.deployments(DeploymentFilter::default(), page).await?;
            for deployment in &deployments.items {
                // One that cannot be pruned keeps no other from it.
                if let Err(error) = self.look_at(deployment, done).await {
                    tracing::warn!(deployment = %deployment.id, error = %crate::error::report(&error), "the deployment could not be pruned");
                }
            }
            match deployments.next {
                Some(next) => page = first.after(Some(next)),
                None => break,
            }
        }
        self.piece_by_piece(Work::Sweep, done).await?;
        self.piece_by_piece(Work::Tokens, done).await
    }

    async fn look_at(&self, deployment: &Deployment, done: &mut Pruning) -> Result<()> {
        let policy = match &self.host {
            Some(host) => host.retention(deployment).await?,
            None => RetentionPolicy::default(),
        };
        if let Some(age) = policy.history {
            self.piece_by_piece(Work::Trim(deployment.id, age.max(self.margin)), done).await?;
        }
        if let Some(age) = policy.runs {
            let rule = ForgetRule { age: age.max(self.margin), newest: policy.newest };
            self.piece_by_piece(Work::Forget(deployment.id, rule), done).await?;
        }
        self.piece_by_piece(Work::MonitorLogs(deployment.id, policy.monitor_logs), done).await
    }

    /// Goes on until there is nothing more to do.
    async fn piece_by_piece(&self, work: Work, done: &mut Pruning) -> Result<()> {
        loop {
            let begun = Instant::now();
            let pruned = match work {
                Work::Trim(deployment, age) => self.store.trim_runs(deployment, age, PIECE).await?,
                Work::Forget(deployment, rule) => self.store.forget_runs(deployment, rule, RUNS).await?,
                Work::MonitorLogs(deployment, age) => self.store.prune_monitor_logs(deployment, age, PIECE).await?,
                Work::Sweep => self.store.sweep(PIECE).await?,
                Work::Tokens => self.store.prune_tokens(TOKENS_KEPT, PIECE).await?,
            };
            *done += pruned;
            if !pruned.more || !self.rest((begun.elapsed() * REST).max(PAUSE)).await {
                return Ok(());
            }
        }
    }
}
