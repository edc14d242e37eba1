//! What a command does to a run, in memory: shared by every store, so that they cannot differ in it.
//!
//! A store that carries out a batch of commands
//! 1. asks [`Needs::of`] what it must read, and reads it under the runs' row locks;
//! 2. hands each command to [`RunBatch::apply`], which changes what was read or refuses and leaves it as it was; before that it carries
//!    out what [`RunBatch::statements`] returns, or refuses the command in its place when it cannot;
//! 3. writes what [`RunBatch::finish`] returns, in the same transaction.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use crate::{
    clock::Timestamp,
    id::{CommandId, DeploymentId, RunId},
    model::{AuditEntry, Release, Run, RunEvent, RunEventBody, RunKind, Step, StepIndex, StepState},
    store::{Change, Command, RecordError, Recorded, Statements, draft::Draft},
};

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
    /// Deployments whose next queued run is ready now, unless another run has its turn: a run ended, or one queues again.
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

    /// What must be carried out before this command, the next one, is applied: the statements of a step that will be recorded by it.
    /// None for a command that would be refused, or that took effect before.
    #[must_use]
    pub fn statements<'c>(&self, command: &'c Command) -> Option<&'c Statements> {
        let Change::Transact { statements, .. } = &command.change else { return None };
        matches!(self.judge(command), Ok(Ok(_))).then_some(statements)
    }

    /// The command's changes, or what it did when it took effect before.
    fn judge(&self, command: &Command) -> Result<Result<Draft<'_>, Recorded>, RecordError> {
        let view = self.views.get(&command.run_id).ok_or(RecordError::Missing("run"))?;
        if let Some(events) = view.written.get(&command.id) {
            return Ok(Err(already_done(view, events.clone())));
        }
        if let Some(fence) = command.fence
            && (view.run.worker_id != Some(fence.worker) || view.run.epoch != fence.epoch)
        {
            return Err(RecordError::LeaseLost { current: view.run.epoch });
        }
        if report_id(command).is_some_and(|id| view.report_ids.contains(id)) {
            return Ok(Err(already_done(view, Vec::new())));
        }
        let mut draft = Draft::of(view, self.now);
        draft.make(command)?;
        Ok(Ok(draft))
    }

    /// Carries out one command, or refuses it and changes nothing. Of a step's [`statements`](Self::statements) it takes for granted
    /// that they were carried out.
    ///
    /// # Errors
    /// Why it was refused.
    pub fn apply(&mut self, command: &Command) -> Result<Recorded, RecordError> {
        let id = command.run_id;
        let draft = match self.judge(command)? {
            Ok(draft) => draft,
            Err(done) => return Ok(done),
        };
        let report_id = report_id(command).cloned();
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

fn report_id(command: &Command) -> Option<&String> {
    match &command.change {
        Change::Report(report) => report.report_id.as_ref(),
        _ => None,
    }
}

fn already_done(view: &RunView, events: Vec<Arc<RunEvent>>) -> Recorded {
    let started: BTreeMap<_, _> = events
        .iter()
        .filter_map(|event| match &event.body {
            RunEventBody::Step { index, state: StepState::Running | StepState::Undoing, attempt, parent: None, .. } => {
                Some((*index, *attempt))
            }
            _ => None,
        })
        .collect();
    Recorded { run_state: view.run.state, started: started.into_iter().map(|(index, attempt)| (index, attempt, None)).collect(), events }
}
