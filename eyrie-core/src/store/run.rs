//! Runs: queued, claimed, and advanced by commands.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::{
    error::Result,
    id::{DeploymentId, ProjectId, RunId, ServiceId, UserId, WorkerId},
    model::{AuditEntry, Plan, PlanHash, QueuePolicy, Run, RunEvent, Step},
    secret::SecretRef,
    store::{Capabilities, Command, Page, PageRequest, RecordError, Recorded},
};

/// A run to be queued.
#[derive(Debug, Clone)]
pub struct Enqueue {
    /// The run, in state `queued`.
    pub run: Run,
    /// Its plan as JSON, kept once per hash.
    pub plan_json: String,
    /// The plan's steps, pending.
    pub steps: Vec<Step>,
    /// The asker's key against doing it twice, already scoped to the asker.
    pub request_key: Option<RequestKey>,
    /// The queue policy of a deployment for which no level of the settings says one.
    pub default_policy: QueuePolicy,
    /// The values of secrets that the plan names. `Conflict` when one is gone; they are kept as long as the plan is.
    pub secrets: Vec<SecretRef>,
    /// Runs whose place it takes, whatever the policy says: those of them that wait in its deployment's queue and have never begun.
    pub supersedes: Vec<RunId>,
    /// Who asked.
    pub audit: AuditEntry,
}

/// A key against doing a request twice, with a digest of what the request said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestKey {
    /// The key, scoped to the principal.
    pub key: String,
    /// SHA-256 of the request's content: the same key with other content is refused.
    pub content: [u8; 32],
}

/// What became of an [`Enqueue`].
#[derive(Debug, Clone)]
pub struct Enqueued {
    /// The run: the new one, or the one that the same key made before.
    pub run: Run,
    /// Whether it was queued by this call.
    pub is_new: bool,
    /// What was written to the runs whose place it took.
    pub superseded: Vec<Arc<RunEvent>>,
}

/// A run that now belongs to a worker.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The run, with the new epoch.
    pub run: Run,
    /// All its planned steps, and reported ones that are unfinished. On a first claim the run's first steps are running already;
    /// on any other, running steps are what the earlier holder left.
    pub steps: Vec<Step>,
    /// What the claim wrote.
    pub events: Vec<RunEvent>,
    /// Whether the run was taken over from a worker that had begun it.
    pub taken_over: bool,
}

/// What a worker should know between two claims. Reading it writes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Poll {
    /// Whether a claim would find something; what a limit holds back is not found.
    pub claimable: bool,
    /// Runs of this worker that are to be cancelled.
    pub cancelling: Vec<RunId>,
    /// How long until the time of the next run that stands outside its queue; zero when it has come.
    pub next_due: Option<Duration>,
    /// How long until the next schedule fires; zero when it is due.
    pub next_fire: Option<Duration>,
}

/// Which runs to list; what is missing does not matter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// In this project.
    pub project: Option<ProjectId>,
    /// Of this deployment.
    pub deployment: Option<DeploymentId>,
    /// Of deployments of this service.
    pub service: Option<ServiceId>,
    /// In this state.
    pub state: Option<crate::model::RunState>,
    /// What this member may see. The platform says who reads; whatever else is given here does not count.
    pub reader: Option<UserId>,
}

/// Keeps runs, their steps and plans.
#[async_trait]
pub trait RunStore {
    /// Queues the runs, all in one transaction, each with its `queued` event. A doubled request key answers with the run it made
    /// before, as it is now, or with `Conflict` when the content differs; the others are queued all the same.
    ///
    /// Where a deployment's settings say `coalesce_latest` (the nearest level that says anything, else the run's own default), the
    /// newest run of a kind takes the place of those that wait and have never begun: they are cancelled in the same transaction, as
    /// [`Newest`](crate::store::Newest) says.
    ///
    /// # Errors
    /// The outer error: nothing was queued.
    async fn enqueue(&self, runs: &[Enqueue]) -> Result<Vec<Result<Enqueued>>>;
    /// The run of that id.
    async fn run(&self, id: RunId) -> Result<Run>;
    /// Runs, newest first.
    async fn runs(&self, filter: RunFilter, page: PageRequest) -> Result<Page<Run>>;
    /// The run's steps in order: planned ones, then reported ones.
    async fn steps(&self, run: RunId) -> Result<Vec<Step>>;
    /// The plan of that hash.
    async fn plan(&self, hash: PlanHash) -> Result<Plan>;
    /// What there is to do for the worker.
    async fn poll(&self, worker: WorkerId) -> Result<Poll>;
    /// Lets runs whose time has come by the store's clock into their queues, and gives up to `limit` runs to the worker: first those
    /// whose holder is gone, then queued ones whose turn it is, shared out between their projects and groups as
    /// [`fair_shares`](crate::store::fair_shares) says, the oldest of each; all in the order of their queueing. At most one run of a
    /// deployment is held at any time. No queued run is given beyond a limit of its project, group or cluster, however many workers
    /// claim at the same time; what is taken over counts, and is never refused. The worker's own lease must be valid (`NotFound`).
    async fn claim(&self, worker: WorkerId, limit: u32) -> Result<Vec<Claim>>;
    /// What the store can do beyond what every store does.
    fn capabilities(&self) -> Capabilities;
    /// Carries out the commands in order, in one transaction. One that is refused leaves no trace and does not touch the others.
    ///
    /// # Errors
    /// The outer error: nothing was written, except for `OutcomeUnknown`, after which the same commands with
    /// [`retried`](Command::retried) tell what happened.
    async fn record(&self, commands: &[Command]) -> Result<Vec<Result<Recorded, RecordError>>>;
}
