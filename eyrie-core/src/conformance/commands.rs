//! Builders of commands, runs to send them to, and what may be demanded of the answers; found in [`fixtures`](super::fixtures) too.

use serde_json::Value;

use super::fixtures::{audit, claimed, place, queued_as, worker};
use crate::{
    error::Result,
    id::{CommandId, RunId},
    model::{Deployment, Plan, ReportedState, Run, RunKind, Step, StepIndex, StepStart},
    name::StepName,
    store::{Change, Command, End, Fence, RecordError, Recorded, Settle, Settlement, Skip, StepReport, Store},
};

/// A run that a worker holds.
#[derive(Debug, Clone)]
pub struct Held {
    /// What it acts on.
    pub deployment: Deployment,
    /// The run as it was claimed.
    pub run: Run,
    /// The claim.
    pub fence: Fence,
}

impl Held {
    /// A command under the claim.
    #[must_use]
    pub fn command(&self, change: Change) -> Command {
        Command::fenced(self.run.id, self.fence, change)
    }

    /// Carries out one change under the claim.
    ///
    /// # Errors
    /// Why it was refused.
    pub async fn change(&self, store: &dyn Store, change: Change) -> Result<Recorded, RecordError> {
        record(store, self.command(change)).await
    }

    /// The run as it is now.
    pub async fn now(&self, store: &dyn Store) -> Run {
        store.run(self.run.id).await.unwrap()
    }
}

/// Makes a deployment, queues a run of the plan and claims it.
pub async fn held(store: &dyn Store, slug: &str, plan: &Plan) -> Held {
    let deployment = place(store, slug).await;
    held_in(store, &deployment, RunKind::Deploy, plan).await
}

/// Queues a run against the deployment and claims it; nothing else may wait to be claimed.
pub async fn held_in(store: &dyn Store, deployment: &Deployment, kind: RunKind, plan: &Plan) -> Held {
    let queued = queued_as(store, deployment, kind, plan).await;
    let worker = worker(store).await;
    let claim = claimed(store, worker).await;
    assert_eq!(claim.run.id, queued.id);
    Held { deployment: deployment.clone(), fence: Fence { worker, epoch: claim.run.epoch }, run: claim.run }
}

/// Carries out one command.
///
/// # Errors
/// Why it was refused.
pub async fn record(store: &dyn Store, command: Command) -> Result<Recorded, RecordError> {
    let mut answers = store.record(&[command]).await.unwrap();
    assert_eq!(answers.len(), 1);
    answers.remove(0)
}

/// The step at that place.
#[must_use]
pub const fn at(index: u32) -> StepIndex {
    StepIndex::new(index)
}

/// The start of a step, without a limit of time.
#[must_use]
pub const fn start(index: u32) -> StepStart {
    StepStart { index: StepIndex::new(index), timeout_ms: None }
}

/// The end of a step's attempt.
#[must_use]
pub fn settle(index: u32, attempt: u32, how: Settlement) -> Settle {
    Settle { step: at(index), attempt, how, message: String::new() }
}

/// The successful end of a step's first attempt, without output.
#[must_use]
pub fn success(index: u32) -> Settle {
    settle(index, 1, Settlement::Succeeded { output: None })
}

/// Settle these, start those, and end.
#[must_use]
pub fn advance(settle: impl IntoIterator<Item = Settle>, start: impl IntoIterator<Item = StepStart>, end: Option<End>) -> Change {
    skip_and_advance(settle, [], start, end)
}

/// Settle these, skip others by their conditions, start those, and end.
#[must_use]
pub fn skip_and_advance(
    settle: impl IntoIterator<Item = Settle>,
    skip: impl IntoIterator<Item = Skip>,
    start: impl IntoIterator<Item = StepStart>,
    end: Option<End>,
) -> Change {
    let (settle, skip, start) = (settle.into_iter().collect(), skip.into_iter().collect(), start.into_iter().collect());
    Change::Advance { settle, skip, start, end }
}

/// The step is skipped by its condition.
#[must_use]
pub fn skip(index: u32) -> Skip {
    Skip { step: at(index), message: "its condition is false".to_owned() }
}

/// The end of a run that made nothing.
#[must_use]
pub const fn succeeded() -> Option<End> {
    Some(End::Succeed { release: None })
}

/// The end of a run that failed.
#[must_use]
pub fn failed(message: &str) -> Option<End> {
    Some(End::Fail { message: message.to_owned() })
}

/// The end of a run that failed and is to be undone.
#[must_use]
pub fn undo_of_a_failure(message: &str) -> Option<End> {
    Some(End::Undo { failure: Some(message.to_owned()) })
}

/// The end of a run that was cancelled and is to be undone.
#[must_use]
pub const fn undo_of_a_cancel() -> Option<End> {
    Some(End::Undo { failure: None })
}

/// The end of a run that could not be undone.
#[must_use]
pub fn undo_failed(message: &str) -> Option<End> {
    Some(End::UndoFail { message: message.to_owned() })
}

/// The successful end of an undo.
#[must_use]
pub const fn undone() -> Settlement {
    Settlement::Succeeded { output: None }
}

/// A report of the step at `parent`, without an id.
#[must_use]
pub fn report(parent: u32, name: &str, state: ReportedState) -> Change {
    report_as(None, parent, name, state)
}

/// A report of the step at `parent`, with an id.
#[must_use]
pub fn report_as(report_id: Option<&str>, parent: u32, name: &str, state: ReportedState) -> Change {
    Change::Report(StepReport {
        parent: Some(at(parent)),
        report_id: report_id.map(str::to_owned),
        name: step_name(name),
        state,
        message: String::new(),
    })
}

/// A name of a step.
#[must_use]
pub fn step_name(name: &str) -> StepName {
    StepName::new(name).unwrap()
}

/// A cancel from outside, with its entry for the audit.
#[must_use]
pub fn cancel(run: RunId, reason: &str) -> Command {
    outside(run, Change::RequestCancel { reason: reason.to_owned() }, "run.cancel")
}

/// A resumption from outside, with its entry for the audit.
#[must_use]
pub fn resume(run: RunId, reason: &str) -> Command {
    outside(run, Change::Resume { reason: reason.to_owned() }, "run.resume")
}

/// A cancel from outside of a run whose plan undoes what was done.
#[must_use]
pub fn cancel_and_undo(run: RunId, reason: &str) -> Command {
    outside(run, Change::CancelAndUndo { reason: reason.to_owned() }, "run.cancel")
}

/// A change from outside, with its entry for the audit.
#[must_use]
pub fn outside(run_id: RunId, change: Change, action: &str) -> Command {
    Command { id: CommandId::new(), run_id, fence: None, change, retried: false, audit: Some(Box::new(audit(action))) }
}

/// The same command once more, as after a commit without an answer.
#[must_use]
pub fn again(command: &Command) -> Command {
    Command { retried: true, ..command.clone() }
}

/// Demands that a command was refused because the run belongs to a claim of that epoch.
pub fn lease_lost(answer: Result<Recorded, RecordError>, epoch: u64) {
    assert!(
        matches!(answer, Err(RecordError::LeaseLost { current }) if current == epoch),
        "expected a lost lease (epoch {epoch}): {answer:?}"
    );
}

/// Demands that a command was refused because the run or step is in no state for it.
pub fn moved(answer: Result<Recorded, RecordError>) {
    assert!(matches!(answer, Err(RecordError::Moved(_))), "expected that the run had moved on: {answer:?}");
}

/// All that is kept of a run, to compare before and after what must not change it.
pub async fn whole(store: &dyn Store, run: RunId) -> (Run, Vec<Step>, Value) {
    let events = store.run_events(run, 0, 10_000).await.unwrap();
    (store.run(run).await.unwrap(), store.steps(run).await.unwrap(), serde_json::to_value(events).unwrap())
}

/// The run's steps as `name state attempt`.
pub async fn steps(store: &dyn Store, run: RunId) -> Vec<String> {
    let steps = store.steps(run).await.unwrap();
    steps.iter().map(|step| format!("{} {} {}", step.name, step.state, step.attempt)).collect()
}
