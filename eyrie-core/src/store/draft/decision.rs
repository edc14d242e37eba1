//! What somebody decides about a run from outside: cancel, approve, resume, retry, skip.

use super::{Draft, illegal_run};
use crate::{
    error::IllegalTransition,
    model::{AuditEntry, Resumption, RunMove, RunState, Step, StepIndex, StepMove, StepState, beside},
    store::{Change, Command, RecordError, Settle, Settlement},
};

impl Draft<'_> {
    /// Asks for a cancel. A run that a worker holds is stopped by it. One that nobody holds is cancelled at once, unless it has begun,
    /// still has its deployment's turn, and is to be undone first: a worker does that.
    pub(super) fn request_cancel(&mut self, reason: &str, undo: bool) -> Result<(), RecordError> {
        if self.run.state == RunState::Cancelling {
            return Ok(());
        }
        let is_undo = self.run.state == RunState::Undoing || !self.planned_where(|step| step.state.is_undo()).is_empty();
        let reason = if is_undo { beside(&self.run.message, reason) } else { reason.to_owned() };
        if self.run.state.next(RunMove::RequestCancel)? != RunState::Cancelled {
            return self.move_run(RunMove::RequestCancel, &reason);
        }
        let has_turn = self.run.state != RunState::Queued || self.run.ready;
        if undo && !is_undo && has_turn && self.run.started_at.is_some() {
            self.run.row_mut().ready = false;
            return self.move_run(RunMove::CancelAndUndo, &reason);
        }
        self.stop_abandoned()?;
        self.end_without_success(RunMove::RequestCancel, &reason)
    }

    /// The run was set aside although steps were running, because it could not be recorded how they ended. Nobody executes them any
    /// more, and nobody will.
    fn stop_abandoned(&mut self) -> Result<(), RecordError> {
        let abandoned: Vec<_> = self.unfinished_where(|step| step.parent.is_none() && step.has_body()).collect();
        for index in abandoned {
            let step = self.step(index)?;
            let step_move = if step.state == StepState::Undoing { StepMove::UndoFail } else { StepMove::Cancel };
            let (attempt, message) = (step.attempt, "how it ended could not be recorded".to_owned());
            self.settle_reports(&Settle { step: index, attempt, how: Settlement::Cancelled, message: String::new() })?;
            self.move_step(index, step_move, &message)?;
        }
        Ok(())
    }

    /// Somebody's word on a step that the run waits for. It has kept its deployment's turn.
    pub(super) fn approve(&mut self, step: StepIndex, approved: bool, reason: &str) -> Result<(), RecordError> {
        let step_move = if approved { StepMove::Approve } else { StepMove::Reject };
        if self.step(step)?.parent.is_some() || self.run.state != RunState::Waiting {
            return Err(illegal_run(&self.run, "have a step approved or rejected"));
        }
        self.move_step(step, step_move, reason)?;
        self.move_run(RunMove::Wake, reason)?;
        self.run.row_mut().ready = true;
        Ok(())
    }

    /// What a failed run did not do is to be done after all.
    fn reset(&mut self, steps: Vec<StepIndex>, run_move: RunMove, reason: &str) -> Result<(), RecordError> {
        self.run.state.next(run_move)?;
        for index in steps {
            self.move_step(index, StepMove::Reset, "")?;
        }
        self.queue_again(run_move, reason)
    }

    pub(super) fn retry_step(&mut self, step: StepIndex, dependents: &[StepIndex], reason: &str) -> Result<(), RecordError> {
        if self.run.state != RunState::Failed {
            return Err(illegal_run(&self.run, "have a step tried again"));
        }
        let failed = self.step(step)?;
        if failed.state != StepState::Failed || failed.parent.is_some() {
            return Err(IllegalTransition { machine: "step", from: failed.state.as_str(), event: "be tried again" }.into());
        }
        let again = self.planned_where(|one| one.index == step || (dependents.contains(&one.index) && was_stopped(one)));
        // Others that failed stay so: they do not stop what is tried now, but the run cannot succeed.
        for other in self.planned_where(|one| one.state == StepState::Failed && !again.contains(&one.index)) {
            let other = self.step(other)?.row_mut();
            other.attempts_before = other.attempt;
        }
        self.reset(again, RunMove::Resume, reason)
    }

    pub(super) fn retry_undo(&mut self, reason: &str) -> Result<(), RecordError> {
        self.run.state.next(RunMove::ResumeUndo)?;
        let failed = self.planned_where(|step| step.state == StepState::UndoFailed);
        if failed.is_empty() {
            return Err(illegal_run(&self.run, RunMove::ResumeUndo.as_str()));
        }
        for index in failed {
            self.move_step(index, StepMove::UndoRetry, "")?;
        }
        self.queue_again(RunMove::ResumeUndo, &beside(&self.run.message, reason))
    }

    /// Queues a run that had ended. Its deployment went on without it, so that it may have to wait for its turn.
    fn queue_again(&mut self, run_move: RunMove, message: &str) -> Result<(), RecordError> {
        self.move_run(run_move, message)?;
        self.freed = true;
        Ok(())
    }

    /// Keeps who has a run go on that nobody holds. An approval does not: it is a word about a step, and whoever asked for the run goes
    /// on to answer for it.
    pub(super) fn note_resumption(&mut self, command: &Command) {
        let undo = match command.change {
            Change::Resume { .. } | Change::RetryStep { .. } => false,
            Change::RetryUndo { .. } | Change::SkipUndo { .. } => true,
            _ => return,
        };
        let epoch = self.run.epoch;
        let by = |audit: &AuditEntry| Resumption { by: audit.principal.clone(), origin: audit.origin.clone(), undo, epoch };
        self.run.row_mut().resumption = command.audit.as_deref().map(by);
    }

    /// A parked run goes on; a failed one does what it did not do.
    pub(super) fn resume(&mut self, reason: &str) -> Result<(), RecordError> {
        if self.run.state != RunState::Parked {
            let again = self.planned_where(was_stopped);
            return self.reset(again, RunMove::Resume, reason);
        }
        let is_undo = !self.planned_where(|step| step.state.is_undo()).is_empty();
        let said = if is_undo { beside(&self.run.message, reason) } else { reason.to_owned() };
        self.move_run(RunMove::Resume, &said)?;
        self.run.row_mut().ready = true;
        Ok(())
    }

    /// A step whose undo failed counts as undone.
    pub(super) fn skip_undo(&mut self, step: StepIndex, reason: &str) -> Result<(), RecordError> {
        self.move_step(step, StepMove::UndoSkip, reason)?;
        self.queue_again(RunMove::ResumeUndo, &beside(&self.run.message, reason))
    }
}

/// Whether the step ended without success, and without having been undone.
fn was_stopped(step: &Step) -> bool {
    matches!(step.state, StepState::Failed | StepState::Skipped | StepState::Cancelled)
}
