//! The queue: runs come in, and are given to workers.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::state::{RunRecord, State, free};
use crate::{
    clock::{Timestamp, until},
    error::{Error, ErrorKind, Result},
    id::{DeploymentId, RunId, WorkerId},
    model::{Limited, QueuePolicy, Run, RunEvent, RunEventBody, RunState, Settings, Step},
    store::{Claim, Enqueue, Enqueued, EventRow, Lane, Load, Loads, Newest, Poll, Waiting, claim, fair_shares, limit_reached, queued},
};

impl State {
    /// Queues the runs, and ends those whose place they take.
    pub(super) fn enqueue(&mut self, runs: &[Enqueue], now: Timestamp) -> Vec<Result<Enqueued>> {
        let mut answers: Vec<_> = runs.iter().map(|enqueue| self.enqueue_one(enqueue, now)).collect();
        let mut newest = Newest::default();
        for (enqueue, answer) in runs.iter().zip(&answers) {
            let Ok(Enqueued { run, is_new: true, .. }) = answer else { continue };
            newest.take_for(run, &enqueue.supersedes);
            if self.policy(run.deployment_id).unwrap_or(enqueue.default_policy) == QueuePolicy::CoalesceLatest {
                newest.take(run);
            }
        }
        if !newest.is_empty() {
            self.supersede(&newest, &mut answers, now);
        }
        answers
    }

    /// Ends those whose place the newest take. The answers say how their runs are afterwards.
    fn supersede(&mut self, newest: &Newest, answers: &mut [Result<Enqueued>], now: Timestamp) {
        let deployments = newest.deployments();
        let queued = deployments.iter().filter_map(|deployment| self.open.get(deployment)).flatten();
        let superseded = newest.end(queued.filter_map(|id| Some(&self.runs.get(id)?.run)));
        let recorded = self.carry_out(superseded.commands(), now);
        superseded.tell(&recorded, answers);
        for answer in answers.iter_mut().flatten() {
            if let Some(record) = self.runs.get(&answer.run.id) {
                answer.run = record.run.clone();
            }
        }
    }

    /// The policy that the nearest level of the deployment's settings says.
    fn policy(&self, deployment: DeploymentId) -> Option<QueuePolicy> {
        let deployment = self.deployments.get(&deployment)?;
        let scope = deployment.scope_id.and_then(|scope| self.scopes.get(&scope));
        let group = self.groups.get(&deployment.group_id);
        let project = self.projects.get(&deployment.project_id);
        let levels = [
            Some(&deployment.settings),
            scope.map(|scope| &scope.settings),
            group.map(|group| &group.settings),
            project.map(|project| &project.settings),
        ];
        levels.into_iter().flatten().find_map(Settings::queue_policy)
    }

    /// Refuses a run that cannot be queued; else what it counts against. Whoever changes something together with runs asks this of all
    /// of them before.
    pub(super) fn may_queue(&self, enqueue: &Enqueue) -> Result<Lane> {
        free(self.runs.keys(), "enqueue", "there is a run of that id", |known| *known == enqueue.run.id)?;
        let lane = self.lane_of(enqueue.run.deployment_id)?;
        if enqueue.secrets.iter().any(|of| !self.secret_values.contains_key(of)) {
            return Err(Error::new(ErrorKind::Conflict, "enqueue", "a secret that the plan names is gone, or its value is"));
        }
        Ok(lane)
    }

    fn enqueue_one(&mut self, enqueue: &Enqueue, now: Timestamp) -> Result<Enqueued> {
        const OPERATION: &str = "enqueue";
        if let Some(key) = &enqueue.request_key
            && let Some((known, id)) = self.request_keys.get(&key.key)
        {
            if known.content != key.content {
                return Err(Error::new(ErrorKind::Conflict, OPERATION, "the request key was used for another request"));
            }
            return Ok(Enqueued { run: self.record(*id)?.run.clone(), is_new: false, superseded: Vec::new() });
        }
        let (id, lane) = (enqueue.run.id, self.may_queue(enqueue)?);
        let run = queued(&enqueue.run, self.has_current(enqueue.run.deployment_id), now);
        let body = RunEventBody::Run { state: run.state, message: run.message.clone() };
        let event = RunEvent { run_id: id, project_id: run.project_id, seq: 1, at: now, epoch: run.epoch, body };
        self.runs.insert(id, RunRecord::new(run.clone(), lane));
        self.put_run(run.clone());
        self.put_event(EventRow { event: Arc::new(event), command: None, report_id: None });
        if let Some(record) = self.runs.get_mut(&id) {
            for step in &enqueue.steps {
                record.put_step(step.clone());
            }
        }
        if !enqueue.secrets.is_empty() {
            self.plan_secrets.insert(run.plan_hash, enqueue.secrets.clone());
        }
        self.plans.entry(run.plan_hash).or_insert_with(|| enqueue.plan_json.clone());
        if let Some(key) = &enqueue.request_key {
            self.request_keys.insert(key.key.clone(), (key.clone(), id));
        }
        self.note(&enqueue.audit);
        Ok(Enqueued { run, is_new: true, superseded: Vec::new() })
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

    /// What runs of the deployment count against, when they are queued now.
    fn lane_of(&self, deployment: DeploymentId) -> Result<Lane> {
        let deployment = self.deployments.get(&deployment).ok_or_else(|| Error::not_found("deployment"))?;
        Ok(Lane { project: deployment.project_id, group: deployment.group_id, cluster: self.counted_cluster(deployment) })
    }

    /// How much is under way of everything that is, or that these lanes belong to, and how much may be.
    pub(super) fn loads<'a>(&'a self, lanes: impl Iterator<Item = &'a Lane>) -> Loads {
        let most = |of| match of {
            Limited::Project(project) => self.projects.get(&project)?.settings.max_running(),
            Limited::Group(group) => self.groups.get(&group)?.settings.max_running(),
            Limited::Cluster(cluster) => self.cluster_limits.get(&cluster).copied(),
        };
        let mut loads: Loads = lanes.flat_map(Lane::limited).map(|of| (of, Load { under_way: 0, most: most(of) })).collect();
        for held in self.held.iter().filter_map(|id| self.runs.get(id)) {
            for of in held.lane.limited() {
                loads.entry(of).and_modify(|load| load.under_way += 1);
            }
        }
        loads
    }

    /// The queued runs whose turn it is, each lane's in their order.
    fn lanes(&self) -> BTreeMap<Lane, Vec<&Run>> {
        let mut lanes: BTreeMap<Lane, Vec<&Run>> = BTreeMap::new();
        for record in self.ready.iter().filter_map(|id| self.runs.get(id)) {
            lanes.entry(record.lane).or_default().push(&record.run);
        }
        lanes.values_mut().for_each(|lane| lane.sort_by_key(|run| (run.queued_at, run.id)));
        lanes
    }

    /// Up to `room` queued runs whose turn it is, shared out between their projects and groups.
    fn next_in_turn(&self, room: usize) -> Vec<RunId> {
        let small = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let mut lanes = self.lanes();
        let of_lane =
            |(lane, runs): (&Lane, &Vec<&Run>)| Some(Waiting { lane: *lane, ready: small(runs.len()), since: runs.first()?.queued_at });
        let waiting: Vec<_> = lanes.iter().filter_map(of_lane).collect();
        let loads = self.loads(lanes.keys());
        let mut next: Vec<&Run> = Vec::new();
        for (lane, share) in fair_shares(&waiting, &loads, small(room)) {
            next.extend(lanes.remove(&lane).unwrap_or_default().into_iter().take(share as usize));
        }
        next.sort_by_key(|run| (run.queued_at, run.id));
        next.into_iter().map(|run| run.id).collect()
    }

    /// Whether there is a run whose turn it is, and that no limit holds back.
    fn some_may_begin(&self) -> bool {
        let lanes: BTreeSet<_> = self.ready.iter().filter_map(|id| Some(self.runs.get(id)?.lane)).collect();
        let loads = self.loads(lanes.iter());
        lanes.iter().any(|lane| limit_reached(lane, &loads).is_none())
    }

    pub(super) fn poll(&self, worker: WorkerId, now: Timestamp) -> Poll {
        let is_cancelling = |run: &Run| run.state == RunState::Cancelling && run.worker_id == Some(worker);
        let held = self.held.iter().filter_map(|id| Some(&self.runs.get(id)?.run));
        let next_due = self.deferred.first().map(|(at, _)| until(now, *at));
        let is_due = next_due.is_some_and(|time_left| time_left.is_zero());
        Poll {
            claimable: is_due || self.abandoned(now).next().is_some() || self.some_may_begin(),
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
