//! Runs: reading them, and carrying out commands.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::{
    MemoryStore,
    state::{RunRecord, State, newest_first},
};
use crate::{
    clock::Timestamp,
    error::{Error, Result},
    id::{DeploymentId, RunId, WorkerId},
    model::{Plan, PlanHash, Run, Step},
    store::{
        Capabilities, Claim, Command, Enqueue, Enqueued, Needs, Page, PageRequest, Poll, RecordError, Recorded, RunBatch, RunFilter,
        RunStore, RunView, has_turn,
    },
};

impl State {
    /// What the commands need, read.
    fn views(&self, needs: &Needs) -> BTreeMap<RunId, RunView> {
        let mut views = BTreeMap::new();
        for id in &needs.runs {
            let Some(record) = self.runs.get(id) else { continue };
            let mut view = RunView::new(record.run.clone());
            let unfinished = needs.unfinished.contains(id).then_some(&record.unfinished);
            let reports = needs.unfinished_reports.contains(id).then(|| record.unfinished_reports.values().flatten());
            for index in unfinished.into_iter().flatten().chain(reports.into_iter().flatten()) {
                view.steps.extend(record.steps.get(index).map(|step| (*index, step.clone())));
            }
            if needs.planned.contains(id) {
                let planned = record.steps.iter().take_while(|(_, step)| step.parent.is_none());
                view.steps.extend(planned.map(|(index, step)| (*index, step.clone())));
            }
            views.insert(*id, view);
        }
        let mut read = |id: &RunId, into: &dyn Fn(&RunRecord, &mut RunView)| {
            if let (Some(record), Some(view)) = (self.runs.get(id), views.get_mut(id)) {
                into(record, view);
            }
        };
        for (id, index) in &needs.steps {
            read(id, &|record, view| view.steps.extend(record.steps.get(index).map(|step| (*index, step.clone()))));
        }
        for (id, name) in &needs.named_reports {
            read(id, &|record, view| {
                let named = record.unfinished_reports.get(name).into_iter().flatten();
                view.steps.extend(named.filter_map(|index| Some((*index, record.steps.get(index)?.clone()))));
            });
        }
        for (id, report) in &needs.report_ids {
            read(id, &|record, view| view.report_ids.extend(record.report_ids.get(report).cloned()));
        }
        for (id, command) in &needs.commands {
            read(id, &|record, view| view.written.extend(record.commands.get(command).map(|events| (*command, events.clone()))));
        }
        views
    }

    /// The deployment's runs that have not ended.
    pub(super) fn open(&self, deployment: DeploymentId) -> impl Iterator<Item = &Run> {
        self.open.get(&deployment).into_iter().flatten().filter_map(|id| Some(&self.runs.get(id)?.run))
    }

    /// Whether a run of the deployment has its turn.
    pub(super) fn has_current(&self, deployment: DeploymentId) -> bool {
        self.open(deployment).any(has_turn)
    }

    /// The first run in the deployment's queue becomes ready, unless another run of it still stands before it (the one that ended
    /// may have been waiting itself).
    pub(super) fn hand_turn_on(&mut self, deployment: DeploymentId) {
        if self.has_current(deployment) {
            return;
        }
        if let Some(next) = self.open(deployment).filter(|run| !run.deferred).min_by_key(|run| (run.queued_at, run.id)) {
            let mut next = next.clone();
            next.row_mut().ready = true;
            self.put_run(next);
        }
    }

    pub(super) fn carry_out(&mut self, commands: &[Command], now: Timestamp) -> Vec<Result<Recorded, RecordError>> {
        let views = self.views(&Needs::of(commands));
        let mut batch = RunBatch::new(views.into_values(), now);
        let answer = |command: &Command| match batch.statements(command) {
            Some(_) => Err(RecordError::Statement("the store in memory carries out no statements".to_owned())),
            None => batch.apply(command),
        };
        let answers = commands.iter().map(answer).collect();
        let writes = batch.finish();
        for run in writes.runs {
            self.put_run(run);
        }
        for step in writes.steps.into_iter().chain(writes.new_steps) {
            if let Some(record) = self.runs.get_mut(&step.run_id) {
                record.put_step(step);
            }
        }
        for event in writes.events {
            self.put_event(event);
        }
        for entry in writes.audit {
            self.note(&entry);
        }
        for outcome in writes.outcomes {
            self.conclude(outcome, now);
        }
        for deployment in writes.freed {
            self.hand_turn_on(deployment);
        }
        answers
    }
}

#[async_trait]
impl RunStore for MemoryStore {
    async fn enqueue(&self, runs: &[Enqueue]) -> Result<Vec<Result<Enqueued>>> {
        let mut state = self.state();
        let now = self.now();
        Ok(state.enqueue(runs, now))
    }

    async fn run(&self, id: RunId) -> Result<Run> {
        Ok(self.state().record(id)?.run.clone())
    }

    async fn runs(&self, filter: RunFilter, page: PageRequest) -> Result<Page<Run>> {
        let state = self.state();
        let service_of = |run: &Run| state.deployments.get(&run.deployment_id).and_then(|deployment| deployment.service_id);
        let fits = |run: &Run| {
            filter.project.is_none_or(|project| project == run.project_id)
                && filter.deployment.is_none_or(|deployment| deployment == run.deployment_id)
                && filter.state.is_none_or(|state| state == run.state)
                && filter.service.is_none_or(|service| Some(service) == service_of(run))
                && state.shows(filter.reader, run.deployment_id)
        };
        let pick = |record: &RunRecord| fits(&record.run).then(|| record.run.clone());
        Ok(newest_first(&state.runs, &page, RunId::from_uuid, |run| run.id.uuid(), pick))
    }

    async fn steps(&self, run: RunId) -> Result<Vec<Step>> {
        Ok(self.state().record(run)?.steps.values().cloned().collect())
    }

    async fn plan(&self, hash: PlanHash) -> Result<Plan> {
        let json = self.state().plans.get(&hash).cloned().ok_or_else(|| Error::not_found("plan"))?;
        Plan::decode(&json)
    }

    async fn poll(&self, worker: WorkerId) -> Result<Poll> {
        let state = self.state();
        Ok(state.poll(worker, self.now()))
    }

    async fn claim(&self, worker: WorkerId, limit: u32) -> Result<Vec<Claim>> {
        let mut state = self.state();
        state.claim(worker, limit, self.now())
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    async fn record(&self, commands: &[Command]) -> Result<Vec<Result<Recorded, RecordError>>> {
        let mut state = self.state();
        Ok(state.carry_out(commands, self.now()))
    }
}
