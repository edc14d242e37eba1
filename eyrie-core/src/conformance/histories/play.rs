//! One history: what is sent to the store, and the store held against the model after each command.

use std::{collections::BTreeMap, time::Duration};

use super::{
    super::fixtures::{again, at, cancel, chain, enqueue, record, report, resume, settle, skip, start, wide, worker},
    Random,
    model::{ModelRun, ModelStep},
};
use crate::{
    id::{DeploymentId, RunId, WorkerId},
    model::{Deployment, ReportedState, RunEventBody, RunKind, RunState, StepState},
    store::{Change, Command, End, Fence, RecordError, Recorded, Settlement, Store},
};

const REPORTED: [&str; 2] = ["pull", "build"];

/// All runs as the model has them, and what the history has at hand.
pub(super) struct Play<'a> {
    pub(super) store: &'a dyn Store,
    pub(super) random: Random,
    pub(super) deployments: Vec<Deployment>,
    pub(super) workers: Vec<WorkerId>,
    pub(super) runs: BTreeMap<RunId, ModelRun>,
    /// Commands that were carried out, with the events they wrote.
    pub(super) done: Vec<(Command, Recorded)>,
}

impl Play<'_> {
    pub(super) async fn queue(&mut self) {
        let deployment = self.random.below(self.deployments.len());
        let plan = if self.random.below(2) == 0 { chain(&["a", "b", "c"]) } else { wide(&["a", "b"]) };
        let given = enqueue(&self.deployments[deployment], RunKind::Deploy, &plan);
        let steps = given.steps.iter().map(|step| ModelStep::new(step.name.to_string(), None, 0)).collect();
        let deployment = given.run.deployment_id;
        let ready = !self.runs.values().any(|run| run.deployment == deployment && run.is_open());
        let run = ModelRun { deployment, state: RunState::Queued, ready, started: false, holder: None, epoch: 0, ends: 0, steps };
        self.runs.insert(given.run.id, run);
        self.store.enqueue(&[given]).await.unwrap().remove(0).unwrap();
    }

    /// A run of the deployment ended, or queues again: the oldest queued one has its turn, unless another one has.
    fn hand_turn_on(&mut self, deployment: DeploymentId) {
        let mut open: Vec<_> = self.runs.values_mut().filter(|run| run.deployment == deployment && run.is_open()).collect();
        if !open.iter().any(|run| run.state != RunState::Queued || run.ready)
            && let Some(first) = open.first_mut()
        {
            first.ready = true;
        }
    }

    /// The runs that a claim must give, in order: those that nobody holds, then those that have their deployment's turn.
    fn claimable(&self) -> Vec<RunId> {
        let is_held = |run: &ModelRun| matches!(run.state, RunState::Running | RunState::Cancelling | RunState::Undoing);
        let is_gone = |run: &ModelRun| run.holder.is_none_or(|holder| !self.workers.contains(&holder));
        let left = self.runs.iter().filter(|(_, run)| is_held(run) && is_gone(run));
        left.chain(self.runs.iter().filter(|(_, run)| run.ready)).map(|(id, _)| *id).collect()
    }

    pub(super) async fn claim(&mut self) {
        let worker = self.random.pick(&self.workers);
        let limit = 1 + self.random.below(3);
        let mut expected = self.claimable();
        assert_eq!(self.store.poll(worker).await.unwrap().claimable, !expected.is_empty());
        expected.truncate(limit);
        let claims = self.store.claim(worker, u32::try_from(limit).unwrap()).await.unwrap();
        assert_eq!(claims.iter().map(|claim| claim.run.id).collect::<Vec<_>>(), expected);
        for claim in claims {
            let run = self.runs.get_mut(&claim.run.id).unwrap();
            run.holder = Some(worker);
            run.epoch += 1;
            if run.state == RunState::Queued {
                run.state = if run.undo_begun() { RunState::Undoing } else { RunState::Running };
            }
            assert_eq!(claim.run.state, run.state);
            (run.ready, run.started) = (false, true);
            if run.epoch == 1 {
                for first in &claim.run.first_steps {
                    let step = &mut run.steps[first.index.position()];
                    (step.state, step.attempt) = (StepState::Running, 1);
                }
            }
        }
    }

    pub(super) async fn replace_worker(&mut self) {
        let place = self.random.below(self.workers.len());
        self.store.retire_worker(self.workers[place]).await.unwrap();
        self.workers[place] = worker(self.store).await;
    }

    /// A command that mostly could have come from the run's holder, and sometimes from one that knows an older state.
    fn command(&mut self, id: RunId) -> Command {
        let run = self.runs[&id].clone();
        let stale = self.random.below(10) == 0;
        let fence = Fence { worker: run.holder.unwrap_or(self.workers[0]), epoch: run.epoch.saturating_sub(u64::from(stale)) };
        let planned: Vec<_> = (0..run.steps.len()).filter(|index| run.steps[*index].parent.is_none()).collect();
        let ended = matches!(run.state, RunState::Failed | RunState::UndoFailed | RunState::Cancelled);
        let any = at(u32::try_from(self.random.pick(&planned)).unwrap());
        let reason = || "because".to_owned();
        let change = match self.random.below(20) {
            0 if self.random.below(3) == 0 => return cancel(id, "enough"),
            1 | 10 => return resume(id, "go on"),
            5 if self.random.below(3) == 0 => return Command::unfenced(id, Change::CancelAndUndo { reason: reason() }),
            6..=9 if run.state == RunState::Waiting => {
                let approved = self.random.below(3) > 0;
                return Command::unfenced(id, Change::Approve { step: any, approved, reason: reason() });
            }
            6 | 11 if ended => return Command::unfenced(id, Change::RetryUndo { reason: reason() }),
            7 | 12 if ended => return Command::unfenced(id, Change::SkipUndo { step: any, reason: reason() }),
            8 | 13 if ended => {
                let dependents = planned.iter().filter(|index| **index > any.position()).map(|index| at(u32::try_from(*index).unwrap()));
                return Command::unfenced(id, Change::RetryStep { step: any, dependents: dependents.collect(), reason: reason() });
            }
            2..=4 => {
                let said =
                    self.random.pick(&[ReportedState::Pending, ReportedState::Running, ReportedState::Success, ReportedState::Failure]);
                let (parent, name) = (self.random.pick(&planned), self.random.pick(&REPORTED));
                report(u32::try_from(parent).unwrap(), name, said)
            }
            _ => self.advance(&run, &planned),
        };
        Command::fenced(id, fence, change)
    }

    fn advance(&mut self, run: &ModelRun, planned: &[usize]) -> Change {
        let any = self.random.pick(planned);
        let running = planned.iter().copied().find(|index| run.steps[*index].has_body());
        let chosen = if self.random.below(8) == 0 { any } else { running.unwrap_or(any) };
        let how = match self.random.below(8) {
            0 => Settlement::Failed,
            1 => Settlement::Retry { pause: Duration::ZERO },
            2 => Settlement::Cancelled,
            3 => Settlement::Interrupted,
            _ => Settlement::Succeeded { output: None },
        };
        let attempt = run.steps[chosen].attempt + u32::from(self.random.below(12) == 0);
        let settled = (self.random.below(4) > 0).then(|| settle(u32::try_from(chosen).unwrap(), attempt, how));
        let message = "because".to_owned();
        let is_done = planned.iter().all(|index| matches!(run.steps[*index].state, StepState::Succeeded | StepState::Skipped));
        let end = match self.random.below(16) {
            0 => Some(End::Fail { message }),
            1 | 2 => Some(End::Cancel { message }),
            3 => Some(End::Park { message }),
            4 => Some(End::HandBack),
            5 => Some(End::Undo { failure: Some(message) }),
            6 => Some(End::Undo { failure: None }),
            7 | 8 if run.state == RunState::Undoing => Some(End::UndoFail { message }),
            9 if run.state == RunState::Undoing => Some(End::UndoSucceed),
            10 => Some(End::Wait { message }),
            _ if is_done => Some(End::Succeed { release: None }),
            _ => None,
        };
        // Sometimes one that cannot be skipped.
        let skippable = planned.iter().rfind(|index| run.steps[**index].can_be_skipped()).filter(|_| self.random.below(8) > 0);
        let skipped = skippable.copied().unwrap_or(any);
        let skip: Vec<_> = (self.random.below(6) == 0).then(|| skip(u32::try_from(skipped).unwrap())).into_iter().collect();
        let undoes = run.state == RunState::Undoing || matches!(end, Some(End::Undo { .. }));
        let begins = |step: &ModelStep| if undoes { step.can_begin_undo() || step.attempt > 0 } else { step.state == StepState::Pending };
        let is_free = |index: usize| undoes || skip.iter().all(|skip| skip.step.position() != index);
        let may_start = |index: &&usize| is_free(**index) && begins(&run.steps[**index]);
        let started = planned.iter().find(may_start).filter(|_| self.random.below(3) > 0);
        let started = started.map(|index| start(u32::try_from(*index).unwrap()));
        Change::Advance { settle: settled.into_iter().collect(), skip, start: started.into_iter().collect(), end }
    }

    pub(super) async fn send(&mut self) {
        let ids: Vec<_> = self.runs.keys().copied().collect();
        let mut batch = Vec::new();
        for _ in 0..=self.random.below(3) {
            let id = self.random.pick(&ids);
            batch.push(self.command(id));
        }
        let answers = self.store.record(&batch).await.unwrap();
        assert_eq!(answers.len(), batch.len());
        let mut freed = Vec::new();
        for (command, answer) in batch.into_iter().zip(answers) {
            let before = &self.runs[&command.run_id];
            let (after, fenced_off) = (
                before.after(&command),
                command.fence.is_some_and(|fence| (before.holder, before.epoch) != (Some(fence.worker), fence.epoch)),
            );
            match (after, answer) {
                (Some(after), Ok(done)) => {
                    assert_eq!(done.run_state, after.state, "{command:?}");
                    let queues_again = after.state == RunState::Queued && !before.is_open();
                    if queues_again || (before.is_open() && !after.is_open()) {
                        freed.push(after.deployment);
                    }
                    self.runs.insert(command.run_id, after);
                    self.done.push((command, done));
                }
                (None, Err(RecordError::LeaseLost { current })) if fenced_off => assert_eq!(current, before.epoch, "{command:?}"),
                (None, Err(RecordError::Moved(_))) if !fenced_off => {}
                (after, answer) => panic!("{command:?} on {before:?}: the model says {after:?}, the store {answer:?}"),
            }
        }
        for deployment in freed {
            self.hand_turn_on(deployment);
        }
    }

    /// Sends an earlier command again: it answers as before, and [`check`](Self::check) sees that nothing was done.
    pub(super) async fn repeat(&mut self) {
        let written: Vec<_> = self.done.iter().filter(|(_, done)| !done.events.is_empty()).collect();
        if !written.is_empty() {
            let (command, done) = written[self.random.below(written.len())];
            let repeated = record(self.store, again(command)).await.unwrap();
            assert_eq!((&repeated.events, repeated.run_state), (&done.events, self.runs[&command.run_id].state), "{command:?}");
        }
    }

    /// The store against the model, and each run's rows against its events.
    pub(super) async fn check(&self) {
        for (id, model) in &self.runs {
            let run = self.store.run(*id).await.unwrap();
            assert_eq!((run.state, run.worker_id, run.epoch, run.ready), (model.state, model.holder, model.epoch, model.ready));
            assert_eq!((run.started_at.is_some(), run.finished_at.is_some()), (model.started, !model.is_open()));
            let rows = self.store.steps(*id).await.unwrap();
            assert_eq!(run.step_count as usize, rows.len());
            assert!(rows.iter().zip(0..).all(|(row, place)| row.index == at(place)), "steps stand in order without gaps");
            let as_model = |row: &crate::model::Step| ModelStep {
                name: row.name.to_string(),
                parent: row.parent.map(|parent| parent.position()),
                state: row.state,
                attempt: row.attempt,
                waits: row.state == StepState::Undoing && row.next_attempt_at.is_some(),
            };
            assert_eq!(rows.iter().map(as_model).collect::<Vec<_>>(), model.steps);

            let events = self.store.run_events(*id, 0, 10_000).await.unwrap();
            assert_eq!(events.iter().map(|event| event.seq).collect::<Vec<_>>(), (1..=run.last_seq).collect::<Vec<_>>());
            assert!(events.is_sorted_by_key(|event| event.epoch), "epochs never go back");
            assert_eq!(events.iter().filter(|event| event.is_final()).count(), model.ends);
            assert!(model.is_open() || events.last().is_some_and(|event| event.is_final()), "nothing happens after the end");
            let (mut folded_run, mut folded) = (RunState::Queued, BTreeMap::new());
            for event in events {
                match event.body {
                    RunEventBody::Run { state, .. } => folded_run = state,
                    RunEventBody::Step { index, state, attempt, .. } => drop(folded.insert(index, (state, attempt))),
                    RunEventBody::Progress { .. } => {}
                }
            }
            assert_eq!(folded_run, run.state);
            for row in &rows {
                let told = folded.get(&row.index).copied().unwrap_or((StepState::Pending, 0));
                assert_eq!((row.state, row.attempt), told, "the events tell another state of step {} than its row", row.index);
            }
        }
    }
}
