//! The queue as people read it, and the limits that no settings hold.

use async_trait::async_trait;

use crate::{
    error::Result,
    id::{ClusterId, DeploymentId, ProjectId, RunId, UserId},
    model::{AuditEntry, Limited, Run, RunState, Wait},
    store::{Load, Page, PageRequest},
};

/// Which queue to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueOf {
    /// That of a deployment: the run that has the turn, then the others in the order in which they get it.
    Deployment(DeploymentId),
    /// Those of all deployments of a project, in the order in which the runs were queued.
    Project(ProjectId),
}

/// A run that has not ended, and where it stands in the queue of its deployment.
#[derive(Debug, Clone, PartialEq)]
pub struct InQueue {
    /// The run.
    pub run: Run,
    /// 1: it has the turn. None: its time has not come, and until then it stands outside the queue.
    pub position: Option<u32>,
    /// The run before it.
    pub behind: Option<RunId>,
    /// Why it waits; none: it is under way.
    pub wait: Option<Wait>,
}

/// Reads the queue.
#[async_trait]
pub trait QueueStore {
    /// Where the run stands; none: it has ended.
    async fn in_queue(&self, run: RunId) -> Result<Option<InQueue>>;
    /// The runs that have not ended and that the reader may see. A page goes on behind a run that may have ended since; one that is no run is `NotFound`.
    async fn queue(&self, of: QueueOf, reader: Option<UserId>, page: PageRequest) -> Result<Page<InQueue>>;
    /// Says how many runs may be under way at the same time on a cluster; none: any number. Limits of projects and groups follow
    /// their settings. The next claim obeys it; what is under way already stays so.
    async fn limit_cluster(&self, cluster: ClusterId, most: Option<u32>, audit: &AuditEntry) -> Result<()>;
    /// What was said of that; none: any number.
    async fn cluster_limit(&self, cluster: ClusterId) -> Result<Option<u32>>;
}

/// Whether the run has its deployment's turn: it is under way, or nothing of its deployment stands before it.
#[must_use]
pub fn has_turn(run: &Run) -> bool {
    run.state != RunState::Queued || run.ready
}

/// Why a run waits. The limit that holds it back, and whether there is a worker, matter only for one that could begin.
#[must_use]
pub fn wait_of(run: &Run, limit: Option<(Limited, Load)>, has_worker: bool) -> Option<Wait> {
    match run.state {
        RunState::Queued if run.deferred => Some(Wait::NotDue { at: run.queued_at }),
        RunState::Queued if !run.ready => Some(Wait::Turn),
        RunState::Queued => Some(match limit {
            Some((of, load)) => Wait::Limit { of, most: load.most.unwrap_or_default(), under_way: load.under_way },
            None if has_worker => Wait::Worker,
            None => Wait::NoWorker,
        }),
        RunState::Waiting => Some(Wait::Approval),
        RunState::Parked => Some(Wait::Parked),
        _ => None,
    }
}
