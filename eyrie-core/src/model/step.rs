//! A step of a run, and its two state machines: one for planned steps, a smaller one for reported steps.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    clock::Timestamp,
    error::{IllegalTransition, Result},
    id::RunId,
    name::StepName,
    word_enum::word_enum,
};

/// The longest message of a step, in characters; the rest belongs into the log.
pub const MAX_STEP_MESSAGE: usize = 4096;

/// A step's place in its run: planned steps stand at their place in the plan, reported ones behind them in the order they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepIndex(u32);

impl StepIndex {
    /// The index with this value.
    #[must_use]
    pub const fn new(value: u32) -> Self {
        Self(value)
    }

    /// The value.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    pub(crate) fn from_position(position: usize) -> Self {
        Self(u32::try_from(position).unwrap_or(u32::MAX))
    }

    pub(crate) const fn position(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for StepIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A step that is to begin, with how long it may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepStart {
    /// Its place.
    pub index: StepIndex,
    /// How long the attempt may take, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

word_enum! {
    /// Where a step stands.
    pub enum StepState("step_state") {
        /// Not begun, or to be begun again.
        Pending = "pending",
        /// Its body executes; the start is durable.
        Running = "running",
        /// Done.
        Succeeded = "succeeded",
        /// Tried for the last time without success.
        Failed = "failed",
        /// Never executed: its condition was false, the run ended before, or the script never reported it.
        Skipped = "skipped",
        /// Stopped by a cancel.
        Cancelled = "cancelled",
        /// Its undo executes, or waits for its next attempt.
        Undoing = "undoing",
        /// Undone.
        Undone = "undone",
        /// Its undo was tried for the last time without success.
        UndoFailed = "undo_failed",
    }
}

word_enum! {
    /// A move of a planned step.
    pub enum StepMove("step_move") {
        /// The body begins.
        Start = "start",
        /// The body succeeded.
        Succeed = "succeed",
        /// The body failed for the last time.
        Fail = "fail",
        /// The body failed and will be tried again.
        Retry = "be retried",
        /// The worker went away in the middle; the step is to begin again.
        Interrupt = "be interrupted",
        /// It will never execute.
        Skip = "be skipped",
        /// The body was stopped by a cancel.
        Cancel = "be cancelled",
        /// The undo begins.
        Undo = "be undone",
        /// The undo succeeded.
        UndoSucceed = "finish its undo",
        /// The undo failed for the last time.
        UndoFail = "fail its undo",
        /// The undo is to begin again: after a pause, after its worker went away, or because somebody wants it.
        UndoRetry = "have its undo retried",
        /// Somebody says that it counts as undone.
        UndoSkip = "have its undo skipped",
        /// It is to begin anew in a run that is resumed after its end.
        Reset = "be reset",
        /// Somebody approved of it.
        Approve = "be approved",
        /// Somebody rejected it.
        Reject = "be rejected",
    }
}

impl StepState {
    /// Whether its undo has begun, however that went on.
    #[must_use]
    pub const fn is_undo(self) -> bool {
        matches!(self, Self::Undoing | Self::Undone | Self::UndoFailed)
    }

    /// Whether nothing more will happen to the step in the course of a normal run.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        !matches!(self, Self::Pending | Self::Running | Self::Undoing)
    }

    /// The state after `step_move`: the one place that says what may follow what.
    ///
    /// # Errors
    /// [`IllegalTransition`] when the move does not exist in this state.
    pub fn next(self, step_move: StepMove) -> Result<Self, IllegalTransition> {
        use StepMove as M;
        Ok(match (self, step_move) {
            (Self::Pending, M::Start) => Self::Running,
            (Self::Running, M::Succeed) => Self::Succeeded,
            (Self::Running, M::Fail) => Self::Failed,
            (Self::Running, M::Retry | M::Interrupt) => Self::Pending,
            (Self::Pending, M::Skip) => Self::Skipped,
            (Self::Pending | Self::Running, M::Cancel) => Self::Cancelled,
            (Self::Succeeded | Self::Failed | Self::Cancelled | Self::Undoing, M::Undo) => Self::Undoing,
            (Self::Undoing | Self::UndoFailed, M::UndoRetry) => Self::Undoing,
            (Self::UndoFailed, M::UndoSkip) => Self::Undone,
            (Self::Pending, M::Approve) => Self::Succeeded,
            (Self::Pending, M::Reject) => Self::Failed,
            (Self::Failed | Self::Skipped | Self::Cancelled, M::Reset) => Self::Pending,
            (Self::Undoing, M::UndoSucceed) => Self::Undone,
            (Self::Undoing, M::UndoFail) => Self::UndoFailed,
            _ => return Err(IllegalTransition { machine: "step", from: self.as_str(), event: step_move.as_str() }),
        })
    }

    /// The state of a *reported* step after its parent reported `state`. A report never reopens what has ended.
    ///
    /// # Errors
    /// [`IllegalTransition`] when the reported step has ended.
    pub fn report(self, state: ReportedState) -> Result<Self, IllegalTransition> {
        match (self, state) {
            (Self::Running, ReportedState::Pending) => Ok(Self::Running),
            (Self::Pending | Self::Running, state) => Ok(state.into()),
            _ => Err(IllegalTransition { machine: "reported step", from: self.as_str(), event: state.as_str() }),
        }
    }
}

word_enum! {
    /// What a script may say about a step that it reports.
    pub enum ReportedState("state") {
        /// It will come.
        Pending = "pending",
        /// It has begun. This does not finish it.
        Running = "running",
        /// It is done.
        Success = "success",
        /// It failed.
        Failure = "failure",
    }
}

impl From<ReportedState> for StepState {
    fn from(state: ReportedState) -> Self {
        match state {
            ReportedState::Pending => Self::Pending,
            ReportedState::Running => Self::Running,
            ReportedState::Success => Self::Succeeded,
            ReportedState::Failure => Self::Failed,
        }
    }
}

/// One step of a run as it stands now. Its state changes only by [`StepState::next`] and [`StepState::report`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    #[serde(flatten)]
    row: StepRow,
}

/// The fields of a [`Step`], as a store keeps them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepRow {
    /// The run.
    pub run_id: RunId,
    /// The place in the run.
    pub index: StepIndex,
    /// The name.
    pub name: StepName,
    /// The step that reports this one; none for a planned step.
    pub parent: Option<StepIndex>,
    /// The state.
    pub state: StepState,
    /// 0 before the first start, then counting up with every start of the step or of its undo. For a reported step: the attempt of
    /// its parent.
    pub attempt: u32,
    /// How many attempts were made before its undo began, before it was reset, or before its undo was retried by hand: retry
    /// policies count from here.
    #[serde(skip)]
    pub attempts_before: u32,
    /// What it last said, at most [`MAX_STEP_MESSAGE`] characters.
    pub message: String,
    /// What it produced.
    pub output: Option<Value>,
    /// When the latest attempt began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Not before this time may the next attempt begin.
    pub next_attempt_at: Option<Timestamp>,
    /// The latest attempt must have ended by then.
    pub deadline_at: Option<Timestamp>,
    /// What a takeover needs to find what this attempt left running (for a script: its process).
    #[serde(skip)]
    pub handle: Option<Value>,
    /// What a body kept for the undo of its step; the latest that any attempt kept.
    #[serde(skip)]
    pub undo_data: Option<Value>,
    /// The state it was in when its undo began.
    #[serde(skip)]
    pub undo_from: Option<StepState>,
    /// How many steps its last attempt has reported so far.
    #[serde(skip)]
    pub reported: u32,
}

impl std::ops::Deref for Step {
    type Target = StepRow;

    fn deref(&self) -> &StepRow {
        &self.row
    }
}

impl Step {
    /// A step that has not begun.
    #[must_use]
    pub fn pending(run_id: RunId, index: StepIndex, name: StepName, parent: Option<StepIndex>) -> Self {
        Self {
            row: StepRow {
                run_id,
                index,
                name,
                parent,
                state: StepState::Pending,
                attempt: 0,
                attempts_before: 0,
                message: String::new(),
                output: None,
                started_at: None,
                finished_at: None,
                next_attempt_at: None,
                deadline_at: None,
                handle: None,
                undo_data: None,
                undo_from: None,
                reported: 0,
            },
        }
    }

    /// A step as a store read it back.
    #[must_use]
    pub const fn from_row(row: StepRow) -> Self {
        Self { row }
    }

    /// The fields, for a store to write.
    #[must_use]
    pub const fn row(&self) -> &StepRow {
        &self.row
    }

    pub(crate) fn row_mut(&mut self) -> &mut StepRow {
        &mut self.row
    }

    /// Makes `step_move` at `now`; times and the attempt follow.
    pub(crate) fn advance(&mut self, step_move: StepMove, message: &str, now: Timestamp) -> Result<(), IllegalTransition> {
        let before = self.row.state;
        self.row.state = before.next(step_move)?;
        match step_move {
            StepMove::Start | StepMove::Undo => {
                if before.is_undo() != self.row.state.is_undo() {
                    self.row.undo_from = Some(before);
                    self.row.attempts_before = self.row.attempt;
                }
                self.row.attempt += 1;
                self.row.started_at = Some(now);
                self.row.finished_at = None;
                self.row.next_attempt_at = None;
                self.row.handle = None;
                self.row.reported = 0;
            }
            StepMove::Approve | StepMove::Reject => {
                self.row.attempt += 1;
                self.row.started_at = Some(now);
                self.row.finished_at = Some(now);
            }
            StepMove::Reset => {
                self.row.attempts_before = self.row.attempt;
                self.row.finished_at = None;
            }
            StepMove::UndoRetry => {
                if before == StepState::UndoFailed {
                    self.row.attempts_before = self.row.attempt;
                }
                self.row.finished_at = Some(now);
                self.row.deadline_at = None;
                self.row.next_attempt_at = Some(now);
            }
            StepMove::UndoFail | StepMove::UndoSucceed => {
                self.row.finished_at = Some(now);
                self.row.deadline_at = None;
                self.row.next_attempt_at = None;
            }
            _ => {
                self.row.finished_at = Some(now);
                self.row.deadline_at = None;
            }
        }
        self.say(message);
        Ok(())
    }

    /// Whether a body of it executes: its own, or that of its undo. An undo that waits for its next attempt says since when it may
    /// begin.
    pub(crate) fn has_body(&self) -> bool {
        match self.row.state {
            StepState::Running => true,
            StepState::Undoing => self.row.next_attempt_at.is_none(),
            _ => false,
        }
    }

    /// Sets the message, cut to [`MAX_STEP_MESSAGE`] characters.
    pub(crate) fn say(&mut self, message: &str) {
        self.row.message.clear();
        self.row.message.extend(message.chars().take(MAX_STEP_MESSAGE));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every state of a planned step against every move: what is legal is listed here once more, by hand.
    #[test]
    fn the_machine_has_these_moves_and_no_others() {
        let mut legal = Vec::new();
        for &state in StepState::ALL {
            for &step_move in StepMove::ALL {
                if let Ok(next) = state.next(step_move) {
                    legal.push(format!("{state} {step_move} -> {next}"));
                }
            }
        }
        let golden = include_str!("step_moves.txt");
        assert_eq!(legal.join("\n"), golden.trim_end());
    }
}
