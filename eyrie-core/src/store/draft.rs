//! One command's changes to one run, kept apart until the command is known to be legal as a whole: the rules of what may happen.

mod decision;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    clock::{Timestamp, later},
    error::IllegalTransition,
    id::{ReleaseId, WorkerId},
    model::{
        PlannedRelease, Release, Run, RunEvent, RunEventBody, RunMove, RunState, Step, StepIndex, StepMove, StepStart, StepState, beside,
        cause,
    },
    name::StepName,
    store::{Change, Command, End, EventRow, Outcome, RecordError, RunView, Settle, Settlement, Skip, StepReport},
};

/// The most steps that one attempt of a step may report.
pub const MAX_REPORTED_STEPS: u32 = 10_000;

/// The most that a body may keep for the undo of its step, as JSON in bytes.
pub const MAX_UNDO_DATA: usize = 256 * 1024;

/// One command's changes, kept apart until it is known to be legal as a whole.
pub(super) struct Draft<'a> {
    view: &'a RunView,
    pub(super) run: Run,
    pub(super) steps: BTreeMap<StepIndex, Step>,
    pub(super) new_steps: BTreeSet<StepIndex>,
    pub(super) events: Vec<RunEvent>,
    pub(super) started: Vec<(StepIndex, u32, Option<Timestamp>)>,
    pub(super) outcome: Option<Outcome>,
    pub(super) freed: bool,
    now: Timestamp,
}

impl<'a> Draft<'a> {
    pub(super) fn of(view: &'a RunView, now: Timestamp) -> Self {
        Self {
            view,
            run: view.run.clone(),
            steps: BTreeMap::new(),
            new_steps: BTreeSet::new(),
            events: Vec::new(),
            started: Vec::new(),
            outcome: None,
            freed: false,
            now,
        }
    }

    /// Makes the command's change, or refuses it.
    pub(super) fn make(&mut self, command: &Command) -> Result<(), RecordError> {
        match &command.change {
            Change::Advance { settle, skip, start, end } => self.settle_and_start(settle, skip, start, end.as_ref())?,
            Change::Transact { step, attempt, output, .. } => {
                let how = Settlement::Succeeded { output: output.clone() };
                self.settle(&Settle { step: *step, attempt: *attempt, how, message: String::new() })?;
            }
            Change::Report(report) => self.report(report)?,
            Change::Expect { parent, names } => self.expect(*parent, names)?,
            Change::Progress { step, message } => self.progress(*step, message)?,
            Change::KeepHandle { step, attempt, handle } => {
                let step = self.running(*step, Some(*attempt))?;
                step.row_mut().handle = Some(handle.clone());
            }
            Change::SaveUndo { step, attempt, data } => {
                if data.to_string().len() > MAX_UNDO_DATA {
                    return Err(RecordError::Limit(format!("a step can keep at most {MAX_UNDO_DATA} bytes for its undo")));
                }
                let step = self.running(*step, Some(*attempt))?;
                step.row_mut().undo_data = Some(data.clone());
            }
            Change::Approve { step, approved, reason } => self.approve(*step, *approved, reason)?,
            Change::RequestCancel { reason } => self.request_cancel(reason, false)?,
            Change::CancelAndUndo { reason } => self.request_cancel(reason, true)?,
            Change::Resume { reason } => self.resume(reason)?,
            Change::RetryStep { step, dependents, reason } => self.retry_step(*step, dependents, reason)?,
            Change::RetryUndo { reason } => self.retry_undo(reason)?,
            Change::SkipUndo { step, reason } => self.skip_undo(*step, reason)?,
        }
        self.note_resumption(command);
        Ok(())
    }

    /// The step as this command has it so far, to be changed.
    fn step(&mut self, index: StepIndex) -> Result<&mut Step, RecordError> {
        match self.steps.entry(index) {
            std::collections::btree_map::Entry::Occupied(entry) => Ok(entry.into_mut()),
            std::collections::btree_map::Entry::Vacant(entry) => {
                let step = self.view.steps.get(&index).ok_or(RecordError::Missing("step"))?;
                Ok(entry.insert(step.clone()))
            }
        }
    }

    /// The step, which must be running (and in that attempt), in a run that has not ended.
    fn running(&mut self, index: StepIndex, attempt: Option<u32>) -> Result<&mut Step, RecordError> {
        if !self.run.state.is_held() {
            return Err(IllegalTransition { machine: "run", from: self.run.state.as_str(), event: "have a step go on" }.into());
        }
        let step = self.step(index)?;
        if step.has_body() && attempt.is_none_or(|attempt| attempt == step.attempt) {
            Ok(step)
        } else {
            Err(IllegalTransition { machine: "step", from: step.state.as_str(), event: "go on in that attempt" }.into())
        }
    }

    fn event(&mut self, body: RunEventBody) {
        let seq = self.run.last_seq + 1;
        self.run.row_mut().last_seq = seq;
        let (run_id, project_id, epoch) = (self.run.id, self.run.project_id, self.run.epoch);
        self.events.push(RunEvent { run_id, project_id, seq, at: self.now, epoch, body });
    }

    fn step_event(&mut self, index: StepIndex) {
        if let Some(step) = self.steps.get(&index) {
            let body = step_body(step);
            self.event(body);
        }
    }

    fn move_run(&mut self, run_move: RunMove, message: &str) -> Result<(), RecordError> {
        let was_terminal = self.run.state.is_terminal();
        self.run.advance(run_move, message, self.now)?;
        self.freed |= !was_terminal && self.run.state.is_terminal();
        let body = RunEventBody::Run { state: self.run.state, message: self.run.message.clone() };
        self.event(body);
        Ok(())
    }

    fn move_step(&mut self, index: StepIndex, step_move: StepMove, message: &str) -> Result<(), RecordError> {
        let now = self.now;
        self.step(index)?.advance(step_move, message, now)?;
        self.step_event(index);
        Ok(())
    }

    fn settle_and_start(&mut self, settle: &[Settle], skip: &[Skip], start: &[StepStart], end: Option<&End>) -> Result<(), RecordError> {
        for one in settle {
            self.settle(one)?;
        }
        let undoes = matches!(end, Some(End::Undo { .. }));
        if self.run.state == RunState::Running && !undoes {
            for one in skip {
                self.skip(one)?;
            }
            for one in start {
                self.start(*one, StepMove::Start)?;
            }
        }
        match end {
            None => {}
            Some(End::HandBack) => self.run.row_mut().worker_id = None,
            Some(End::Cancel { message }) => self.end_without_success(RunMove::Cancel, message)?,
            // A cancel that came first wins: the run goes on cancelling, and its holder sees that in the answer.
            Some(End::Undo { failure: None }) => self.begin_undo(RunState::Cancelling, "")?,
            Some(_) if self.run.state == RunState::Cancelling => {}
            Some(End::Undo { failure: Some(message) }) => self.begin_undo(RunState::Running, message)?,
            Some(End::UndoSucceed) => {
                let cause = cause(&self.run.message).to_owned();
                self.move_run(RunMove::UndoSucceed, &cause)?;
            }
            Some(End::UndoFail { message }) => {
                self.move_run(RunMove::UndoFail, &beside(&self.run.message, message))?;
                self.outcome = Some(self.outcome(false, None));
            }
            Some(End::Succeed { release }) => self.succeed(release.as_ref())?,
            Some(End::Fail { message }) => self.end_without_success(RunMove::Fail, message)?,
            Some(End::Wait { message }) => self.move_run(RunMove::Wait, message)?,
            Some(End::Park { message }) if self.run.state == RunState::Undoing => {
                self.move_run(RunMove::Park, &beside(&self.run.message, message))?;
            }
            Some(End::Park { message }) => self.move_run(RunMove::Park, message)?,
        }
        if self.run.state == RunState::Undoing {
            for one in start {
                self.start_undo(*one)?;
            }
            // Whoever claims the run later can tell by its steps that its undo has begun.
            if undoes && start.is_empty() {
                return Err(illegal_run(&self.run, "be undone without a step to begin with"));
            }
        }
        Ok(())
    }

    fn settle(&mut self, settle: &Settle) -> Result<(), RecordError> {
        let step = self.running(settle.step, Some(settle.attempt))?;
        let step_move = match (&settle.how, step.state) {
            (Settlement::Succeeded { .. }, StepState::Undoing) => StepMove::UndoSucceed,
            (Settlement::Failed | Settlement::Cancelled, StepState::Undoing) => StepMove::UndoFail,
            (Settlement::Retry { .. } | Settlement::Interrupted, StepState::Undoing) => StepMove::UndoRetry,
            (Settlement::Succeeded { output }, _) => {
                step.row_mut().output.clone_from(output);
                StepMove::Succeed
            }
            (Settlement::Failed, _) => StepMove::Fail,
            (Settlement::Retry { .. }, _) => StepMove::Retry,
            (Settlement::Cancelled, _) => StepMove::Cancel,
            (Settlement::Interrupted, _) => StepMove::Interrupt,
        };
        self.settle_reports(settle)?;
        self.move_step(settle.step, step_move, &settle.message)?;
        if let Settlement::Retry { pause } = settle.how {
            let at = later(self.now, pause);
            self.step(settle.step)?.row_mut().next_attempt_at = Some(at);
        }
        Ok(())
    }

    /// The reported steps that are still open when the step that reports them ends.
    fn settle_reports(&mut self, settle: &Settle) -> Result<(), RecordError> {
        let open: Vec<_> = self.unfinished_where(|step| step.parent == Some(settle.step)).collect();
        for index in open {
            let now = self.now;
            let step = self.step(index)?;
            let was_running = step.state == StepState::Running;
            let (state, message) = match (&settle.how, was_running) {
                (Settlement::Succeeded { .. }, true) => (StepState::Succeeded, Some("ended with the script, which succeeded")),
                (Settlement::Failed, true) => (StepState::Failed, Some("the script ended during this step")),
                (Settlement::Cancelled, true) => (StepState::Cancelled, Some("cancelled")),
                (Settlement::Retry { .. } | Settlement::Interrupted, true) => (StepState::Failed, Some("interrupted")),
                (_, false) => (StepState::Skipped, None),
            };
            step.row_mut().state = state;
            step.row_mut().finished_at = Some(now);
            if let Some(message) = message
                && step.message.is_empty()
            {
                step.say(message);
            }
            self.step_event(index);
        }
        Ok(())
    }

    /// What has begun may have had an effect, and cannot be skipped any more.
    fn skip(&mut self, skip: &Skip) -> Result<(), RecordError> {
        let step = self.step(skip.step)?;
        if step.parent.is_some() || step.attempt > 0 {
            return Err(IllegalTransition { machine: "step", from: step.state.as_str(), event: "be skipped by its condition" }.into());
        }
        self.move_step(skip.step, StepMove::Skip, &skip.message)
    }

    fn start_undo(&mut self, start: StepStart) -> Result<(), RecordError> {
        let step = self.step(start.index)?;
        if step.parent.is_some() || step.attempt == 0 || step.has_body() {
            return Err(IllegalTransition { machine: "step", from: step.state.as_str(), event: StepMove::Undo.as_str() }.into());
        }
        self.start(start, StepMove::Undo)
    }

    fn start(&mut self, start: StepStart, step_move: StepMove) -> Result<(), RecordError> {
        let deadline = start.timeout_ms.map(|ms| later(self.now, std::time::Duration::from_millis(ms)));
        self.move_step(start.index, step_move, "")?;
        let step = self.step(start.index)?;
        step.row_mut().deadline_at = deadline;
        let attempt = step.attempt;
        self.started.push((start.index, attempt, deadline));
        Ok(())
    }

    fn succeed(&mut self, planned: Option<&PlannedRelease>) -> Result<(), RecordError> {
        let release = planned.map(|planned| {
            let release = Release {
                id: ReleaseId::new(),
                deployment_id: self.run.deployment_id,
                run_id: self.run.id,
                plan_hash: self.run.plan_hash,
                config: planned.config.clone(),
                created_at: self.now,
            };
            (release, planned.leaves_running)
        });
        self.run.row_mut().release_id = release.as_ref().map(|(release, _)| release.id);
        self.move_run(RunMove::Succeed, "")?;
        self.outcome = Some(self.outcome(true, release));
        Ok(())
    }

    fn end_without_success(&mut self, run_move: RunMove, message: &str) -> Result<(), RecordError> {
        self.run.state.next(run_move)?;
        let rest: Vec<_> = self.unfinished_where(|step| step.state == StepState::Pending).collect();
        for index in rest {
            self.move_step(index, StepMove::Skip, "")?;
        }
        let undos: Vec<_> = self.unfinished_where(|step| step.state == StepState::Undoing && !step.has_body()).collect();
        for index in undos {
            self.move_step(index, StepMove::UndoFail, "its undo was cancelled")?;
        }
        let began = self.run.started_at.is_some();
        self.move_run(run_move, message)?;
        if began {
            self.outcome = Some(self.outcome(false, None));
        }
        Ok(())
    }

    /// The run is to be undone after what it must be in now: `running` after a failure, `cancelling` after a cancel.
    fn begin_undo(&mut self, from: RunState, message: &str) -> Result<(), RecordError> {
        if self.run.state != from {
            return Err(illegal_run(&self.run, RunMove::Undo.as_str()));
        }
        let rest: Vec<_> = self.unfinished_where(|step| step.state == StepState::Pending).collect();
        for index in rest {
            // What was begun before, and was to begin again, may have had an effect.
            let (begun, said) = self.step(index).map(|step| (step.attempt > 0 && step.parent.is_none(), step.message.clone()))?;
            if begun {
                self.move_step(index, StepMove::Cancel, &said)?;
            } else {
                self.move_step(index, StepMove::Skip, "")?;
            }
        }
        self.move_run(RunMove::Undo, message)
    }

    fn outcome(&self, succeeded: bool, release: Option<(Release, bool)>) -> Outcome {
        Outcome { run_id: self.run.id, deployment_id: self.run.deployment_id, kind: self.run.kind, succeeded, release }
    }

    /// Places of the planned steps (as this command has them so far) that fit.
    fn planned_where(&self, fits: impl Fn(&Step) -> bool) -> Vec<StepIndex> {
        let current = |(index, step)| self.steps.get(index).unwrap_or(step);
        let all = self.view.steps.iter().map(current);
        all.filter(|step| step.parent.is_none() && fits(step)).map(|step| step.index).collect()
    }

    /// Places of the steps that are pending, running or undoing (as this command has them so far) and fit.
    fn unfinished_where(&self, fits: impl Fn(&Step) -> bool) -> impl Iterator<Item = StepIndex> {
        let current = |index: &StepIndex| self.steps.get(index).or_else(|| self.view.steps.get(index));
        let all: BTreeSet<_> = self.view.steps.keys().chain(self.steps.keys()).copied().collect();
        let fitting: Vec<_> =
            all.into_iter().filter(|index| current(index).is_some_and(|step| is_unfinished(step) && fits(step))).collect();
        fitting.into_iter()
    }

    fn progress(&mut self, index: StepIndex, message: &str) -> Result<(), RecordError> {
        let step = self.running(index, None)?;
        step.say(message);
        let body = RunEventBody::Progress { index, name: step.name.clone(), message: step.message.clone() };
        self.event(body);
        Ok(())
    }

    fn expect(&mut self, parent: StepIndex, names: &[StepName]) -> Result<(), RecordError> {
        for name in names {
            let index = self.open_report(parent, name)?;
            self.step_event(index);
        }
        Ok(())
    }

    /// Adds a pending reported step behind all others.
    fn open_report(&mut self, parent: StepIndex, name: &StepName) -> Result<StepIndex, RecordError> {
        let holder = self.running(parent, None)?;
        if holder.reported >= MAX_REPORTED_STEPS {
            return Err(RecordError::Limit(format!("a step can report at most {MAX_REPORTED_STEPS} steps")));
        }
        holder.row_mut().reported += 1;
        let attempt = holder.attempt;
        let index = StepIndex::new(self.run.step_count);
        self.run.row_mut().step_count += 1;
        let mut step = Step::pending(self.run.id, index, name.clone(), Some(parent));
        step.row_mut().attempt = attempt;
        self.steps.insert(index, step);
        self.new_steps.insert(index);
        Ok(index)
    }

    fn report(&mut self, report: &StepReport) -> Result<(), RecordError> {
        let parent = match report.parent {
            Some(parent) => parent,
            None => self.unfinished_where(|step| step.parent.is_none() && step.has_body()).next().ok_or(IllegalTransition {
                machine: "run",
                from: self.run.state.as_str(),
                event: "take a report",
            })?,
        };
        let attempt = self.running(parent, None)?.attempt;
        let fits = |step: &Step| step.parent == Some(parent) && step.attempt == attempt && step.name == report.name;
        let oldest = self.unfinished_where(fits).next();
        let index = match oldest {
            Some(index) => index,
            None => self.open_report(parent, &report.name)?,
        };
        let now = self.now;
        let step = self.step(index)?;
        let state = step.state.report(report.state)?;
        let row = step.row_mut();
        row.state = state;
        if state != StepState::Pending {
            row.started_at.get_or_insert(now);
        }
        if state.is_terminal() {
            row.finished_at = Some(now);
        }
        step.say(&report.message);
        self.step_event(index);
        Ok(())
    }
}

fn is_unfinished(step: &Step) -> bool {
    matches!(step.state, StepState::Pending | StepState::Running | StepState::Undoing)
}

fn illegal_run(run: &Run, event: &'static str) -> RecordError {
    IllegalTransition { machine: "run", from: run.state.as_str(), event }.into()
}

fn step_body(step: &Step) -> RunEventBody {
    RunEventBody::Step {
        index: step.index,
        name: step.name.clone(),
        parent: step.parent,
        state: step.state,
        attempt: step.attempt,
        message: step.message.clone(),
    }
}

/// Gives the run to a worker: a later epoch, the new holder, and on its first claim its first steps running. A run that was queued
/// again so that its undo goes on is undoing again. Returns the events.
///
/// # Errors
/// When the run is in no state to be claimed, or a step is missing.
pub fn claim(run: &mut Run, steps: &mut [Step], worker: WorkerId, now: Timestamp) -> Result<Vec<EventRow>, RecordError> {
    let is_first = run.epoch == 0;
    let mut view = RunView::new(run.clone());
    view.steps = steps.iter().map(|step| (step.index, step.clone())).collect();
    let taken_over = run.state.is_held();
    let is_undo = !taken_over && steps.iter().any(|step| step.parent.is_none() && step.state.is_undo());
    let mut draft = Draft::of(&view, now);
    draft.run.row_mut().epoch += 1;
    draft.run.advance(RunMove::Claim, "", now)?;
    if is_undo {
        draft.run.advance(RunMove::Undo, "", now)?;
    }
    draft.run.row_mut().worker_id = Some(worker);
    draft.run.row_mut().ready = false;
    let message = if taken_over { "taken over by another worker".to_owned() } else { String::new() };
    let state = draft.run.state;
    draft.event(RunEventBody::Run { state, message });
    if is_first {
        for start in draft.run.first_steps.clone() {
            draft.start(start, StepMove::Start)?;
        }
    }
    let Draft { run: claimed, steps: changed, events, .. } = draft;
    *run = claimed;
    for step in steps.iter_mut() {
        if let Some(new) = changed.get(&step.index) {
            *step = new.clone();
        }
    }
    Ok(events.into_iter().map(|event| EventRow { event: Arc::new(event), command: None, report_id: None }).collect())
}
