//! Whose place the newest run of a deployment takes: shared by every store, so that they cannot differ in it.

use std::collections::{BTreeSet, HashMap};

use crate::{
    error::Result,
    id::{DeploymentId, RunId},
    model::{Run, RunKind, RunState},
    store::{Change, Command, Enqueued, RecordError, Recorded},
};

/// The newest run of each kind of each deployment whose policy is to coalesce, and runs that take the place of others by name.
#[derive(Debug, Default)]
pub struct Newest {
    of_kind: HashMap<(DeploymentId, RunKind), RunId>,
    /// By the run whose place is taken.
    named: HashMap<(DeploymentId, RunId), RunId>,
}

impl Newest {
    /// Takes a run that was just queued, behind all that were taken before. One whose time has not come takes nobody's place.
    pub fn take(&mut self, run: &Run) {
        if !run.deferred {
            self.of_kind.insert((run.deployment_id, run.kind), run.id);
        }
    }

    /// Takes a run that was just queued and takes the place of these.
    pub fn take_for(&mut self, run: &Run, places: &[RunId]) {
        if !run.deferred {
            self.named.extend(places.iter().map(|place| ((run.deployment_id, *place), run.id)));
        }
    }

    /// The deployments that they belong to.
    #[must_use]
    pub fn deployments(&self) -> BTreeSet<DeploymentId> {
        self.of_kind.keys().map(|(deployment, _)| *deployment).chain(self.named.keys().map(|(deployment, _)| *deployment)).collect()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.of_kind.is_empty() && self.named.is_empty()
    }

    /// The run that takes the place of this one. Only what stands in the queue and has never begun is superseded: what began, waits
    /// for an approval, or was resumed has an epoch.
    fn supersedes(&self, run: &Run) -> Option<RunId> {
        let newest = self.of_kind.get(&(run.deployment_id, run.kind)).or_else(|| self.named.get(&(run.deployment_id, run.id))).copied();
        newest.filter(|newest| *newest != run.id && run.state == RunState::Queued && run.epoch == 0 && !run.deferred)
    }

    /// What ends those of these runs whose place is taken.
    pub fn end<'a>(&self, queued: impl IntoIterator<Item = &'a Run>) -> Supersession {
        let mut all = Supersession::default();
        for run in queued {
            if let Some(newest) = self.supersedes(run) {
                all.by.push(newest);
                all.commands.push(Command::unfenced(run.id, Change::RequestCancel { reason: format!("superseded by run {newest}") }));
            }
        }
        all
    }
}

/// Runs whose place is taken.
#[derive(Debug, Default)]
pub struct Supersession {
    by: Vec<RunId>,
    commands: Vec<Command>,
}

impl Supersession {
    /// The commands that end them, to be carried out in the transaction that queues those that take their place.
    #[must_use]
    pub fn commands(&self) -> &[Command] {
        &self.commands
    }

    /// Adds what the commands wrote to the answers about the runs that caused them.
    pub fn tell(&self, recorded: &[Result<Recorded, RecordError>], answers: &mut [Result<Enqueued>]) {
        for (by, recorded) in self.by.iter().zip(recorded) {
            let answer = answers.iter_mut().flatten().find(|answer| answer.is_new && answer.run.id == *by);
            if let (Some(answer), Ok(recorded)) = (answer, recorded) {
                answer.superseded.extend(recorded.events.iter().cloned());
            }
        }
    }
}
