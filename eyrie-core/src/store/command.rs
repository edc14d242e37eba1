//! Commands: what the engine (or a person) wants done to a run, as data.

use std::{sync::Arc, time::Duration};

use serde_json::Value;

use crate::{
    clock::Timestamp,
    error::{Error, ErrorKind, IllegalTransition},
    id::{CommandId, RunId, WorkerId},
    model::{AuditEntry, PlannedRelease, ReportedState, RunEvent, RunState, StepIndex, StepStart},
    name::StepName,
    store::Statements,
};

/// One change to one run.
#[derive(Debug, Clone)]
pub struct Command {
    /// Its identity: kept on the events it writes.
    pub id: CommandId,
    /// The run.
    pub run_id: RunId,
    /// The claim under which it is made; none for what may come from outside (a cancel).
    pub fence: Option<Fence>,
    /// What to do.
    pub change: Change,
    /// Whether it was sent before without an answer. If it took effect then, the answer says so and nothing is done again.
    pub retried: bool,
    /// For a command from outside: the entry to commit with it. Whom it names as having a run go on answers for that from then on.
    pub audit: Option<Box<AuditEntry>>,
}

impl Command {
    /// A command made under a claim.
    #[must_use]
    pub fn fenced(run_id: RunId, fence: Fence, change: Change) -> Self {
        Self { id: CommandId::new(), run_id, fence: Some(fence), change, retried: false, audit: None }
    }

    /// A command from outside.
    #[must_use]
    pub fn unfenced(run_id: RunId, change: Change) -> Self {
        Self { id: CommandId::new(), run_id, fence: None, change, retried: false, audit: None }
    }
}

/// A claim: writes are refused once the run has another holder or a later epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fence {
    /// The holder.
    pub worker: WorkerId,
    /// The epoch it was given.
    pub epoch: u64,
}

/// What to do to a run.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Change {
    /// Settle steps, skip and start others, and end the run, all at once. When a cancel came first, only the settling is done.
    Advance {
        /// Steps whose body has ended.
        settle: Vec<Settle>,
        /// Steps that are not executed, as their condition is false: what needs them may go on.
        skip: Vec<Skip>,
        /// Steps whose body is to begin; of a run that is being undone (also by this very command): whose undo is to begin.
        start: Vec<StepStart>,
        /// What becomes of the run.
        end: Option<End>,
    },
    /// Settle a step whose body (its own, or that of its undo) has succeeded, and carry out what it handed over, in one transaction. A
    /// store that cannot refuses it.
    Transact {
        /// The step.
        step: StepIndex,
        /// The attempt that ended; another attempt's end is refused.
        attempt: u32,
        /// What it produced. An undo produces nothing.
        output: Option<Value>,
        /// What to carry out.
        statements: Statements,
    },
    /// A running step reports one of its own steps.
    Report(StepReport),
    /// A running step says which steps it will report.
    Expect {
        /// The running step.
        parent: StepIndex,
        /// The names, in order.
        names: Vec<StepName>,
    },
    /// A running step says something.
    Progress {
        /// The step.
        step: StepIndex,
        /// What it says.
        message: String,
    },
    /// What a takeover needs to find what this attempt leaves running. Writes no event.
    KeepHandle {
        /// The step.
        step: StepIndex,
        /// The attempt.
        attempt: u32,
        /// The handle.
        handle: Value,
    },
    /// What the undo of this step will need. Kept over attempts until another is kept. Writes no event.
    SaveUndo {
        /// The step.
        step: StepIndex,
        /// The attempt.
        attempt: u32,
        /// The data.
        data: Value,
    },
    /// Somebody wants the run to stop.
    RequestCancel {
        /// Who and why, for a person.
        reason: String,
    },
    /// Somebody wants the run to stop, and its plan says that a cancel undoes what was done. A run that nobody holds is given to a
    /// worker once more if it has begun; one that has its undo behind it, or under way, is cancelled without another.
    CancelAndUndo {
        /// Who and why, for a person.
        reason: String,
    },
    /// Somebody approves of a step that the run waits for, or rejects it. Whoever sends this knows that the step is an approval, and
    /// that they may.
    Approve {
        /// The step.
        step: StepIndex,
        /// Whether it may go on.
        approved: bool,
        /// Who and why, for a person.
        reason: String,
    },
    /// Somebody wants a parked run to go on, or a failed one to be continued from where it stopped: what succeeded stays, all other
    /// planned steps are to begin anew, and the run queues again at the place that the time of its asking gives it.
    Resume {
        /// Who and why, for a person.
        reason: String,
    },
    /// Somebody wants one failed step of a failed run to be tried again, with what depends on it, and nothing else.
    RetryStep {
        /// The failed step.
        step: StepIndex,
        /// The steps that need it, directly or through others.
        dependents: Vec<StepIndex>,
        /// Who and why, for a person.
        reason: String,
    },
    /// Somebody wants an undo that failed, or was cancelled, to go on: all undos that failed are tried again.
    RetryUndo {
        /// Who and why, for a person.
        reason: String,
    },
    /// Somebody says that a step whose undo failed counts as undone; the undo of the run goes on without it.
    SkipUndo {
        /// The step.
        step: StepIndex,
        /// Who and why, for a person.
        reason: String,
    },
}

/// A step whose body has ended.
#[derive(Debug, Clone)]
pub struct Settle {
    /// The step.
    pub step: StepIndex,
    /// The attempt that ended; another attempt's end is refused.
    pub attempt: u32,
    /// How.
    pub how: Settlement,
    /// What it says.
    pub message: String,
}

/// A step that is not executed, as its condition is false. It must never have begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skip {
    /// The step.
    pub step: StepIndex,
    /// What the condition is, for a person.
    pub message: String,
}

/// How a body ended: a step's own, or that of its undo.
#[derive(Debug, Clone, PartialEq)]
pub enum Settlement {
    /// It succeeded.
    Succeeded {
        /// What it produced. An undo produces nothing.
        output: Option<Value>,
    },
    /// It failed for the last time.
    Failed,
    /// It failed and will be tried again after this pause.
    Retry {
        /// The pause.
        pause: Duration,
    },
    /// It was stopped by a cancel. An undo that was stopped has failed.
    Cancelled,
    /// Its worker went away in the middle; it is to begin again.
    Interrupted,
}

/// What becomes of a run.
#[derive(Debug, Clone, PartialEq)]
pub enum End {
    /// All steps succeeded, or were skipped by their conditions.
    Succeed {
        /// What that leaves behind.
        release: Option<PlannedRelease>,
    },
    /// A step failed; what has not begun is skipped.
    Fail {
        /// Why.
        message: String,
    },
    /// Everything has stopped after a cancel; what has not begun is skipped.
    Cancel {
        /// Why.
        message: String,
    },
    /// Everything has stopped, and what was done is to be undone, beginning with `start`. What has not begun is skipped.
    Undo {
        /// The failure that is the cause. None: a cancel, whose message stays.
        failure: Option<String>,
    },
    /// All that was to be undone is undone. The message that says why the run is undone stays.
    UndoSucceed,
    /// Some of what was to be undone could not be.
    UndoFail {
        /// Which, and why.
        message: String,
    },
    /// Nothing can go on before somebody approves of a step: the run waits, without a worker, and keeps its deployment's turn.
    Wait {
        /// For what.
        message: String,
    },
    /// Set aside until somebody decides.
    Park {
        /// Why, and the way out.
        message: String,
    },
    /// The worker goes away in an orderly way: any worker may take the run over at once.
    HandBack,
}

/// What a script says about one of its steps.
#[derive(Debug, Clone)]
pub struct StepReport {
    /// The running step that reports. None: the only one that runs.
    pub parent: Option<StepIndex>,
    /// An id that makes a repeat harmless.
    pub report_id: Option<String>,
    /// The name; matches the oldest unfinished reported step of that name, else opens a new one.
    pub name: StepName,
    /// The state.
    pub state: ReportedState,
    /// What it says.
    pub message: String,
}

/// What a command did.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The run's state behind it.
    pub run_state: RunState,
    /// The events it wrote.
    pub events: Vec<Arc<RunEvent>>,
    /// The steps it started: place, attempt and deadline.
    pub started: Vec<(StepIndex, u32, Option<Timestamp>)>,
}

/// Why a command was refused.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The run has another holder or a later epoch: stop what you do for it, and write nothing more.
    #[error("the run belongs to another claim (epoch {current})")]
    LeaseLost {
        /// The run's epoch.
        current: u64,
    },
    /// The run or step has moved on: only this command lost its race.
    #[error(transparent)]
    Moved(#[from] IllegalTransition),
    /// There is no such run or step.
    #[error("there is no such {0}")]
    Missing(&'static str),
    /// A bound was reached.
    #[error("{0}")]
    Limit(String),
    /// The statements of a step could not be carried out: which, and the database's message.
    #[error("{0}")]
    Statement(String),
    /// The store failed, and went on failing; the change was not made, or it is not known whether it was.
    #[error("{0}")]
    Store(Arc<Error>),
}

impl From<RecordError> for Error {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::LeaseLost { .. } => Self::new(ErrorKind::Conflict, "record", error.to_string()),
            RecordError::Moved(transition) => transition.into(),
            RecordError::Missing(what) => Self::not_found(what),
            RecordError::Statement(message) => Self::new(ErrorKind::Conflict, "record", message),
            RecordError::Limit(message) => Self::new(ErrorKind::LimitExceeded, "record", message),
            RecordError::Store(error) => Self::new(error.kind(), "record", error.to_string()).with_source(error),
        }
    }
}
