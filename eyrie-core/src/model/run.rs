//! A run: one execution of a plan against a deployment.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    clock::Timestamp,
    error::IllegalTransition,
    id::{DeploymentId, ProjectId, ReleaseId, RunId, WorkerId},
    model::{PlanHash, PrincipalRef, StepStart},
    name::Origin,
    word_enum::word_enum,
};

word_enum! {
    /// What a run is for.
    pub enum RunKind("kind") {
        /// Bring a deployment to its desired state.
        Deploy = "deploy",
        /// Stop what runs.
        Stop = "stop",
        /// Start what was stopped.
        Start = "start",
        /// Stop and start.
        Restart = "restart",
        /// Write a backup.
        Backup = "backup",
        /// Read a backup back.
        Restore = "restore",
        /// Return to an earlier release.
        Rollback = "rollback",
        /// Take away what runs.
        Remove = "remove",
        /// Look without changing anything.
        Probe = "probe",
    }
}

word_enum! {
    /// Where a run stands.
    pub enum RunState("run_state") {
        /// Waits for its turn, or first for its time.
        Queued = "queued",
        /// A worker executes it.
        Running = "running",
        /// Waits for an approval; holds no worker.
        Waiting = "waiting",
        /// A cancel was asked for; bodies are being stopped.
        Cancelling = "cancelling",
        /// Steps are being undone.
        Undoing = "undoing",
        /// All steps succeeded, or were skipped by their conditions.
        Succeeded = "succeeded",
        /// A step failed.
        Failed = "failed",
        /// Stopped by a cancel.
        Cancelled = "cancelled",
        /// What had been done was undone.
        Undone = "undone",
        /// Undo was tried for the last time without success.
        UndoFailed = "undo_failed",
        /// Set aside until somebody decides; the message says what to do.
        Parked = "parked",
    }
}

word_enum! {
    /// A move of a run.
    pub enum RunMove("run_move") {
        /// A worker takes it (or takes it over).
        Claim = "be claimed",
        /// It begins to wait.
        Wait = "wait",
        /// It stops waiting and queues again.
        Wake = "wake",
        /// All steps succeeded.
        Succeed = "succeed",
        /// A step failed.
        Fail = "fail",
        /// A cancel was asked for.
        RequestCancel = "be asked to cancel",
        /// Everything has stopped.
        Cancel = "be cancelled",
        /// Undo begins.
        Undo = "be undone",
        /// Undo is complete.
        UndoSucceed = "finish its undo",
        /// Undo failed.
        UndoFail = "fail its undo",
        /// It is set aside.
        Park = "be parked",
        /// It is queued again after having been set aside, or after it failed.
        Resume = "be resumed",
        /// It is queued again so that its undo goes on.
        ResumeUndo = "have its undo resumed",
        /// A cancel was asked for while nobody held it, and what it did is to be undone.
        CancelAndUndo = "be cancelled and undone",
    }
}

impl RunState {
    /// Whether the run has ended. One that failed can be resumed, and an undo that failed or was cancelled can be; nothing else
    /// begins again.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled | Self::Undone | Self::UndoFailed)
    }

    /// Whether a worker holds (or must take over) the run.
    #[must_use]
    pub const fn is_held(self) -> bool {
        matches!(self, Self::Running | Self::Cancelling | Self::Undoing)
    }

    /// The state after `run_move`: the one place that says what may follow what. A takeover claims a held run and leaves its state.
    ///
    /// # Errors
    /// [`IllegalTransition`] when the move does not exist in this state.
    pub fn next(self, run_move: RunMove) -> Result<Self, IllegalTransition> {
        use RunMove as M;
        Ok(match (self, run_move) {
            (Self::Queued, M::Claim) => Self::Running,
            (Self::Running | Self::Cancelling | Self::Undoing, M::Claim) => self,
            (Self::Running, M::Wait) => Self::Waiting,
            (Self::Waiting, M::Wake) | (Self::Parked | Self::Failed, M::Resume) => Self::Queued,
            (Self::UndoFailed | Self::Cancelled, M::ResumeUndo) => Self::Queued,
            (Self::Running, M::Succeed) => Self::Succeeded,
            (Self::Running, M::Fail) => Self::Failed,
            (Self::Queued | Self::Waiting | Self::Parked, M::RequestCancel) | (Self::Cancelling, M::Cancel) => Self::Cancelled,
            (Self::Running | Self::Undoing | Self::Cancelling, M::RequestCancel) => Self::Cancelling,
            (Self::Queued | Self::Waiting | Self::Parked, M::CancelAndUndo) => Self::Cancelling,
            (Self::Running | Self::Cancelling, M::Undo) => Self::Undoing,
            (Self::Undoing, M::UndoSucceed) => Self::Undone,
            (Self::Undoing, M::UndoFail) => Self::UndoFailed,
            (Self::Queued | Self::Running | Self::Undoing, M::Park) => Self::Parked,
            _ => return Err(IllegalTransition { machine: "run", from: self.as_str(), event: run_move.as_str() }),
        })
    }
}

/// Who had a run queue again after it had ended or was set aside: they answer for what it does from then on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resumption {
    /// Who.
    pub by: PrincipalRef,
    /// From where.
    pub origin: Option<Origin>,
    /// Whether they decided about its undo: that is another right.
    pub undo: bool,
    /// The run's epoch at that time. The claim that follows begins what they asked for.
    pub epoch: u64,
}

/// One execution of a plan. Its state changes only by [`RunState::next`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Run {
    #[serde(flatten)]
    row: RunRow,
}

/// The fields of a [`Run`], as a store keeps them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunRow {
    /// The run's id.
    pub id: RunId,
    /// The project it belongs to.
    pub project_id: ProjectId,
    /// What it acts on.
    pub deployment_id: DeploymentId,
    /// What it is for.
    pub kind: RunKind,
    /// The state.
    pub state: RunState,
    /// Why it is in that state, for a person.
    pub message: String,
    /// Who asked for it.
    pub requested_by: PrincipalRef,
    /// From where.
    pub origin: Origin,
    /// What the asker passed along (`{"env": {…}}` for a service).
    pub context: Arc<Value>,
    /// Who had it go on last, if anybody did.
    #[serde(skip)]
    pub resumption: Option<Resumption>,
    /// The hash of its plan.
    pub plan_hash: PlanHash,
    /// The steps that start with the run.
    #[serde(skip)]
    pub first_steps: Vec<StepStart>,
    /// How many steps it has, reported ones included.
    pub step_count: u32,
    /// Whether it is next in its deployment's queue.
    #[serde(skip)]
    pub ready: bool,
    /// When it was asked to begin, at the earliest.
    pub not_before: Option<Timestamp>,
    /// Whether that time had not come when a worker last looked: until then it stands outside its deployment's queue.
    #[serde(skip)]
    pub deferred: bool,
    /// The worker that holds it.
    pub worker_id: Option<WorkerId>,
    /// Grows at every claim; a write with an older epoch is refused.
    pub epoch: u64,
    /// The number of its latest event.
    pub last_seq: u64,
    /// When it took its place in the queue: when it was asked for, or its `not_before` where that is later.
    pub queued_at: Timestamp,
    /// When it was first claimed; for a run that was resumed after its end: when it was claimed again.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// The release it made.
    pub release_id: Option<ReleaseId>,
}

impl std::ops::Deref for Run {
    type Target = RunRow;

    fn deref(&self) -> &RunRow {
        &self.row
    }
}

impl Run {
    /// A run as a store read it back (or as it is about to be queued).
    #[must_use]
    pub const fn from_row(row: RunRow) -> Self {
        Self { row }
    }

    /// The fields, for a store to write.
    #[must_use]
    pub const fn row(&self) -> &RunRow {
        &self.row
    }

    pub(crate) fn row_mut(&mut self) -> &mut RunRow {
        &mut self.row
    }

    /// Who had the run go on, if its present claim is the one that begins what they asked for.
    #[must_use]
    pub fn begins_resumption(&self) -> Option<&Resumption> {
        self.row.resumption.as_ref().filter(|resumption| resumption.epoch.checked_add(1) == Some(self.row.epoch))
    }

    /// Makes `run_move` at `now`; times, holder and queue place follow.
    pub(crate) fn advance(&mut self, run_move: RunMove, message: &str, now: Timestamp) -> Result<(), IllegalTransition> {
        let state = self.row.state.next(run_move)?;
        self.row.state = state;
        if state.is_terminal() {
            self.row.finished_at = Some(now);
            self.row.ready = false;
            self.row.deferred = false;
        } else if self.row.finished_at.take().is_some() {
            // It begins again: until it is claimed, cancelling it changes nothing but the run.
            self.row.started_at = None;
        }
        if !state.is_held() {
            self.row.worker_id = None;
        }
        if run_move == RunMove::Claim {
            self.row.started_at.get_or_insert(now);
        } else if !matches!(run_move, RunMove::Cancel | RunMove::Undo) || !message.is_empty() {
            // Who asked for a cancel, and why, stays when the cancel is complete, or goes on with an undo.
            self.row.message.clear();
            self.row.message.extend(message.chars().take(crate::model::MAX_STEP_MESSAGE));
        }
        Ok(())
    }
}

/// What stands between the reason why a run is undone and what is said of the undo.
const BESIDE: &str = "; undo: ";

/// Why the run is undone, without what was last said of the undo.
pub(crate) fn cause(message: &str) -> &str {
    message.rfind(BESIDE).map_or(message, |place| &message[..place])
}

/// The reason why a run is undone, with something new to say of the undo beside it.
pub(crate) fn beside(message: &str, said: &str) -> String {
    format!("{}{BESIDE}{said}", cause(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_the_undo_stands_beside_the_cause() {
        let failed = beside("step \"b\" failed: exit code 1", "step \"a\": no answer");
        assert_eq!(failed, "step \"b\" failed: exit code 1; undo: step \"a\": no answer");
        assert_eq!(cause(&beside(&failed, "retried by alice")), "step \"b\" failed: exit code 1");
        assert_eq!(cause("cancelled by bob"), "cancelled by bob");
    }

    /// Every state against every move: what is legal is listed here once more, by hand.
    #[test]
    fn the_machine_has_these_moves_and_no_others() {
        let mut legal = Vec::new();
        for &state in RunState::ALL {
            for &run_move in RunMove::ALL {
                if let Ok(next) = state.next(run_move) {
                    legal.push(format!("{state} {run_move} -> {next}"));
                    assert!(!state.is_terminal() || next == RunState::Queued, "what has ended only ever queues again: {state} {run_move}");
                }
            }
        }
        let golden = include_str!("run_moves.txt");
        assert_eq!(legal.join("\n"), golden.trim_end());
    }
}
