//! Actions: what a step does, and everything it is given to do it with.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{
    engine::{
        parameters::Parameters,
        progress::ProgressGate,
        recorder::Recorder,
        redaction::{StepLog, redacted},
        transactional::Tray,
    },
    error::{Error, ErrorKind, Invalid, Result},
    id::{DeploymentId, ProjectId, RunId},
    model::{Deployment, PrincipalRef, Resumption, RetentionPolicy, RunKind, StepIndex},
    name::{Origin, StepName},
    secret::{Redactor, SecretRef, SecretValue},
    store::{Change, Command, Fence, RecordError, Statement, StepReport},
};

/// What a step produced: kept with the step and given to the steps that need it.
pub type Output = Value;

/// Why a body did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ActionError {
    message: String,
    permanent: bool,
}

impl ActionError {
    /// A failure that another attempt may mend, if the step has one left.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), permanent: false }
    }

    /// A failure that no further attempt will mend.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self { message: message.into(), permanent: true }
    }

    /// Whether further attempts are pointless.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        self.permanent
    }
}

impl From<RecordError> for ActionError {
    fn from(error: RecordError) -> Self {
        Self::new(error.to_string())
    }
}

impl From<crate::Error> for ActionError {
    fn from(error: crate::Error) -> Self {
        Self::new(crate::error::report(&error))
    }
}

impl From<Invalid> for ActionError {
    fn from(invalid: Invalid) -> Self {
        Self::permanent(invalid.to_string())
    }
}

/// What is known of a step that is to be undone.
#[derive(Debug, Clone, PartialEq)]
pub enum UndoOutcome {
    /// It succeeded; this is its output.
    Succeeded(Option<Output>),
    /// It failed, was stopped, or its worker went away in the middle: it may have had its effect, a part of it, or none.
    Unknown,
}

/// What the body of an undo is told of the step that it undoes.
#[derive(Debug, Clone, PartialEq)]
pub struct Undoing {
    /// How the step ended.
    pub outcome: UndoOutcome,
    /// What the step's body kept with [`save_undo`](ActionContext::save_undo), if it did: it may have gone away before it could.
    pub data: Option<Value>,
}

/// What a probe found out about a body whose worker died.
#[derive(Debug, Clone, PartialEq)]
pub enum Probed {
    /// The effect took place; this is the output.
    Happened(Option<Output>),
    /// It did not take place; the body may be executed again.
    NotHappened,
    /// It cannot be found out; an operator must decide.
    Unknown,
}

/// What became of a body that an earlier worker left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reclaimed {
    /// It is known to be dead.
    Dead,
    /// It may still live; an operator must decide. The text says why and where.
    Unknown(String),
}

/// What a step does. Registered by a stable name, executed at least once per step.
///
/// The future of [`run`](Self::run) may be dropped at any await point (when a cancel's grace is over, or the lease is lost).
#[async_trait]
pub trait Action: Debug + Send + Sync + 'static {
    /// Does it. `Ok` only when the effect is known to be there.
    async fn run(&self, cx: ActionContext) -> Result<Option<Output>, ActionError>;

    /// Undoes it; [`undoing`](ActionContext::undoing) says what is known of it. Called for steps whose plan says that they have an
    /// undo, at least once, and never while a body of the step may still live. `Ok` only when nothing of the effect is left: also
    /// when it never took place.
    async fn undo(&self, _cx: ActionContext) -> Result<(), ActionError> {
        Err(ActionError::permanent("the action has no undo"))
    }

    /// Whether its bodies may hand over statements with [`commit_with`](ActionContext::commit_with). Plans with such an action are
    /// refused where the store carries out none.
    fn is_transactional(&self) -> bool {
        false
    }

    /// Finds out whether a body that was interrupted did its work. Asked for steps whose crash policy is `probe`.
    async fn probe(&self, _cx: ActionContext) -> Probed {
        Probed::Unknown
    }

    /// Makes sure that what an earlier attempt left running is dead, by the handle that it kept. Called before the step (or its undo)
    /// begins again.
    async fn reclaim(&self, _handle: &Value) -> Reclaimed {
        Reclaimed::Dead
    }
}

/// What a run's steps may know of their run.
#[derive(Debug, Clone)]
pub struct RunInfo {
    /// The run.
    pub id: RunId,
    /// Its project.
    pub project_id: ProjectId,
    /// What it acts on.
    pub deployment_id: DeploymentId,
    /// What it is for.
    pub kind: RunKind,
    /// Who asked for it.
    pub requested_by: PrincipalRef,
    /// From where.
    pub origin: Origin,
    /// What the asker passed along.
    pub context: Arc<Value>,
}

/// How a step's body reaches the server that runs it.
#[derive(Clone)]
pub struct RunAccess {
    /// The server's base URL.
    pub base_url: String,
    /// A token for this run alone.
    pub token: String,
}

impl Debug for RunAccess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunAccess").field("base_url", &self.base_url).finish_non_exhaustive()
    }
}

/// What the engine asks of whoever embeds it.
#[async_trait]
pub trait RunHost: Debug + Send + Sync + 'static {
    /// Whether the run may still begin, or go on for whoever resumed it: asked when it is claimed, since rights may have changed
    /// while it was queued. The inner error is the refusal, for a person.
    async fn admit(&self, run: &RunInfo, resumption: Option<&Resumption>) -> Result<Result<(), String>>;

    /// A token and address for reporting from outside the process; none where there is no server to reach.
    async fn access(&self, run: &RunInfo) -> Result<Option<RunAccess>>;

    /// The names of the steps that this attempt of a step has reported as failed, by whichever way.
    async fn failed_reports(&self, run: &RunInfo, step: StepIndex, attempt: u32) -> Result<Vec<StepName>>;

    /// Opens values of secrets that the run's plan names, in their order.
    async fn secrets(&self, _run: &RunInfo, _named: &[SecretRef]) -> Result<Vec<SecretValue>> {
        Err(Error::new(ErrorKind::Unsupported, "open secrets", "nothing in this program opens secrets"))
    }

    /// How long the deployment's runs are kept after their end.
    async fn retention(&self, _deployment: &Deployment) -> Result<RetentionPolicy> {
        Ok(RetentionPolicy::default())
    }

    /// Starts the runs of the schedules whose time has come, and says how many schedules that were. Asked whenever the store says
    /// that there may be some, by one worker or by several; after an answer of none, or an error, only at the next poll, since what is
    /// due may be for others.
    async fn fire_schedules(&self) -> Result<usize> {
        Ok(0)
    }
}

/// What the bodies of one step kept for its undo, shared between them and the driver.
pub(super) type UndoData = Arc<Mutex<Option<Value>>>;

/// Everything a body is given. Never the store.
#[derive(Debug, Clone)]
pub struct ActionContext {
    pub(super) run: Arc<RunInfo>,
    pub(super) step: StepIndex,
    pub(super) name: StepName,
    pub(super) attempt: u32,
    pub(super) parameters: Parameters,
    pub(super) outputs: Arc<BTreeMap<StepName, Value>>,
    pub(super) undoing: Option<Undoing>,
    pub(super) undo_data: UndoData,
    pub(super) tray: Tray,
    pub(super) cancel: CancellationToken,
    pub(super) fence: Fence,
    pub(super) recorder: Recorder,
    pub(super) progress: Arc<ProgressGate>,
    pub(super) redactor: Redactor,
    pub(super) log: StepLog,
    pub(super) host: Option<Arc<dyn RunHost>>,
}

impl ActionContext {
    /// The run.
    #[must_use]
    pub fn run(&self) -> &RunInfo {
        &self.run
    }

    /// The step's place in the plan.
    #[must_use]
    pub fn step(&self) -> StepIndex {
        self.step
    }

    /// The step's name.
    #[must_use]
    pub fn step_name(&self) -> &StepName {
        &self.name
    }

    /// The attempt, from 1; those of the step's undo count on.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// A key that is the same for every attempt of this step in this run, under whichever worker, and another one for its undo: hand
    /// it to whatever you call.
    #[must_use]
    pub fn idempotency_key(&self) -> String {
        let what = if self.undoing.is_some() { "/undo" } else { "" };
        format!("{}/{}{what}", self.run.id, self.step)
    }

    /// What is known of the step that this body undoes; none for a body that does the step.
    #[must_use]
    pub fn undoing(&self) -> Option<&Undoing> {
        self.undoing.as_ref()
    }

    /// What an earlier attempt of this step (or this one) kept with [`save_undo`](Self::save_undo).
    #[must_use]
    pub fn saved_undo(&self) -> Option<Value> {
        self.undo_data.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The step's parameters, with the secrets that the plan names opened. What a body says, keeps and returns is written down without
    /// their values: where one would stand, there are three stars.
    #[must_use]
    pub fn parameters(&self) -> &Value {
        self.parameters.value()
    }

    /// The step's parameters as a type of yours.
    ///
    /// # Errors
    /// A permanent [`ActionError`] that names the field.
    pub fn parse_parameters<T: DeserializeOwned>(&self) -> Result<T, ActionError> {
        serde_path_to_error::deserialize(self.parameters.value())
            .map_err(|error| ActionError::permanent(format!("parameters.{}: {}", error.path(), error.inner())))
    }

    /// What a step that this one needs produced.
    #[must_use]
    pub fn output_of(&self, step: &str) -> Option<&Value> {
        self.outputs.iter().find(|(name, _)| name.as_str() == step).map(|(_, output)| output)
    }

    /// Resolves when the body should stop: a cancel, a time-out, or the worker going away.
    pub fn cancelled(&self) -> impl Future<Output = ()> + Send + use<> {
        self.cancel.clone().cancelled_owned()
    }

    /// Whether the body should stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// Says something about how far the step is. Cheap: at most ten a second become events, the last one always does.
    pub fn progress(&self, message: impl Into<String>) {
        self.progress.say(self.redactor.redact(message.into()));
    }

    /// Names the steps that this step will report, in order. It takes its place in line at once; durable when the future is ready.
    ///
    /// # Errors
    /// When the step no longer runs under this claim, or a bound was reached.
    pub fn expect(&self, names: Vec<StepName>) -> impl Future<Output = Result<(), RecordError>> + Send + use<> {
        self.record(Change::Expect { parent: self.step, names })
    }

    /// Reports one of its own steps. Durable when it returns.
    ///
    /// # Errors
    /// When the step no longer runs under this claim, or a bound was reached.
    pub async fn report(&self, report: StepReport) -> Result<(), RecordError> {
        self.report_later(report).await
    }

    /// Like [`report`](Self::report), but the report takes its place in line at once, so that several can be on their way together;
    /// the future tells how it ended.
    pub fn report_later(&self, mut report: StepReport) -> impl Future<Output = Result<(), RecordError>> + Send + use<> {
        report.parent = Some(self.step);
        self.record(Change::Report(report))
    }

    /// Keeps what a takeover needs to find what this attempt leaves running. It takes its place in line at once; durable when the
    /// future is ready: wait for it before you start anything.
    ///
    /// # Errors
    /// When the step no longer runs under this claim: do not start then.
    pub fn keep_handle(&self, handle: Value) -> impl Future<Output = Result<(), RecordError>> + Send + use<> {
        self.record(Change::KeepHandle { step: self.step, attempt: self.attempt, handle })
    }

    /// Keeps what the undo of this step will need: the undo is given what was kept last, by whichever attempt. It takes its place in
    /// line at once; durable when the future is ready: wait for it before the effect.
    ///
    /// # Errors
    /// When the step no longer runs under this claim, or the data is larger than [`MAX_UNDO_DATA`](crate::store::MAX_UNDO_DATA): do
    /// not go on then.
    pub fn save_undo(&self, data: Value) -> impl Future<Output = Result<(), RecordError>> + Send + use<> {
        let kept = Arc::clone(&self.undo_data);
        let data = self.redactor.redact_value(data);
        let recorded = self.record(Change::SaveUndo { step: self.step, attempt: self.attempt, data: data.clone() });
        async move {
            // An error may mean that nobody knows whether it was kept; the undo is then given what may have been.
            let answer = recorded.await;
            if matches!(answer, Ok(()) | Err(RecordError::Store(_))) {
                *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(data);
            }
            answer
        }
    }

    /// Hands over statements that are carried out in the very transaction that records this attempt's success: both take effect, or
    /// neither does, whatever crashes. They are carried out once, when the body has ended with `Ok`, behind those handed over before;
    /// those of a body that fails, is killed or loses its lease never are. Until then the step (or its undo) has not succeeded.
    ///
    /// ```
    /// use async_trait::async_trait;
    /// use eyrie_core::engine::{Action, ActionContext, ActionError, Output};
    /// use eyrie_core::store::Statement;
    ///
    /// /// Takes seats from a flight, in a table of the program's own.
    /// #[derive(Debug)]
    /// struct Book;
    ///
    /// #[async_trait]
    /// impl Action for Book {
    ///     fn is_transactional(&self) -> bool {
    ///         true
    ///     }
    ///
    ///     async fn run(&self, cx: ActionContext) -> Result<Option<Output>, ActionError> {
    ///         let take = "UPDATE flights SET free = free - $1 WHERE id = $2 AND free >= $1";
    ///         let note = "INSERT INTO bookings (run, seats) VALUES ($1, $2)";
    ///         cx.commit_with([
    ///             Statement::new(take)?.bind(2_i64).bind("LX 8").touching(1),
    ///             Statement::new(note)?.bind(cx.run().id.to_string()).bind(2_i64),
    ///         ])?;
    ///         Ok(None)
    ///     }
    /// }
    /// # let _ = Book.is_transactional();
    /// ```
    ///
    /// The statements are written for the database that the store is kept in, and touch tables of the program's own beside Eyrie's.
    /// What they find is not given back. When one fails, none of them leaves anything, the step has failed with the database's
    /// message (without the values of the parameters), and is tried again if it has attempts left. They hold up everybody else's
    /// transitions while they are carried out, so they should be few and quick: they are ended after two seconds.
    ///
    /// Enforced: that they neither end the transaction nor touch Eyrie's tables, also through triggers and foreign keys (on
    /// PostgreSQL by the server's own counters, unless its administrator has turned `track_counts` off); in SQLite that they do not
    /// change the schema. Trusted: that functions which they call do nothing else that outlives a transaction.
    ///
    /// # Errors
    /// Permanent ones, for an action that does not say that it [is transactional](Action::is_transactional), and for more than
    /// [`MAX_STATEMENTS`](crate::store::MAX_STATEMENTS) or [`MAX_STATEMENT_BYTES`](crate::store::MAX_STATEMENT_BYTES): none is taken.
    pub fn commit_with(&self, statements: impl IntoIterator<Item = Statement>) -> Result<(), ActionError> {
        self.tray.add(statements)
    }

    /// Appends text to the run's log. Waits when the log cannot be written fast enough.
    pub async fn log(&self, text: impl Into<String> + Send) {
        self.log.append(text.into()).await;
    }

    /// A token and address for reporting from outside this process; none where there is no server.
    ///
    /// # Errors
    /// When the token cannot be made.
    pub async fn access(&self) -> Result<Option<RunAccess>> {
        match &self.host {
            Some(host) => {
                let access = host.access(&self.run).await?;
                self.redactor.learn_text(access.iter().map(|access| access.token.as_str()));
                Ok(access)
            }
            None => Ok(None),
        }
    }

    /// The names of the steps that this attempt has reported as failed: from here, or from outside with the token of its run.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn failed_reports(&self) -> Result<Vec<StepName>> {
        match &self.host {
            Some(host) => host.failed_reports(&self.run, self.step, self.attempt).await,
            None => Ok(Vec::new()),
        }
    }

    fn record(&self, change: Change) -> impl Future<Output = Result<(), RecordError>> + Send + use<> {
        let recorded = self.recorder.record(Command::fenced(self.run.id, self.fence, redacted(&self.redactor, change)));
        async move { recorded.await.map(drop) }
    }
}
