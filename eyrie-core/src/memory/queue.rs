//! The queue: runs come in, and are given to workers.

use std::{collections::BTreeMap, sync::Arc};

use super::state::{State, free, need};
use crate::{
    clock::{Timestamp, until},
    error::{Error, ErrorKind, Result},
    id::{ProjectId, RunId, WorkerId},
    model::{Run, RunEvent, RunEventBody, RunState, Step},
    store::{Claim, Enqueue, Enqueued, EventRow, Poll, Waiting, claim, fair_shares, queued},
};

impl State {
    pub(super) fn enqueue(&mut self, enqueue: &Enqueue, now: Timestamp) -> Result<Enqueued> {
        const OPERATION: &str = "enqueue";
        if let Some(key) = &enqueue.request_key
            && let Some((known, id)) = self.request_keys.get(&key.key)
        {
            if known.content != key.content {
                return Err(Error::new(ErrorKind::Conflict, OPERATION, "the request key was used for another request"));
            }
            return Ok(Enqueued { run: self.record(*id)?.run.clone(), is_new: false });
        }
        let id = enqueue.run.id;
        free(self.runs.keys(), OPERATION, "there is a run of that id", |known| *known == id)?;
        need(&self.deployments, enqueue.run.deployment_id, "deployment")?;
        let run = queued(&enqueue.run, self.has_current(enqueue.run.deployment_id), now);
        let body = RunEventBody::Run { state: run.state, message: run.message.clone() };
        let event = RunEvent { run_id: id, project_id: run.project_id, seq: 1, at: now, epoch: run.epoch, body };
        self.put_run(run.clone());
        self.put_event(EventRow { event: Arc::new(event), command: None, report_id: None });
        if let Some(record) = self.runs.get_mut(&id) {
            for step in &enqueue.steps {
                record.put_step(step.clone());
            }
        }
        self.plans.entry(run.plan_hash).or_insert_with(|| enqueue.plan_json.clone());
        if let Some(key) = &enqueue.request_key {
            self.request_keys.insert(key.key.clone(), (key.clone(), id));
        }
        self.note(&enqueue.audit);
        Ok(Enqueued { run, is_new: true })
    }

    /// Lets runs whose time has come into their deployments' queues.
    fn let_in(&mut self, now: Timestamp) {
        while let Some((_, id)) = self.deferred.first().copied().filter(|(at, _)| *at <= now) {
            let Some(mut run) = self.runs.get(&id).map(|record| record.run.clone()) else { return };
            run.row_mut().deferred = false;
            let deployment = run.deployment_id;
            self.put_run(run);
            self.hand_turn_on(deployment);
        }
    }

    /// Runs whose holder is gone.
    fn abandoned(&self, now: Timestamp) -> impl Iterator<Item = RunId> {
        let is_abandoned = move |id: &&RunId| {
            let holder = self.runs.get(id).and_then(|record| record.run.worker_id);
            holder.is_none_or(|worker| !self.is_leased(worker, now))
        };
        self.held.iter().filter(is_abandoned).copied()
    }

    /// Up to `room` queued runs whose turn it is, shared out between their projects.
    fn next_in_turn(&self, room: usize) -> Vec<RunId> {
        let run = |id: &RunId| self.runs.get(id).map(|record| &record.run);
        let mut queues: BTreeMap<ProjectId, Vec<&Run>> = BTreeMap::new();
        for run in self.ready.iter().filter_map(run) {
            queues.entry(run.project_id).or_default().push(run);
        }
        let held = |project: ProjectId| self.held.iter().filter_map(run).filter(|run| run.project_id == project).count();
        let small = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let mut waiting = Vec::new();
        for (project, queue) in &mut queues {
            queue.sort_by_key(|run| (run.queued_at, run.id));
            waiting.extend(queue.first().map(|oldest| Waiting {
                project: *project,
                ready: small(queue.len()),
                held: small(held(*project)),
                since: oldest.queued_at,
            }));
        }
        let mut next: Vec<&Run> = Vec::new();
        for (project, share) in fair_shares(&waiting, small(room)) {
            next.extend(queues.remove(&project).unwrap_or_default().into_iter().take(share as usize));
        }
        next.sort_by_key(|run| (run.queued_at, run.id));
        next.into_iter().map(|run| run.id).collect()
    }

    pub(super) fn poll(&self, worker: WorkerId, now: Timestamp) -> Poll {
        let is_cancelling = |run: &Run| run.state == RunState::Cancelling && run.worker_id == Some(worker);
        let held = self.held.iter().filter_map(|id| Some(&self.runs.get(id)?.run));
        let next_due = self.deferred.first().map(|(at, _)| until(now, *at));
        let is_due = next_due.is_some_and(|time_left| time_left.is_zero());
        Poll {
            claimable: is_due || !self.ready.is_empty() || self.abandoned(now).next().is_some(),
            cancelling: held.filter(|run| is_cancelling(run)).map(|run| run.id).collect(),
            next_due,
            next_fire: self.next_fire_at().map(|at| until(now, at)),
        }
    }

    pub(super) fn claim(&mut self, worker: WorkerId, limit: u32, now: Timestamp) -> Result<Vec<Claim>> {
        if !self.is_leased(worker, now) {
            return Err(Error::not_found("lease"));
        }
        self.let_in(now);
        let mut ids: Vec<_> = self.abandoned(now).take(limit as usize).collect();
        ids.extend(self.next_in_turn(limit as usize - ids.len()));
        let claimed = ids.into_iter().map(|id| self.claimed(id, worker, now)).collect::<Result<Vec<_>>>()?;
        for (given, rows) in &claimed {
            self.put_run(given.run.clone());
            if let Some(record) = self.runs.get_mut(&given.run.id) {
                for step in &given.steps {
                    record.put_step(step.clone());
                }
            }
            for row in rows {
                self.put_event(row.clone());
            }
        }
        Ok(claimed.into_iter().map(|(given, _)| given).collect())
    }

    /// The run as it is once the worker has it; nothing is written yet.
    fn claimed(&self, id: RunId, worker: WorkerId, now: Timestamp) -> Result<(Claim, Vec<EventRow>)> {
        let record = self.record(id)?;
        let mut run = record.run.clone();
        let is_needed = |step: &&Step| step.parent.is_none() || record.unfinished.contains(&step.index);
        let mut steps: Vec<_> = record.steps.values().filter(is_needed).cloned().collect();
        let taken_over = run.epoch > 0;
        let rows = claim(&mut run, &mut steps, worker, now)?;
        let events = rows.iter().map(|row| RunEvent::clone(&row.event)).collect();
        Ok((Claim { run, steps, events, taken_over }, rows))
    }
}
