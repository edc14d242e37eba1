//! What bodies that have ended mean for their run: what to record of each, what comes next, and how the run ends.

use std::sync::Arc;

use tokio::time::Instant;

use crate::{
    engine::{
        body::{BodyEnd, How},
        driver::Driver,
    },
    model::{RunState, StepIndex, StepStart, StepState, StopPolicy},
    random,
    store::{End, Settle, Settlement, Skip},
};

impl Driver {
    /// What to record for bodies that have ended. The board shows it at once: when it cannot be recorded, the run is left.
    pub(super) fn settlements(&mut self, ended: Vec<BodyEnd>) -> Vec<Settle> {
        let mut settle = Vec::with_capacity(ended.len());
        for BodyEnd { step, attempt, how } in ended {
            let (how, message) = match how {
                How::Succeeded(done) => (Settlement::Succeeded { output: done.output }, String::new()),
                How::Cancelled(message) => (Settlement::Cancelled, message),
                How::Interrupted(message) => (Settlement::Interrupted, message),
                How::Failed(error) => (self.retry_or_fail(step, attempt, error.is_permanent()), error.to_string()),
                How::TimedOut(limit) => (self.retry_or_fail(step, attempt, false), format!("timed out after {limit:?}")),
                How::Lost => continue,
            };
            tracing::debug!(step = %step, attempt, how = ?how, "step ended");
            self.note(step, &how);
            settle.push(Settle { step, attempt, how, message });
        }
        settle
    }

    /// Shows on the board how a body ended.
    pub(super) fn note(&mut self, step: StepIndex, how: &Settlement) {
        let now = Instant::now();
        let (state, output, at) = match (how, self.board.is_undo(step)) {
            (Settlement::Succeeded { .. }, true) => (StepState::Undone, None, None),
            (Settlement::Failed | Settlement::Cancelled, true) => (StepState::UndoFailed, None, None),
            (Settlement::Interrupted, true) => (StepState::Undoing, None, Some(now)),
            (Settlement::Retry { pause }, true) => (StepState::Undoing, None, Some(now + *pause)),
            (Settlement::Succeeded { output }, false) => (StepState::Succeeded, output.clone(), None),
            (Settlement::Failed, false) => (StepState::Failed, None, None),
            (Settlement::Cancelled, false) => (StepState::Cancelled, None, None),
            (Settlement::Interrupted, false) => (StepState::Pending, None, None),
            (Settlement::Retry { pause }, false) => (StepState::Pending, None, Some(now + *pause)),
        };
        self.board.settled(&self.plan, step, state, output, at);
    }

    fn retry_or_fail(&self, step: StepIndex, attempt: u32, permanent: bool) -> Settlement {
        let planned = self.plan.step(step);
        let policy = planned.map(|planned| if self.board.is_undo(step) { planned.undo_retry() } else { planned.retry });
        match policy.unwrap_or_default().pause_after(self.board.tries(step, attempt), random::fraction()) {
            Some(pause) if !permanent => Settlement::Retry { pause },
            _ => Settlement::Failed,
        }
    }

    /// What is not to be executed, as its condition is false. The board shows it at once, as with what was settled.
    pub(super) fn skips(&mut self) -> Vec<Skip> {
        if self.state != RunState::Running || self.is_cancelling() || self.parked.is_some() {
            return Vec::new();
        }
        let plan = Arc::clone(&self.plan);
        let said = |step| plan.step(step)?.when.as_ref().map(|condition| format!("its condition is false: {condition}"));
        self.board.skip(&plan).into_iter().map(|step| Skip { step, message: said(step).unwrap_or_default() }).collect()
    }

    /// What becomes of the run once `settle`, which the board shows already, is recorded, if anything.
    pub(super) fn end_after(&self, settle: &[Settle]) -> Option<End> {
        if !self.board.is_idle() {
            return None;
        }
        if self.board.undo_begun() {
            return self.end_of_undo(settle);
        }
        if self.is_cancelling() {
            // The run's own message, which says who asked, stays.
            let undoes = self.plan.on_cancel() == StopPolicy::Undo && self.board.is_anything_to_undo(&self.plan);
            return Some(if undoes { End::Undo { failure: None } } else { End::Cancel { message: String::new() } });
        }
        if let Some(message) = self.parked.clone() {
            return Some(End::Park { message });
        }
        let failed_now = settle.iter().find(|settle| settle.how == Settlement::Failed);
        if let Some(step) = failed_now.map(|settle| settle.step).or(self.board.failed()) {
            let why = failed_now.map_or(self.board.failure(), |settle| settle.message.as_str());
            let name = self.name_of(step);
            let message = if why.is_empty() { format!("step {name:?} failed") } else { format!("step {name:?} failed: {why}") };
            return Some(self.failure(message));
        }
        if self.board.is_complete() {
            return Some(End::Succeed { release: self.plan.release().cloned() });
        }
        if self.signals.draining.is_cancelled() {
            return Some(End::HandBack);
        }
        let goes_on = self.board.next_attempt(&self.plan).is_some() || !self.board.startable(&self.plan, Instant::now()).is_empty();
        if goes_on {
            return None;
        }
        if let Some(step) = self.board.awaits_approval(&self.plan) {
            let role = self.plan.step(step).and_then(|planned| planned.approval).map(|role| role.to_string()).unwrap_or_default();
            return Some(End::Wait {
                message: format!("step {:?} waits for the approval of somebody with the role {role}", self.name_of(step)),
            });
        }
        // All that was asked for when the run was resumed is done, and that was not everything.
        let (step, state) = self.board.left_over()?;
        Some(self.failure(format!("step {:?} was left {state}; resume the run to do what is left", self.name_of(step))))
    }

    /// The end of a run that failed: it is left as it is, or undone.
    fn failure(&self, message: String) -> End {
        if self.plan.on_failure() == StopPolicy::Undo && self.board.is_anything_to_undo(&self.plan) {
            End::Undo { failure: Some(message) }
        } else {
            End::Fail { message }
        }
    }

    pub(super) fn name_of(&self, step: StepIndex) -> String {
        self.plan.step(step).map(|planned| planned.name.to_string()).unwrap_or_default()
    }

    /// What may start together with what was settled and that end.
    pub(super) fn startable_with(&self, end: Option<&End>) -> Vec<StepStart> {
        let now = Instant::now();
        match end {
            Some(End::Undo { .. }) => return self.board.undo_startable(&self.plan, now),
            Some(_) => return Vec::new(),
            None if self.parked.is_some() || self.is_cancelling() || self.signals.draining.is_cancelled() => return Vec::new(),
            None => {}
        }
        if self.state == RunState::Undoing { self.board.undo_startable(&self.plan, now) } else { self.board.startable(&self.plan, now) }
    }
}
