//! The queue as people read it.

use async_trait::async_trait;

use super::{MemoryStore, state::State};
use crate::{
    clock::Timestamp,
    error::Result,
    id::{ClusterId, RunId, UserId},
    model::{AuditEntry, Run},
    store::{InQueue, Page, PageRequest, QueueOf, QueueStore, has_turn, limit_reached, wait_of},
};

impl State {
    /// Where the run stands among the open runs of its deployment.
    fn standing(&self, id: RunId, now: Timestamp) -> Result<Option<InQueue>> {
        let record = self.record(id)?;
        let run = &record.run;
        if run.state.is_terminal() {
            return Ok(None);
        }
        let is_before = |other: &&Run| !run.deferred && !other.deferred && in_order(other) < in_order(run);
        let mut before: Vec<&Run> = self.open(run.deployment_id).filter(is_before).collect();
        before.sort_by_key(|run| in_order(run));
        let loads = self.loads([record.lane].iter());
        let has_worker = self.workers.values().any(|lease| !lease.retired && now < lease.until);
        Ok(Some(InQueue {
            position: (!run.deferred).then(|| u32::try_from(before.len() + 1).unwrap_or(u32::MAX)),
            behind: before.last().map(|run| run.id),
            wait: wait_of(run, limit_reached(&record.lane, &loads), has_worker),
            run: run.clone(),
        }))
    }
}

/// Who has the turn stands first; then the order of queueing counts, also for a run that has ended since.
fn in_order(run: &Run) -> (bool, Timestamp, RunId) {
    (run.state.is_terminal() || !has_turn(run), run.queued_at, run.id)
}

#[async_trait]
impl QueueStore for MemoryStore {
    async fn in_queue(&self, run: RunId) -> Result<Option<InQueue>> {
        self.state().standing(run, self.now())
    }

    async fn queue(&self, of: QueueOf, reader: Option<UserId>, page: PageRequest) -> Result<Page<InQueue>> {
        let state = self.state();
        let open = state.open.values().flatten().filter_map(|id| Some(&state.runs.get(id)?.run));
        let seen = open.filter(|run| state.shows(reader, run.deployment_id));
        let place = |run: &Run| match of {
            QueueOf::Deployment(_) => in_order(run),
            QueueOf::Project(_) => (false, run.queued_at, run.id),
        };
        let cursor = match page.cursor() {
            Some(cursor) => Some(place(&state.record(RunId::from_uuid(cursor))?.run)),
            None => None,
        };
        let fits = |run: &&Run| match of {
            QueueOf::Deployment(deployment) => run.deployment_id == deployment,
            QueueOf::Project(project) => run.project_id == project,
        };
        let mut behind: Vec<_> = seen.filter(fits).filter(|run| cursor.is_none_or(|cursor| place(run) > cursor)).collect();
        behind.sort_by_key(|run| place(run));
        let most = behind.into_iter().take(page.limit() as usize + 1);
        let standing = most.filter_map(|run| state.standing(run.id, self.now()).transpose());
        Ok(Page::cut(standing.collect::<Result<Vec<_>>>()?, &page, |one| one.run.id.uuid()))
    }

    async fn limit_cluster(&self, cluster: ClusterId, most: Option<u32>, audit: &AuditEntry) -> Result<()> {
        let mut state = self.state();
        match most {
            Some(most) => drop(state.cluster_limits.insert(cluster, most)),
            None => drop(state.cluster_limits.remove(&cluster)),
        }
        state.note(audit);
        Ok(())
    }

    async fn cluster_limit(&self, cluster: ClusterId) -> Result<Option<u32>> {
        Ok(self.state().cluster_limits.get(&cluster).copied())
    }
}
