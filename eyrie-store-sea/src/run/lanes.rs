//! Which queued runs may begin: those whose turn it is, shared out between their lanes, within the limits.

use std::collections::BTreeSet;

use eyrie_core::{
    id::{ClusterId, GroupId, ProjectId},
    model::Limited,
    store::{Lane, Load, Loads, Waiting, fair_shares},
};
use sea_orm::prelude::Uuid as Id;

use crate::{
    entity::{
        column::{counted_small, time},
        run,
    },
    error::Failure,
    rows::{
        Cell, FromRow,
        Kind::{Int, Uuid},
        RowRef, RowStatement, RowTx, Rows, from_row,
    },
};

/// The oldest run of each lane that has runs whose turn it is, each found by a step in the index, however many wait. (Compared
/// as one, the three columns would have SQLite read the whole lane. A cross join keeps SQLite from going through all runs in search
/// of the few lanes, which its statistics may suggest.)
macro_rules! heads {
    () => {
        "WITH RECURSIVE l (id) AS (SELECT (SELECT r.id FROM runs r WHERE r.ready \
            ORDER BY r.project_id, r.group_id, r.cluster_id, r.queued_at, r.id LIMIT 1) \
        UNION ALL SELECT COALESCE( \
            (SELECT r.id FROM runs r WHERE r.ready AND r.project_id = h.project_id AND r.group_id = h.group_id \
                AND r.cluster_id > h.cluster_id ORDER BY r.cluster_id, r.queued_at, r.id LIMIT 1), \
            (SELECT r.id FROM runs r WHERE r.ready AND r.project_id = h.project_id AND r.group_id > h.group_id \
                ORDER BY r.group_id, r.cluster_id, r.queued_at, r.id LIMIT 1), \
            (SELECT r.id FROM runs r WHERE r.ready AND r.project_id > h.project_id \
                ORDER BY r.project_id, r.group_id, r.cluster_id, r.queued_at, r.id LIMIT 1)) FROM l CROSS JOIN runs h WHERE h.id = l.id)"
    };
}

/// How many runs of the project of the run called `$of`, of its group, and on its cluster workers hold.
macro_rules! held {
    (project of $of:literal) => {
        concat!(
            "(SELECT count(*) FROM runs r WHERE r.project_id = ",
            $of,
            ".project_id AND r.state IN ('running', 'cancelling', 'undoing'))"
        )
    };
    (group of $of:literal) => {
        concat!(
            "(SELECT count(*) FROM runs r WHERE r.project_id = ",
            $of,
            ".project_id AND r.group_id = ",
            $of,
            ".group_id AND r.state IN ('running', 'cancelling', 'undoing'))"
        )
    };
    (cluster of $of:literal) => {
        concat!(
            "(SELECT count(*) FROM runs r WHERE r.cluster_id = ",
            $of,
            ".cluster_id AND r.state IN ('running', 'cancelling', 'undoing'))"
        )
    };
}

/// The limit of that id.
macro_rules! most {
    ($id:expr) => {
        concat!("(SELECT q.max_running FROM queue_rules q WHERE q.id = ", $id, ")")
    };
}

/// Whether there is a run whose turn it is, and that no limit holds back. Without any limit, that is one look into the index (by its
/// order: a server whose statistics are old might read the whole table otherwise).
macro_rules! some_may_begin {
    () => {
        concat!(
            "(SELECT r.id FROM runs r WHERE r.ready ORDER BY r.project_id, r.group_id, r.cluster_id, r.queued_at, r.id LIMIT 1) \
                IS NOT NULL AND (NOT EXISTS (SELECT 1 FROM queue_rules WHERE max_running IS NOT NULL) OR EXISTS (",
            $crate::run::lanes::heads!(),
            " SELECT 1 FROM l CROSS JOIN runs h WHERE h.id = l.id AND \
                NOT EXISTS (SELECT 1 FROM queue_rules q WHERE q.id = h.project_id AND q.max_running <= ",
            $crate::run::lanes::held!(project of "h"),
            ") AND NOT EXISTS (SELECT 1 FROM queue_rules q WHERE q.id = h.group_id AND q.max_running <= ",
            $crate::run::lanes::held!(group of "h"),
            ") AND NOT EXISTS (SELECT 1 FROM queue_rules q WHERE q.id = h.cluster_id AND q.max_running <= ",
            $crate::run::lanes::held!(cluster of "h"),
            ")))"
        )
    };
}

/// Who holds runs (`h.worker_id`; null: nobody any more), each with the row of its lease (`w`), if there still is one.
macro_rules! holders {
    () => {
        "(SELECT DISTINCT worker_id FROM runs WHERE state IN ('running', 'cancelling', 'undoing')) h LEFT JOIN workers w ON w.id = h.worker_id"
    };
}
pub(super) use {heads, held, holders, some_may_begin};

/// Each lane with how many of its runs could begin, how much is under way of what it counts against, and how much may be. (The
/// order keeps a server from counting by reading the whole table.)
pub(super) static LANES: RowStatement = RowStatement::written(
    &[("most", Int)],
    concat!(
        heads!(),
        " SELECT h.queued_at, (SELECT count(*) FROM (SELECT 1 FROM runs r WHERE r.ready \
            AND r.project_id = h.project_id AND r.group_id = h.group_id AND r.cluster_id = h.cluster_id \
            ORDER BY r.queued_at, r.id LIMIT ?1) AS few), h.id, h.project_id, h.group_id, h.cluster_id, ",
        held!(project of "h"),
        ", ",
        most!("h.project_id"),
        ", ",
        held!(group of "h"),
        ", ",
        most!("h.group_id"),
        ", CASE WHEN EXISTS (SELECT 1 FROM queue_rules q WHERE q.id = h.cluster_id) THEN ",
        held!(cluster of "h"),
        " ELSE 0 END, ",
        most!("h.cluster_id"),
        " FROM l CROSS JOIN runs h WHERE h.id = l.id"
    ),
);
/// Whoever claims what counts against these limits does so alone: two workers must not exceed one together.
static LOCK_LIMITS: RowStatement = RowStatement::select(&["id"], "queue_rules", &[("id", Uuid)], "").locking();
static READY: RowStatement = ready().taking();
/// The same without keeping them from others.
#[cfg(feature = "postgres")]
pub(super) static CANDIDATES: RowStatement = ready().at_once();

const fn ready() -> RowStatement {
    RowStatement::query(
        run::Model::COLUMNS,
        &[("project_id", Uuid), ("group_id", Uuid), ("cluster_id", Uuid), ("most", Int)],
        "runs WHERE ready AND project_id = ?1 AND group_id = ?2 AND cluster_id = ?3 ORDER BY queued_at, id LIMIT ?4",
    )
}

/// What a run counts against, how much of that is under way, and how much may be.
#[derive(Debug)]
pub(super) struct LoadRow {
    pub(super) id: Id,
    project_id: Id,
    group_id: Id,
    cluster_id: Id,
    project_held: i64,
    project_most: Option<i64>,
    group_held: i64,
    group_most: Option<i64>,
    cluster_held: i64,
    cluster_most: Option<i64>,
}

from_row!(LoadRow {
    id,
    project_id,
    group_id,
    cluster_id,
    project_held = held!(project of "runs"),
    project_most = most!("runs.project_id"),
    group_held = held!(group of "runs"),
    group_most = most!("runs.group_id"),
    cluster_held = held!(cluster of "runs"),
    cluster_most = most!("runs.cluster_id"),
});

impl LoadRow {
    /// The run's lane; the id of zeros stands for no cluster.
    pub(super) fn lane(&self) -> Lane {
        let cluster = Some(self.cluster_id).filter(|cluster| !cluster.is_nil()).map(ClusterId::from_uuid);
        Lane { project: ProjectId::from_uuid(self.project_id), group: GroupId::from_uuid(self.group_id), cluster }
    }

    /// Adds its loads to those that are known.
    pub(super) fn add_to(&self, loads: &mut Loads) -> Result<(), Failure> {
        let load = |held, most: Option<i64>| {
            Ok::<_, Failure>(Load { under_way: counted_small(held)?, most: most.map(counted_small).transpose()? })
        };
        let lane = self.lane();
        loads.insert(Limited::Project(lane.project), load(self.project_held, self.project_most)?);
        loads.insert(Limited::Group(lane.group), load(self.group_held, self.group_most)?);
        if let Some(cluster) = lane.cluster {
            loads.insert(Limited::Cluster(cluster), load(self.cluster_held, self.cluster_most)?);
        }
        Ok(())
    }
}

/// The oldest run of a lane, and how many could begin.
#[derive(Debug)]
pub(super) struct LaneRow {
    queued_at: i64,
    ready: i64,
    oldest: LoadRow,
}

impl FromRow for LaneRow {
    const COLUMNS: &'static [&'static str] = &[];

    fn from_row(row: &mut RowRef<'_>) -> Result<Self, Failure> {
        Ok(Self { queued_at: row.next()?, ready: row.next()?, oldest: LoadRow::from_row(row)? })
    }
}

/// Up to `room` queued runs whose turn it is, shared out between their lanes.
pub(super) async fn next_in_turn(tx: &mut RowTx, room: u32) -> Result<Vec<run::Model>, Failure> {
    let (waiting, loads) = lanes(tx, room).await?;
    let mut shares = fair_shares(&waiting, &loads, room);
    let met = limits_of(shares.iter().map(|(lane, _)| lane), &loads);
    if tx.has_rivals() && !met.is_empty() {
        // What others have claimed meanwhile counts, and a limit that is new is obeyed by whoever locks it: at the next claim.
        tx.lock(&LOCK_LIMITS, met.iter().map(|of| [Cell::from(of.uuid())]).collect()).await?;
        let (mut waiting, loads) = lanes(tx, room).await?;
        waiting.retain(|waiting| limits_of([&waiting.lane].into_iter(), &loads).is_subset(&met));
        shares = fair_shares(&waiting, &loads, room);
    }
    let mut rows: Vec<run::Model> = tx.read(&READY, share_rows(&shares)).await?;
    rows.sort_by_key(|row| (row.queued_at, row.id));
    Ok(rows)
}

/// A row for each share of a lane.
pub(super) fn share_rows(shares: &[(Lane, u32)]) -> Rows {
    let cluster = |lane: &Lane| lane.cluster.map(ClusterId::uuid).unwrap_or_default();
    let row = |(lane, share): &(Lane, u32)| {
        [lane.project.uuid().into(), lane.group.uuid().into(), cluster(lane).into(), i64::from(*share).into()]
    };
    shares.iter().map(row).collect()
}

/// What there is a limit for among what these lanes count against.
pub(super) fn limits_of<'a>(lanes: impl Iterator<Item = &'a Lane>, loads: &Loads) -> BTreeSet<Limited> {
    lanes.flat_map(Lane::limited).filter(|of| loads.get(of).is_some_and(|load| load.most.is_some())).collect()
}

async fn lanes(tx: &mut RowTx, room: u32) -> Result<(Vec<Waiting>, Loads), Failure> {
    lanes_of(tx.read(&LANES, Rows::from_iter([[i64::from(room).into()]])).await?)
}

/// What waits, and what is under way.
pub(super) fn lanes_of(rows: Vec<LaneRow>) -> Result<(Vec<Waiting>, Loads), Failure> {
    let (mut waiting, mut loads) = (Vec::new(), Loads::new());
    for row in rows {
        row.oldest.add_to(&mut loads)?;
        waiting.push(Waiting { lane: row.oldest.lane(), ready: counted_small(row.ready)?, since: time(row.queued_at) });
    }
    Ok((waiting, loads))
}

#[cfg(test)]
mod tests;
