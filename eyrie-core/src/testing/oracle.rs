//! An oracle: what must hold of a store's runs whatever happened, read from their events and held against their rows.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    error::{Error, Result},
    id::{DeploymentId, RunId},
    model::{Done, EventCursor, Plan, Run, RunEvent, RunEventBody, RunMove, RunState, Step, StepIndex, StepMove, StepState},
    store::{PageRequest, RunFilter, Store},
};

/// How much is read at a time.
const READ: u32 = 500;

/// A run with everything that is kept of it.
#[derive(Debug, Clone)]
pub struct Record {
    /// The run.
    pub run: Run,
    /// Its steps.
    pub steps: Vec<Step>,
    /// Its events, those that are kept.
    pub events: Vec<RunEvent>,
    /// Its plan.
    pub plan: Plan,
}

/// Everything that a store keeps of runs.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// The runs, oldest first.
    pub records: Vec<Record>,
    /// All events in the order of the feed.
    pub feed: Vec<RunEvent>,
}

impl Record {
    /// Reads everything of one run.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn read(store: &dyn Store, run: Run) -> Result<Self> {
        let mut events: Vec<RunEvent> = Vec::new();
        loop {
            let read = store.run_events(run.id, events.last().map_or(0, |event| event.seq), READ).await;
            let more = match read.as_ref().map_err(Error::pruned) {
                Err(Some(gone)) if events.is_empty() => store.run_events(run.id, gone.first - 1, READ).await?,
                _ => read?,
            };
            if more.is_empty() {
                break;
            }
            events.extend(more);
        }
        Ok(Self { steps: store.steps(run.id).await?, plan: store.plan(run.plan_hash).await?, events, run })
    }

    /// What is wrong with the record in itself: gaps, moves that do not exist, steps that began before what they need, rows that
    /// differ from their events. Of a run whose history was pruned it looks at what is kept: it must tell the run's end.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        if self.events.first().is_some_and(|event| event.seq > 1) {
            return self.faults_of_the_rest();
        }
        let mut replay = Replay::new(self);
        for event in &self.events {
            replay.hear(event);
        }
        replay.end()
    }

    /// The same of a run whose first events are gone: it had ended before, so that an end is among what is kept, and that has no gaps.
    fn faults_of_the_rest(&self) -> Vec<String> {
        let Self { run, events, .. } = self;
        let mut faults = Vec::new();
        let seqs: Vec<_> = events.iter().map(|event| event.seq).collect();
        if seqs.windows(2).any(|pair| pair[1] != pair[0] + 1) || seqs.last() != Some(&run.last_seq) {
            faults.push(format!("{}: of {} events {seqs:?} are kept", run.id, run.last_seq));
        }
        if !events.iter().any(RunEvent::is_final) {
            faults.push(format!("{}: its history is pruned, and it never ended", run.id));
        }
        let told = events.iter().rev().find_map(|event| match event.body {
            RunEventBody::Run { state, .. } => Some(state),
            _ => None,
        });
        if told != Some(run.state) || !events.is_sorted_by_key(|event| event.epoch) {
            faults.push(format!("{}: the run's row says {}, and its last events {told:?}", run.id, run.state));
        }
        faults
    }
}

impl Evidence {
    /// Reads everything.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn read(store: &dyn Store) -> Result<Self> {
        let mut records = Vec::new();
        let mut page = PageRequest::first(PageRequest::MAX)?;
        loop {
            let runs = store.runs(RunFilter::default(), page).await?;
            for run in runs.items {
                records.push(Record::read(store, run).await?);
            }
            match runs.next {
                Some(next) => page = page.after(Some(next)),
                None => break,
            }
        }
        records.reverse();
        let mut feed = Vec::new();
        let mut cursor = EventCursor::default();
        loop {
            let items = store.feed(cursor, READ).await?.items;
            let Some(last) = items.last() else { break };
            cursor = last.cursor;
            feed.extend(items.into_iter().map(|item| item.event));
        }
        Ok(Self { records, feed })
    }

    /// What is wrong: with each record, with the feed, or because a deployment had two runs under way.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults: Vec<String> = self.records.iter().flat_map(Record::faults).collect();
        let mut heard: BTreeMap<RunId, Vec<&RunEvent>> = BTreeMap::new();
        for event in &self.feed {
            heard.entry(event.run_id).or_default().push(event);
        }
        for record in &self.records {
            let in_feed = heard.remove(&record.run.id).unwrap_or_default();
            if !in_feed.iter().copied().eq(&record.events) {
                faults.push(format!("{}: the feed and the run's events differ", record.run.id));
            }
        }
        faults.extend(heard.keys().map(|run| format!("{run}: is in the feed and not in the list")));
        faults.extend(self.overlaps());
        faults
    }

    /// Runs of one deployment that were under way at the same time.
    fn overlaps(&self) -> Vec<String> {
        let deployments: BTreeMap<RunId, DeploymentId> =
            self.records.iter().map(|record| (record.run.id, record.run.deployment_id)).collect();
        let mut under_way: BTreeMap<DeploymentId, BTreeSet<RunId>> = BTreeMap::new();
        let mut faults = Vec::new();
        for event in &self.feed {
            let RunEventBody::Run { state, .. } = event.body else { continue };
            let Some(deployment) = deployments.get(&event.run_id) else { continue };
            let runs = under_way.entry(*deployment).or_default();
            if state.is_terminal() {
                runs.remove(&event.run_id);
            } else if state.is_held() && runs.insert(event.run_id) && runs.len() > 1 {
                faults.push(format!("{}: became {state} beside another run of its deployment", event.run_id));
            }
        }
        faults
    }
}

/// A run as its events tell it.
struct Replay<'a> {
    record: &'a Record,
    seq: u64,
    epoch: u64,
    state: Option<RunState>,
    steps: BTreeMap<StepIndex, Told>,
    faults: Vec<String>,
}

/// A step as the events tell it.
#[derive(Debug, Clone, Copy)]
struct Told {
    state: StepState,
    attempt: u32,
}

impl<'a> Replay<'a> {
    fn new(record: &'a Record) -> Self {
        let planned = (0..record.plan.steps().len()).map(StepIndex::from_position);
        let steps = planned.map(|index| (index, Told { state: StepState::Pending, attempt: 0 })).collect();
        Self { record, seq: 0, epoch: 0, state: None, steps, faults: Vec::new() }
    }

    fn fault(&mut self, what: &str) {
        self.faults.push(format!("{} at {}: {what}", self.record.run.id, self.seq));
    }

    fn hear(&mut self, event: &RunEvent) {
        if event.seq != self.seq + 1 {
            self.fault(&format!("is followed by {}", event.seq));
        }
        self.seq = event.seq;
        if event.epoch < self.epoch {
            self.fault(&format!("was written under epoch {} after one of {}", event.epoch, self.epoch));
        }
        let claimed = event.epoch > self.epoch;
        self.epoch = event.epoch;
        if claimed && self.record.run.not_before.is_some_and(|at| event.at < at) {
            self.fault("was claimed before its time");
        }
        match &event.body {
            RunEventBody::Run { state, .. } => self.hear_run(*state, claimed),
            _ if claimed => self.fault("begins an epoch without a claim"),
            RunEventBody::Step { index, parent: None, state, attempt, .. } => {
                self.hear_step(*index, Told { state: *state, attempt: *attempt })
            }
            RunEventBody::Step { .. } => {}
            RunEventBody::Progress { index, .. } => {
                if !self.steps.get(index).is_some_and(|step| has_body(step.state)) {
                    self.fault(&format!("step {index} said something without a body"));
                }
            }
        }
    }

    fn hear_run(&mut self, state: RunState, claimed: bool) {
        let Some(before) = self.state.replace(state) else {
            return if state != RunState::Queued {
                self.fault("does not begin in the queue")
            };
        };
        let after = |run_move: &RunMove| before.next(*run_move).ok();
        let legal = match (claimed, before) {
            // A run whose undo goes on is claimed and undoing at once.
            (true, RunState::Queued) => matches!(state, RunState::Running | RunState::Undoing),
            (true, _) => after(&RunMove::Claim) == Some(state),
            (false, _) => {
                RunMove::ALL.iter().filter(|run_move| **run_move != RunMove::Claim).any(|run_move| after(run_move) == Some(state))
            }
        };
        if !legal {
            self.fault(&format!("the run went from {before} to {state}"));
        }
        if !state.is_held() && self.steps.values().any(|step| step.state == StepState::Running) {
            self.fault(&format!("the run is {state} and has a step that runs"));
        }
        if state == RunState::Succeeded && self.done().contains(&None) {
            self.fault("the run succeeded without some of its steps");
        }
        if state.is_terminal() {
            let open: Vec<_> = self.steps.iter().filter(|(_, step)| !step.state.is_terminal()).map(|(index, _)| *index).collect();
            for index in open {
                self.fault(&format!("the run is {state} and step {index} has not ended"));
            }
        }
    }

    fn hear_step(&mut self, index: StepIndex, now: Told) {
        let Some(before) = self.steps.insert(index, now) else {
            return self.fault(&format!("there is no step {index} in the plan"));
        };
        if !StepMove::ALL.iter().any(|step_move| before.state.next(*step_move) == Ok(now.state)) {
            self.fault(&format!("step {index} went from {} to {}", before.state, now.state));
        }
        let is_decided = self.record.plan.is_approval(index)
            && before.state == StepState::Pending
            && matches!(now.state, StepState::Succeeded | StepState::Failed);
        let begins = now.attempt > before.attempt;
        let may_begin = is_decided || has_body(now.state);
        if now.attempt != before.attempt + u32::from(begins) || (begins && !may_begin) || (is_decided && !begins) {
            self.fault(&format!("step {index} went from attempt {} to {}, {}", before.attempt, now.attempt, now.state));
        }
        if begins && now.state == StepState::Undoing {
            self.undo_begins(index);
        } else if begins {
            self.step_begins(index);
        }
    }

    fn step_begins(&mut self, index: StepIndex) {
        let plan = &self.record.plan;
        let done = self.done();
        for need in plan.needs(index) {
            if done[need.position()].is_none() {
                self.fault(&format!("step {index} began before step {need} was done"));
            }
        }
        if !plan.is_wanted(index, |need| done[need.position()]) {
            self.fault(&format!("step {index} began although its condition is false"));
        }
    }

    /// The steps that are done so far: they succeeded, or were skipped by their conditions. An output never changes.
    fn done(&self) -> Vec<Option<Done<'a>>> {
        let output = |index: StepIndex| self.record.steps.get(index.position()).and_then(|step| step.output.as_ref());
        self.record.plan.done(|index| (self.steps.get(&index).map_or(StepState::Pending, |step| step.state), output(index)))
    }

    /// All that needs it, and had begun, must be undone.
    fn undo_begins(&mut self, index: StepIndex) {
        for other in self.record.plan.downstream(index).into_iter().filter(|other| *other != index) {
            let has_undo = self.record.plan.step(other).is_some_and(|step| step.undo.is_some());
            let began = |step: &Told| step.attempt > 0 && !matches!(step.state, StepState::Undone | StepState::Skipped);
            if has_undo && self.steps.get(&other).is_some_and(began) {
                self.fault(&format!("the undo of step {index} began before that of step {other} had ended"));
            }
        }
    }

    /// The rows must be what the events say.
    fn end(mut self) -> Vec<String> {
        let run = &self.record.run;
        if (run.last_seq, Some(run.state)) != (self.seq, self.state) || run.epoch < self.epoch {
            self.fault(&format!("the run's row says {} at {}, epoch {}", run.state, run.last_seq, run.epoch));
        }
        for step in self.record.steps.iter().filter(|step| step.parent.is_none()) {
            let told = self.steps.get(&step.index).map(|told| (told.state, told.attempt));
            if told != Some((step.state, step.attempt)) {
                self.fault(&format!("step {}'s row says {}, attempt {}, and its events {told:?}", step.index, step.state, step.attempt));
            }
        }
        self.faults
    }
}

fn has_body(state: StepState) -> bool {
    matches!(state, StepState::Running | StepState::Undoing)
}
