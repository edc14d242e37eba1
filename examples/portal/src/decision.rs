//! What somebody decides about a run: one piece for the REST interface, the pages and the command.

use eyrie_core::{Acting, Result, id::RunId, model::StepIndex, platform::RunView};

/// What is decided about a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It is to stop.
    Cancel,
    /// It goes on after it was parked, or from where it failed.
    Resume,
    /// The undos that failed, or were cancelled, are tried again.
    RetryUndo,
    /// Something about one of its steps.
    Step(StepDecision, StepIndex),
}

/// What is decided about a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepDecision {
    /// It is approved of.
    Approve,
    /// It is rejected.
    Reject,
    /// It failed and is tried again.
    Retry,
    /// Its undo failed; it counts as undone.
    SkipUndo,
}

impl Decision {
    /// Carries it out on behalf of somebody; answers with the run.
    ///
    /// # Errors
    /// As the use case says.
    pub async fn carry_out(self, acting: &Acting, run: RunId, reason: &str) -> Result<RunView> {
        match self {
            Self::Cancel => acting.cancel_run(run, reason).await,
            Self::Resume => acting.resume_run(run, reason).await,
            Self::RetryUndo => acting.retry_undo(run, reason).await,
            Self::Step(StepDecision::Approve, step) => acting.approve_step(run, step, reason).await,
            Self::Step(StepDecision::Reject, step) => acting.reject_step(run, step, reason).await,
            Self::Step(StepDecision::Retry, step) => acting.retry_step(run, step, reason).await,
            Self::Step(StepDecision::SkipUndo, step) => acting.skip_undo(run, step, reason).await,
        }
    }

    /// Its route, below `/api/v1`.
    #[must_use]
    pub fn route(self, run: RunId) -> String {
        match self {
            Self::Cancel => format!("runs/{run}/cancel"),
            Self::Resume => format!("runs/{run}/resume"),
            Self::RetryUndo => format!("runs/{run}/retry-undo"),
            Self::Step(decision, step) => format!("runs/{run}/steps/{step}/{}", decision.word()),
        }
    }
}

impl StepDecision {
    const fn word(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::Retry => "retry",
            Self::SkipUndo => "skip-undo",
        }
    }
}
