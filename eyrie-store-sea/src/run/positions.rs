//! The queue as people read it.

use std::collections::HashMap;

use async_trait::async_trait;
use eyrie_core::{
    Result,
    id::{ClusterId, DeploymentId, RunId, UserId},
    model::{AuditEntry, Limited, Run, RunState},
    store::{InQueue, Load, Loads, Page, PageRequest, QueueOf, QueueStore, RunStore, has_turn, limit_reached, wait_of},
};
use sea_orm::prelude::Uuid as Id;

use super::lanes::LoadRow;
use crate::{
    audit,
    entity::{
        audit_entry,
        column::{counted_small, micros},
        run,
    },
    error::Failure,
    queue_rule::{keep, limit, limit_of},
    readable::readable_by_fifth,
    rows::{
        Cell, FromRow,
        Kind::{Int, Uuid},
        RowStatement, Rows, from_row,
    },
    store::{SeaStore, now},
    writer::Class,
};

/// The run of a deployment that has the turn.
static CURRENT: RowStatement = RowStatement::select(
    run::Model::COLUMNS,
    "runs",
    &[("deployment_id", Uuid)],
    "AND finished_at IS NULL AND (state <> 'queued' OR ready)",
);
/// The runs of a deployment that stand behind it, behind a place in their order.
static BEHIND: RowStatement = RowStatement::query(
    run::Model::COLUMNS,
    &[("deployment_id", Uuid), ("queued_at", Int), ("id", Uuid), ("most", Int)],
    "runs WHERE deployment_id = ?1 AND finished_at IS NULL AND state = 'queued' AND NOT ready AND (queued_at, id) > (?2, ?3) \
        ORDER BY queued_at, id LIMIT ?4",
);
/// The runs of a project that have not ended, behind a place in their order.
static OPEN: RowStatement = RowStatement::query(
    run::Model::COLUMNS,
    &[("project_id", Uuid), ("queued_at", Int), ("id", Uuid), ("most", Int)],
    "runs WHERE project_id = ?1 AND finished_at IS NULL AND (queued_at, id) > (?2, ?3) ORDER BY queued_at, id LIMIT ?4",
);
/// The same, of those that a member may see.
static OPEN_READABLE: RowStatement = RowStatement::query(
    run::Model::COLUMNS,
    &[("project_id", Uuid), ("queued_at", Int), ("id", Uuid), ("most", Int), ("reader", Uuid)],
    concat!(
        "runs WHERE project_id = ?1 AND finished_at IS NULL AND (queued_at, id) > (?2, ?3)",
        readable_by_fifth!(),
        " ORDER BY queued_at, id LIMIT ?4"
    ),
);
/// How many stand before a run that waits for its turn, and which is the last of them.
static BEFORE: RowStatement = RowStatement::written(
    &[("deployment_id", Uuid), ("queued_at", Int), ("id", Uuid)],
    "SELECT (SELECT count(*) FROM runs r WHERE r.deployment_id = ?1 AND r.finished_at IS NULL AND r.state = 'queued' AND NOT r.ready \
            AND NOT r.deferred AND (r.queued_at, r.id) < (?2, ?3)), \
        (SELECT r.id FROM runs r WHERE r.deployment_id = ?1 AND r.finished_at IS NULL AND r.state = 'queued' AND NOT r.ready \
            AND NOT r.deferred AND (r.queued_at, r.id) < (?2, ?3) ORDER BY r.queued_at DESC, r.id DESC LIMIT 1), \
        (SELECT c.id FROM runs c WHERE c.deployment_id = ?1 AND c.finished_at IS NULL AND (c.state <> 'queued' OR c.ready))",
);
/// What runs count against, how much of that is under way, and how much may be.
static LOADS: RowStatement = RowStatement::select(LoadRow::COLUMNS, "runs", &[("id", Uuid)], "");
static WORKERS: RowStatement = RowStatement::written(&[("now", Int)], "SELECT id FROM workers WHERE lease_until > ?1 LIMIT 1");
/// The same on a server, by whose clock leases end.
static SERVER_WORKERS: RowStatement = RowStatement::written(
    &[],
    "SELECT id FROM workers WHERE lease_until > (extract(epoch FROM clock_timestamp()) * 1000000)::int8 LIMIT 1",
);

#[derive(Debug)]
struct Before {
    count: i64,
    last: Option<Id>,
    current: Option<Id>,
}

from_row!(Before { count, last, current });

#[derive(Debug)]
struct Living {
    #[expect(dead_code, reason = "that there is one is all that matters")]
    id: Id,
}

from_row!(Living { id });

#[async_trait]
impl QueueStore for SeaStore {
    async fn in_queue(&self, run: RunId) -> Result<Option<InQueue>> {
        let run = self.run(run).await?;
        if run.state.is_terminal() {
            return Ok(None);
        }
        Ok(self.placed(vec![run]).await?.pop())
    }

    async fn queue(&self, of: QueueOf, reader: Option<UserId>, page: PageRequest) -> Result<Page<InQueue>> {
        let cursor = match page.cursor() {
            Some(cursor) => Some(self.run(RunId::from_uuid(cursor)).await?),
            None => None,
        };
        let mut most = i64::from(page.limit()) + 1;
        let mut runs: Vec<Run> = Vec::new();
        let (statement, whose, behind) = match of {
            QueueOf::Deployment(deployment) => {
                if cursor.is_none() {
                    runs = self.read_rows::<run::Model, _>("queue", &CURRENT, Rows::from_iter([[deployment.uuid().into()]])).await?;
                    most -= i64::try_from(runs.len()).unwrap_or(most);
                }
                // All others stand behind the one that has the turn, whenever they were queued.
                (&BEHIND, deployment.uuid(), cursor.filter(|run| run.state.is_terminal() || !has_turn(run)))
            }
            QueueOf::Project(project) => (&OPEN, project.uuid(), cursor),
        };
        let (at, id) = behind.map_or((i64::MIN, Id::nil()), |run| (micros(run.queued_at), run.id.uuid()));
        // A deployment's queue is read by whoever may see the deployment, and so all of it.
        let reader = reader.filter(|_| matches!(of, QueueOf::Project(_)));
        let (statement, row) = match reader {
            Some(reader) => {
                let row = [whose.into(), at.into(), id.into(), most.into(), reader.uuid().into()];
                (&OPEN_READABLE, Rows::from_iter([row]))
            }
            None => (statement, Rows::from_iter([[whose.into(), at.into(), id.into(), most.into()]])),
        };
        runs.extend(self.read_rows::<run::Model, Run>("queue", statement, row).await?);
        Ok(Page::cut(self.placed(runs).await?, &page, |one| one.run.id.uuid()))
    }

    async fn limit_cluster(&self, cluster: ClusterId, most: Option<u32>, audit: &AuditEntry) -> Result<()> {
        let rule = limit(cluster.uuid(), most);
        let entry = audit_entry::Model::from(audit);
        self.write(Class::Request, "limit cluster", move |tx| async move {
            keep(&tx, rule).await?;
            audit::keep(&tx, entry).await?;
            tx.commit().await
        })
        .await
    }

    async fn cluster_limit(&self, cluster: ClusterId) -> Result<Option<u32>> {
        limit_of(self.read(), cluster.uuid()).await.map_err(|failure| failure.into_error("cluster limit"))
    }
}

impl SeaStore {
    /// The runs, which stand in the order of their queueing within each deployment, with their places.
    async fn placed(&self, runs: Vec<Run>) -> Result<Vec<InQueue>> {
        let mut before = self.before_the_first(&runs).await?;
        let mut limits = self.limits_reached(&runs).await?;
        let has_worker = limits.is_empty() || self.has_worker().await?;
        let placed = runs.into_iter().map(|run| {
            let (position, behind) = match before.get_mut(&run.deployment_id) {
                _ if run.deferred => (None, None),
                Some((count, last)) if !has_turn(&run) => {
                    *count += 1;
                    (Some(*count), last.replace(run.id))
                }
                _ => (Some(1), None),
            };
            let wait = wait_of(&run, limits.remove(&run.id).flatten(), has_worker);
            InQueue { run, position, behind, wait }
        });
        Ok(placed.collect())
    }

    /// For each deployment, how many runs stand before the first of these that waits for its turn, and the last of them.
    async fn before_the_first(&self, runs: &[Run]) -> Result<HashMap<DeploymentId, (u32, Option<RunId>)>> {
        let (mut firsts, mut rows) = (Vec::new(), Rows::default());
        for run in runs.iter().filter(|run| !has_turn(run) && !run.deferred) {
            if !firsts.contains(&run.deployment_id) {
                firsts.push(run.deployment_id);
                rows.push([run.deployment_id.uuid().into(), micros(run.queued_at).into(), run.id.uuid().into()]);
            }
        }
        let found: Vec<Standing> = self.read_rows::<Before, _>("queue", &BEFORE, rows).await?;
        Ok(firsts.into_iter().zip(found).map(|(deployment, Standing { before, last })| (deployment, (before, last))).collect())
    }

    /// Of the runs that could begin: the limits that hold them back.
    async fn limits_reached(&self, runs: &[Run]) -> Result<HashMap<RunId, Option<(Limited, Load)>>> {
        let could_begin = runs.iter().filter(|run| run.state == RunState::Queued && run.ready);
        let rows: Rows = could_begin.map(|run| [Cell::from(run.id.uuid())]).collect();
        let found: Vec<Reached> = self.read_rows::<LoadRow, _>("queue", &LOADS, rows).await?;
        Ok(found.into_iter().map(|reached| (reached.run, reached.limit)).collect())
    }

    async fn has_worker(&self) -> Result<bool> {
        let (statement, row) = match self.is_server() {
            true => (&SERVER_WORKERS, Rows::none_needed()),
            false => (&WORKERS, Rows::from_iter([[micros(now()).into()]])),
        };
        Ok(!self.read_rows::<Living, Living>("workers", statement, row).await?.is_empty())
    }
}

/// How many runs stand before one, and which is the last of them.
#[derive(Debug)]
struct Standing {
    before: u32,
    last: Option<RunId>,
}

impl TryFrom<Before> for Standing {
    type Error = Failure;

    fn try_from(Before { count, last, current }: Before) -> Result<Self, Failure> {
        let before = counted_small(count + i64::from(current.is_some()))?;
        Ok(Self { before, last: last.or(current).map(RunId::from_uuid) })
    }
}

/// The limit that holds a run back.
#[derive(Debug)]
struct Reached {
    run: RunId,
    limit: Option<(Limited, Load)>,
}

impl TryFrom<LoadRow> for Reached {
    type Error = Failure;

    fn try_from(row: LoadRow) -> Result<Self, Failure> {
        let mut loads = Loads::new();
        row.add_to(&mut loads)?;
        Ok(Self { run: RunId::from_uuid(row.id), limit: limit_reached(&row.lane(), &loads) })
    }
}
