//! What a command does to a run, in memory: shared by every store, so that they cannot differ in it.
//!
//! A store that carries out a batch of commands
//! 1. asks [`Needs::of`] what it must read, and reads it under the runs' row locks;
//! 2. hands each command to [`RunBatch::apply`], which changes what was read or refuses and leaves it as it was;
//! 3. writes what [`RunBatch::finish`] returns, in the same transaction.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use crate::{
    clock::{Timestamp, later},
    error::IllegalTransition,
    id::{CommandId, DeploymentId, ReleaseId, RunId, WorkerId},
    model::{
        AuditEntry, PlannedRelease, Release, Run, RunEvent, RunEventBody, RunKind, RunMove, RunState, Step, StepIndex, StepMove, StepStart,
        StepState,
    },
    name::StepName,
    store::{Change, Command, End, RecordError, Recorded, Settle, Settlement, StepReport},
};

/// The most steps that the scripts of one run may report.
pub const MAX_REPORTED_STEPS: u32 = 10_000;

/// What a store must read before a batch of commands can be applied.
#[derive(Debug, Default)]
pub struct Needs {
    /// These runs.
    pub runs: BTreeSet<RunId>,
    /// These steps.
    pub steps: BTreeSet<(RunId, StepIndex)>,
    /// Of these runs, reported steps that are pending or running.
    pub unfinished_reports: BTreeSet<RunId>,
    /// Of these runs, all steps that are pending or running.
    pub unfinished: BTreeSet<RunId>,
    /// Reported steps of this name that are pending or running.
    pub named_reports: BTreeSet<(RunId, StepName)>,
    /// Whether an event with this report id exists.
    pub report_ids: BTreeSet<(RunId, String)>,
    /// The events that this command wrote, if it did.
    pub commands: BTreeSet<(RunId, CommandId)>,
}

impl Needs {
    /// What the commands need.
    #[must_use]
    pub fn of(commands: &[Command]) -> Self {
        let mut needs = Self::default();
        for command in commands {
            let run = command.run_id;
            needs.runs.insert(run);
            if command.retried {
                needs.commands.insert((run, command.id));
            }
            match &command.change {
                Change::Advance { settle, start, end } => {
                    needs.steps.extend(settle.iter().map(|settle| (run, settle.step)));
                    needs.steps.extend(start.iter().map(|start| (run, start.index)));
                    if !settle.is_empty() {
                        needs.unfinished_reports.insert(run);
                    }
                    if matches!(end, Some(End::Fail { .. } | End::Cancel { .. })) {
                        needs.unfinished.insert(run);
                    }
                }
                Change::Report(report) => {
                    match report.parent {
                        Some(parent) => drop(needs.steps.insert((run, parent))),
                        None => drop(needs.unfinished.insert(run)),
                    }
                    needs.named_reports.insert((run, report.name.clone()));
                    needs.report_ids.extend(report.report_id.clone().map(|id| (run, id)));
                }
                Change::Expect { parent, .. } => drop(needs.steps.insert((run, *parent))),
                Change::Progress { step, .. } | Change::KeepHandle { step, .. } => drop(needs.steps.insert((run, *step))),
                Change::RequestCancel { .. } => drop(needs.unfinished.insert(run)),
                Change::Resume { .. } => {}
            }
        }
        needs
    }
}

/// What was read of one run.
#[derive(Debug)]
pub struct RunView {
    /// The run.
    pub run: Run,
    /// The steps that were needed.
    pub steps: BTreeMap<StepIndex, Step>,
    /// The report ids, of those asked for, that exist.
    pub report_ids: HashSet<String>,
    /// The events of the retried commands that took effect.
    pub written: BTreeMap<CommandId, Vec<Arc<RunEvent>>>,
}

impl RunView {
    /// A view of a run of which nothing else was read yet.
    #[must_use]
    pub fn new(run: Run) -> Self {
        Self { run, steps: BTreeMap::new(), report_ids: HashSet::new(), written: BTreeMap::new() }
    }
}

/// An event as it is to be written.
#[derive(Debug, Clone)]
pub struct EventRow {
    /// The event.
    pub event: Arc<RunEvent>,
    /// The command that wrote it.
    pub command: Option<CommandId>,
    /// The report that it tells of.
    pub report_id: Option<String>,
}

/// How a run ended that may have changed what is running.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The run.
    pub run_id: RunId,
    /// What it acted on.
    pub deployment_id: DeploymentId,
    /// What it was for.
    pub kind: RunKind,
    /// Whether it succeeded.
    pub succeeded: bool,
    /// The release it made, and whether that leaves something running.
    pub release: Option<(Release, bool)>,
}

/// What a store must write after a batch.
#[derive(Debug, Default)]
pub struct RunWrites {
    /// Runs that changed.
    pub runs: Vec<Run>,
    /// Steps that changed.
    pub steps: Vec<Step>,
    /// Steps that are new.
    pub new_steps: Vec<Step>,
    /// Events, in order of run and seq.
    pub events: Vec<EventRow>,
    /// Deployments whose next queued run is now ready.
    pub freed: Vec<DeploymentId>,
    /// What the ends of runs mean for releases and deployed services.
    pub outcomes: Vec<Outcome>,
    /// The audit of commands from outside.
    pub audit: Vec<AuditEntry>,
}

/// A batch being applied.
#[derive(Debug)]
pub struct RunBatch {
    views: BTreeMap<RunId, RunView>,
    changed_runs: BTreeSet<RunId>,
    changed_steps: BTreeSet<(RunId, StepIndex)>,
    new_steps: BTreeSet<(RunId, StepIndex)>,
    events: Vec<EventRow>,
    freed: Vec<DeploymentId>,
    outcomes: Vec<Outcome>,
    audit: Vec<AuditEntry>,
    now: Timestamp,
}

/// One command's changes, kept apart until it is known to be legal as a whole.
struct Draft<'a> {
    view: &'a RunView,
    run: Run,
    steps: BTreeMap<StepIndex, Step>,
    new_steps: BTreeSet<StepIndex>,
    events: Vec<RunEvent>,
    started: Vec<(StepIndex, u32, Option<Timestamp>)>,
    outcome: Option<Outcome>,
    freed: bool,
    now: Timestamp,
}

impl RunBatch {
    /// A batch over what was read, at the store's time.
    #[must_use]
    pub fn new(views: impl IntoIterator<Item = RunView>, now: Timestamp) -> Self {
        Self {
            views: views.into_iter().map(|view| (view.run.id, view)).collect(),
            changed_runs: BTreeSet::new(),
            changed_steps: BTreeSet::new(),
            new_steps: BTreeSet::new(),
            events: Vec::new(),
            freed: Vec::new(),
            outcomes: Vec::new(),
            audit: Vec::new(),
            now,
        }
    }

    /// Carries out one command, or refuses it and changes nothing.
    ///
    /// # Errors
    /// Why it was refused.
    pub fn apply(&mut self, command: &Command) -> Result<Recorded, RecordError> {
        let id = command.run_id;
        let view = self.views.get(&id).ok_or(RecordError::Missing("run"))?;
        if let Some(events) = view.written.get(&command.id) {
            return Ok(already_done(view, events.clone()));
        }
        if let Some(fence) = command.fence
            && (view.run.worker_id != Some(fence.worker) || view.run.epoch != fence.epoch)
        {
            return Err(RecordError::LeaseLost { current: view.run.epoch });
        }
        let mut report_id = None;
        let mut draft = Draft::of(view, self.now);
        match &command.change {
            Change::Advance { settle, start, end } => draft.settle_and_start(settle, start, end.as_ref())?,
            Change::Report(report) => {
                report_id.clone_from(&report.report_id);
                if report_id.as_ref().is_some_and(|id| view.report_ids.contains(id)) {
                    return Ok(already_done(view, Vec::new()));
                }
                draft.report(report)?;
            }
            Change::Expect { parent, names } => draft.expect(*parent, names)?,
            Change::Progress { step, message } => draft.progress(*step, message)?,
            Change::KeepHandle { step, attempt, handle } => {
                let step = draft.running(*step, Some(*attempt))?;
                step.row_mut().handle = Some(handle.clone());
            }
            Change::RequestCancel { reason } => draft.request_cancel(reason)?,
            Change::Resume { reason } => {
                draft.move_run(RunMove::Unpark, reason)?;
                draft.run.row_mut().ready = true;
            }
        }
        let Draft { run, steps, new_steps, events, started, outcome, freed, .. } = draft;
        let run_state = run.state;
        let events: Vec<_> = events.into_iter().map(Arc::new).collect();
        self.events.extend(events.iter().enumerate().map(|(place, event)| EventRow {
            event: Arc::clone(event),
            command: Some(command.id),
            report_id: if place == 0 { report_id.clone() } else { None },
        }));
        if freed {
            self.freed.push(run.deployment_id);
        }
        self.outcomes.extend(outcome);
        self.audit.extend(command.audit.as_deref().cloned());
        self.changed_runs.insert(id);
        for index in steps.keys() {
            if new_steps.contains(index) {
                self.new_steps.insert((id, *index));
            } else if !self.new_steps.contains(&(id, *index)) {
                self.changed_steps.insert((id, *index));
            }
        }
        if let Some(view) = self.views.get_mut(&id) {
            view.run = run;
            view.steps.extend(steps);
            view.report_ids.extend(report_id);
        }
        Ok(Recorded { run_state, events, started })
    }

    /// What is to be written.
    #[must_use]
    pub fn finish(self) -> RunWrites {
        let mut views = self.views;
        let mut take = |set: &BTreeSet<(RunId, StepIndex)>| -> Vec<Step> {
            set.iter().filter_map(|(run, index)| views.get_mut(run)?.steps.remove(index)).collect()
        };
        let steps = take(&self.changed_steps);
        let new_steps = take(&self.new_steps);
        let runs = views.into_values().map(|view| view.run).filter(|run| self.changed_runs.contains(&run.id)).collect();
        RunWrites { runs, steps, new_steps, events: self.events, freed: self.freed, outcomes: self.outcomes, audit: self.audit }
    }
}

fn already_done(view: &RunView, events: Vec<Arc<RunEvent>>) -> Recorded {
    let started = events.iter().filter_map(|event| match &event.body {
        RunEventBody::Step { index, state: StepState::Running, attempt, parent: None, .. } => Some((*index, *attempt, None)),
        _ => None,
    });
    Recorded { run_state: view.run.state, started: started.collect(), events }
}

impl<'a> Draft<'a> {
    fn of(view: &'a RunView, now: Timestamp) -> Self {
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
        if step.state == StepState::Running && attempt.is_none_or(|attempt| attempt == step.attempt) {
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

    fn settle_and_start(&mut self, settle: &[Settle], start: &[StepStart], end: Option<&End>) -> Result<(), RecordError> {
        for one in settle {
            self.settle(one)?;
        }
        if self.run.state == RunState::Running {
            for one in start {
                self.start(*one)?;
            }
        }
        match end {
            None => {}
            Some(End::HandBack) => self.run.row_mut().worker_id = None,
            Some(End::Cancel { message }) => self.end_without_success(RunMove::Cancel, message)?,
            // A cancel that came first wins: the run goes on cancelling, and its holder sees that in the answer.
            Some(_) if self.run.state == RunState::Cancelling => {}
            Some(End::Succeed { release }) => self.succeed(release.as_ref())?,
            Some(End::Fail { message }) => self.end_without_success(RunMove::Fail, message)?,
            Some(End::Park { message }) => self.move_run(RunMove::Park, message)?,
        }
        Ok(())
    }

    fn settle(&mut self, settle: &Settle) -> Result<(), RecordError> {
        let step = self.running(settle.step, Some(settle.attempt))?;
        let step_move = match &settle.how {
            Settlement::Succeeded { output } => {
                step.row_mut().output.clone_from(output);
                StepMove::Succeed
            }
            Settlement::Failed => StepMove::Fail,
            Settlement::Retry { .. } => StepMove::Retry,
            Settlement::Cancelled => StepMove::Cancel,
            Settlement::Interrupted => StepMove::Interrupt,
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

    fn start(&mut self, start: StepStart) -> Result<(), RecordError> {
        let deadline = start.timeout_ms.map(|ms| later(self.now, std::time::Duration::from_millis(ms)));
        self.move_step(start.index, StepMove::Start, "")?;
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
        let began = self.run.started_at.is_some();
        self.move_run(run_move, message)?;
        if began {
            self.outcome = Some(self.outcome(false, None));
        }
        Ok(())
    }

    fn request_cancel(&mut self, reason: &str) -> Result<(), RecordError> {
        if self.run.state == RunState::Cancelling {
            return Ok(());
        }
        if self.run.state.next(RunMove::RequestCancel)? == RunState::Cancelled {
            self.end_without_success(RunMove::RequestCancel, reason)
        } else {
            self.move_run(RunMove::RequestCancel, reason)
        }
    }

    fn outcome(&self, succeeded: bool, release: Option<(Release, bool)>) -> Outcome {
        Outcome { run_id: self.run.id, deployment_id: self.run.deployment_id, kind: self.run.kind, succeeded, release }
    }

    /// Places of the steps that are pending or running (as this command has them so far) and fit.
    fn unfinished_where(&self, fits: impl Fn(&Step) -> bool) -> impl Iterator<Item = StepIndex> {
        let current = |index: &StepIndex| self.steps.get(index).or_else(|| self.view.steps.get(index));
        let all: BTreeSet<_> = self.view.steps.keys().chain(self.steps.keys()).copied().collect();
        let fitting: Vec<_> = all
            .into_iter()
            .filter(|index| current(index).is_some_and(|step| matches!(step.state, StepState::Pending | StepState::Running) && fits(step)))
            .collect();
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
            None => self
                .unfinished_where(|step| step.parent.is_none() && step.state == StepState::Running)
                .next()
                .ok_or(IllegalTransition { machine: "run", from: self.run.state.as_str(), event: "take a report" })?,
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

/// Gives the run to a worker: a later epoch, the new holder, and on its first claim its first steps running. Returns the events.
///
/// # Errors
/// When the run is in no state to be claimed, or a step is missing.
pub fn claim(run: &mut Run, steps: &mut [Step], worker: WorkerId, now: Timestamp) -> Result<Vec<EventRow>, RecordError> {
    let is_first = run.epoch == 0;
    let mut view = RunView::new(run.clone());
    view.steps = steps.iter().map(|step| (step.index, step.clone())).collect();
    let mut draft = Draft::of(&view, now);
    draft.run.row_mut().epoch += 1;
    draft.run.advance(RunMove::Claim, "", now)?;
    draft.run.row_mut().worker_id = Some(worker);
    draft.run.row_mut().ready = false;
    let message = if is_first { String::new() } else { "taken over by another worker".to_owned() };
    let state = draft.run.state;
    draft.event(RunEventBody::Run { state, message });
    if is_first {
        for start in draft.run.first_steps.clone() {
            draft.start(start)?;
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
