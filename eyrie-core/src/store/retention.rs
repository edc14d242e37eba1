//! Pruning: what is no longer needed of runs that have ended, of monitors, and of tokens goes in pieces that hold nobody up.

use std::time::Duration;

use async_trait::async_trait;

use crate::{error::Result, id::DeploymentId};

/// What one piece of pruning did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruning {
    /// Runs that were trimmed or forgotten.
    pub runs: u64,
    /// Events that are gone.
    pub events: u64,
    /// Chunks of logs that are gone.
    pub chunks: u64,
    /// Steps that are gone.
    pub steps: u64,
    /// Plans that are gone.
    pub plans: u64,
    /// Results of monitors that are gone.
    pub monitor_logs: u64,
    /// Tokens that are gone.
    pub tokens: u64,
    /// Whether there may be more to do at once.
    pub more: bool,
}

impl std::ops::AddAssign for Pruning {
    fn add_assign(&mut self, other: Self) {
        self.runs += other.runs;
        self.events += other.events;
        self.chunks += other.chunks;
        self.steps += other.steps;
        self.plans += other.plans;
        self.monitor_logs += other.monitor_logs;
        self.tokens += other.tokens;
        self.more = other.more;
    }
}

/// Which runs to forget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForgetRule {
    /// Those that ended at least so long ago, by the store's clock,
    pub age: Duration,
    /// and are not among so many of the deployment's newest.
    pub newest: u32,
}

/// Deletes what is no longer needed of runs that have ended. Each call is one small transaction, and can be repeated by whoever
/// likes, also at the same time: what another call has in hand is passed over. A run that has not ended is never touched; one that
/// is resumed at the same moment is either left as it was, or gone before.
#[async_trait]
pub trait RetentionStore {
    /// Trims runs of the deployment that ended at least `age` ago, those that ended first before others: their log goes, and all
    /// of their events but the last one, which says how the run ended. At most `limit` events, and about a tenth as many chunks
    /// of logs. A run that is resumed goes on with the number behind its last event, and with the offset behind its log.
    async fn trim_runs(&self, deployment: DeploymentId, age: Duration, limit: u32) -> Result<Pruning>;
    /// Forgets at most `limit` runs of the deployment that the rule names, with their request keys. Never the newest successful one
    /// of each kind, nor one that a deployed service is of or was last changed by. Releases stay. What is left of the runs goes
    /// with [`sweep`](Self::sweep).
    async fn forget_runs(&self, deployment: DeploymentId, rule: ForgetRule, limit: u32) -> Result<Pruning>;
    /// Deletes what forgotten runs have left: at most `limit` of their steps, as many events, about a tenth as many chunks of
    /// logs, and plans that no run and no release refers to. The same of what monitors have left: at most `limit` of their results.
    async fn sweep(&self, limit: u32) -> Result<Pruning>;
    /// Deletes at most `limit` results of the deployment's monitors that came at least `age` ago. Their state stays.
    async fn prune_monitor_logs(&self, deployment: DeploymentId, age: Duration, limit: u32) -> Result<Pruning>;
    /// Deletes at most `limit` tokens that were revoked or expired at least `age` ago, by the store's clock.
    async fn prune_tokens(&self, age: Duration, limit: u32) -> Result<Pruning>;
}
