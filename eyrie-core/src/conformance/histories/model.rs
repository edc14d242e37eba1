//! The model: what a run and its steps are after each command, and which commands must be refused.

use crate::{
    id::{DeploymentId, WorkerId},
    model::{ReportedState, RunState, StepState},
    store::{Change, Command, End, Settlement},
};

/// A step as the model has it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ModelStep {
    pub(super) name: String,
    pub(super) parent: Option<usize>,
    pub(super) state: StepState,
    pub(super) attempt: u32,
    /// Its undo waits for its next attempt.
    pub(super) waits: bool,
}

impl ModelStep {
    pub(super) fn new(name: String, parent: Option<usize>, attempt: u32) -> Self {
        Self { name, parent, state: StepState::Pending, attempt, waits: false }
    }

    pub(super) fn has_body(&self) -> bool {
        self.state == StepState::Running || (self.state == StepState::Undoing && !self.waits)
    }

    pub(super) fn can_be_skipped(&self) -> bool {
        self.state == StepState::Pending && self.attempt == 0 && self.parent.is_none()
    }

    pub(super) fn can_begin_undo(&self) -> bool {
        let stopped = matches!(self.state, StepState::Succeeded | StepState::Failed | StepState::Cancelled) || self.waits;
        self.parent.is_none() && self.attempt > 0 && stopped
    }

    fn reset(&mut self) {
        if matches!(self.state, StepState::Failed | StepState::Skipped | StepState::Cancelled) {
            self.state = StepState::Pending;
        }
    }
}

/// A run as the model has it.
#[derive(Debug, Clone)]
pub(super) struct ModelRun {
    pub(super) deployment: DeploymentId,
    pub(super) state: RunState,
    /// It is queued and has its deployment's turn.
    pub(super) ready: bool,
    /// It was claimed since it was queued, or queued again after its end.
    pub(super) started: bool,
    pub(super) holder: Option<WorkerId>,
    pub(super) epoch: u64,
    /// How often it ended.
    pub(super) ends: usize,
    pub(super) steps: Vec<ModelStep>,
}

impl ModelRun {
    pub(super) fn is_open(&self) -> bool {
        let ended =
            matches!(self.state, RunState::Succeeded | RunState::Failed | RunState::Cancelled | RunState::Undone | RunState::UndoFailed);
        !ended
    }

    fn planned(&mut self) -> impl Iterator<Item = &mut ModelStep> {
        self.steps.iter_mut().filter(|step| step.parent.is_none())
    }

    pub(super) fn undo_begun(&self) -> bool {
        let is_undo = |step: &ModelStep| matches!(step.state, StepState::Undoing | StepState::Undone | StepState::UndoFailed);
        self.steps.iter().any(is_undo)
    }

    fn queue_again(&mut self) {
        (self.state, self.ready, self.started) = (RunState::Queued, false, false);
    }

    fn settle(&mut self, index: usize, attempt: u32, how: &Settlement) -> Option<()> {
        let step = self.steps.get_mut(index).filter(|step| step.has_body() && step.attempt == attempt)?;
        let is_undo = step.state == StepState::Undoing;
        let (own, running_report) = match how {
            Settlement::Succeeded { .. } => (StepState::Succeeded, StepState::Succeeded),
            Settlement::Failed => (StepState::Failed, StepState::Failed),
            Settlement::Cancelled => (StepState::Cancelled, StepState::Cancelled),
            Settlement::Retry { .. } | Settlement::Interrupted => (StepState::Pending, StepState::Failed),
        };
        step.state = match (own, is_undo) {
            (own, false) => own,
            (StepState::Succeeded, true) => StepState::Undone,
            (StepState::Pending, true) => StepState::Undoing,
            (_, true) => StepState::UndoFailed,
        };
        step.waits = step.state == StepState::Undoing;
        for below in self.steps.iter_mut().filter(|step| step.parent == Some(index)) {
            match below.state {
                StepState::Running => below.state = running_report,
                StepState::Pending => below.state = StepState::Skipped,
                _ => {}
            }
        }
        Some(())
    }

    fn end(&mut self, state: RunState) {
        (self.state, self.holder, self.ready) = (state, None, false);
        self.ends += usize::from(!self.is_open());
        if matches!(state, RunState::Failed | RunState::Cancelled) {
            for step in self.steps.iter_mut().filter(|step| step.state == StepState::Pending) {
                step.state = StepState::Skipped;
            }
            for step in self.steps.iter_mut().filter(|step| step.waits) {
                (step.state, step.waits) = (StepState::UndoFailed, false);
            }
        }
    }

    fn begin_undo(&mut self) {
        self.state = RunState::Undoing;
        for step in self.steps.iter_mut().filter(|step| step.state == StepState::Pending) {
            let begun = step.parent.is_none() && step.attempt > 0;
            step.state = if begun { StepState::Cancelled } else { StepState::Skipped };
        }
    }

    fn cancel(&mut self, undo: bool) -> Option<()> {
        let has_turn = self.state != RunState::Queued || self.ready;
        match self.state {
            RunState::Running | RunState::Undoing | RunState::Cancelling => self.state = RunState::Cancelling,
            RunState::Queued | RunState::Waiting | RunState::Parked if undo && has_turn && self.started && !self.undo_begun() => {
                (self.state, self.ready) = (RunState::Cancelling, false);
            }
            RunState::Queued | RunState::Waiting | RunState::Parked => {
                let steps = self.steps.iter().enumerate().filter(|(_, step)| step.parent.is_none() && step.has_body());
                let abandoned: Vec<_> = steps.map(|(index, step)| (index, step.attempt)).collect();
                for (index, attempt) in abandoned {
                    self.settle(index, attempt, &Settlement::Cancelled)?;
                }
                self.end(RunState::Cancelled);
            }
            _ => return None,
        }
        Some(())
    }

    fn report(&mut self, parent: usize, name: &str, said: ReportedState) -> Option<()> {
        let attempt = self.steps.get(parent).filter(|step| step.has_body())?.attempt;
        let is_open = |step: &ModelStep| matches!(step.state, StepState::Pending | StepState::Running);
        let fits = |step: &ModelStep| step.parent == Some(parent) && step.attempt == attempt && step.name == name && is_open(step);
        let index = self.steps.iter().position(fits).unwrap_or_else(|| {
            self.steps.push(ModelStep::new(name.to_owned(), Some(parent), attempt));
            self.steps.len() - 1
        });
        let step = &mut self.steps[index];
        step.state = match said {
            ReportedState::Pending => step.state,
            ReportedState::Running => StepState::Running,
            ReportedState::Success => StepState::Succeeded,
            ReportedState::Failure => StepState::Failed,
        };
        Some(())
    }

    /// The run after the command; none when it must be refused.
    pub(super) fn after(&self, command: &Command) -> Option<Self> {
        let mut run = self.clone();
        if let Some(fence) = command.fence
            && (run.holder, run.epoch) != (Some(fence.worker), fence.epoch)
        {
            return None;
        }
        match &command.change {
            Change::Advance { settle, skip, start, end } => {
                for one in settle {
                    run.settle(one.step.position(), one.attempt, &one.how)?;
                }
                let undoes = matches!(end, Some(End::Undo { .. }));
                if run.state == RunState::Running && !undoes {
                    for one in skip {
                        run.steps.get_mut(one.step.position()).filter(|step| step.can_be_skipped())?.state = StepState::Skipped;
                    }
                    for one in start {
                        let step = run.steps.get_mut(one.index.position()).filter(|step| step.state == StepState::Pending)?;
                        (step.state, step.attempt) = (StepState::Running, step.attempt + 1);
                    }
                }
                match (end, run.state) {
                    (None, _) => {}
                    (Some(End::HandBack), _) => run.holder = None,
                    (Some(End::Cancel { .. }), RunState::Cancelling) => run.end(RunState::Cancelled),
                    (Some(End::Undo { failure: None }), RunState::Cancelling) => run.begin_undo(),
                    (Some(End::Cancel { .. } | End::Undo { failure: None }), _) => return None,
                    (Some(_), RunState::Cancelling) => {}
                    (Some(End::Undo { .. }), RunState::Running) => run.begin_undo(),
                    (Some(End::UndoSucceed), RunState::Undoing) => run.end(RunState::Undone),
                    (Some(End::UndoFail { .. }), RunState::Undoing) => run.end(RunState::UndoFailed),
                    (Some(End::Park { .. }), RunState::Running | RunState::Undoing) => run.end(RunState::Parked),
                    (Some(End::Wait { .. }), RunState::Running) => run.end(RunState::Waiting),
                    (Some(End::Succeed { .. }), RunState::Running) => run.end(RunState::Succeeded),
                    (Some(End::Fail { .. }), RunState::Running) => run.end(RunState::Failed),
                    (Some(_), _) => return None,
                }
                if run.state == RunState::Undoing {
                    for one in start {
                        let step = run.steps.get_mut(one.index.position()).filter(|step| step.can_begin_undo())?;
                        (step.state, step.attempt, step.waits) = (StepState::Undoing, step.attempt + 1, false);
                    }
                    if undoes && start.is_empty() {
                        return None;
                    }
                }
            }
            Change::Report(said) => run.report(said.parent.unwrap().position(), said.name.as_str(), said.state)?,
            Change::RequestCancel { .. } => run.cancel(false)?,
            Change::CancelAndUndo { .. } => run.cancel(true)?,
            Change::Approve { step, approved, .. } if run.state == RunState::Waiting => {
                let step = run.steps.get_mut(step.position()).filter(|step| step.parent.is_none() && step.state == StepState::Pending)?;
                step.state = if *approved { StepState::Succeeded } else { StepState::Failed };
                step.attempt += 1;
                (run.state, run.ready) = (RunState::Queued, true);
            }
            Change::Resume { .. } if run.state == RunState::Parked => (run.state, run.ready) = (RunState::Queued, true),
            Change::Resume { .. } if run.state == RunState::Failed => {
                run.planned().for_each(ModelStep::reset);
                run.queue_again();
            }
            Change::RetryStep { step, dependents, .. } if run.state == RunState::Failed => {
                run.steps.get(step.position()).filter(|step| step.state == StepState::Failed && step.parent.is_none())?;
                for index in [step].into_iter().chain(dependents) {
                    run.steps[index.position()].reset();
                }
                run.queue_again();
            }
            Change::RetryUndo { .. } if matches!(run.state, RunState::UndoFailed | RunState::Cancelled) => {
                let mut failed = run.planned().filter(|step| step.state == StepState::UndoFailed).peekable();
                failed.peek()?;
                failed.for_each(|step| (step.state, step.waits) = (StepState::Undoing, true));
                run.queue_again();
            }
            Change::SkipUndo { step, .. } if matches!(run.state, RunState::UndoFailed | RunState::Cancelled) => {
                run.steps.get_mut(step.position()).filter(|step| step.state == StepState::UndoFailed)?.state = StepState::Undone;
                run.queue_again();
            }
            _ => return None,
        }
        Some(run)
    }
}
