//! Giving runs to workers.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use eyrie_core::{
    Result, Timestamp,
    id::{RunId, WorkerId},
    model::{Run, Step},
    store::{self, Claim, RunWrites},
};

use sea_orm::prelude::Uuid as Id;

#[cfg(feature = "postgres")]
use crate::run::journey::claim_in_one_journey;
use crate::{
    entity::{column::micros, run, run_step},
    error::Failure,
    rows::{
        FromRow,
        Kind::{Int, Uuid},
        RowStatement, RowTx, Rows, from_row,
    },
    run::{
        due::let_in,
        lanes::{holders, next_in_turn},
        load::Seen,
        write::write,
    },
    sqlite::WorkerLocks,
    store::SeaStore,
    writer::Class,
};

const LEASE: i64 = 1;
pub(super) const DEFERRED: i64 = 2;
pub(super) const HOLDER: i64 = 3;

/// What a claim must know first, in one journey. One line per thing: until when the worker's lease lasts; the earliest time that a
/// run waits for; who holds runs, and until when that one's lease lasts.
pub(super) static OUTLOOK: RowStatement = RowStatement::written(
    &[("worker_id", Uuid)],
    concat!(
        "SELECT CAST(1 AS int8) AS what, CAST(NULL AS uuid) AS id, lease_until AS time FROM workers WHERE id = ?1 \
            UNION ALL SELECT 2, NULL, (SELECT min(queued_at) FROM runs WHERE deferred) \
            UNION ALL SELECT 3, h.worker_id, w.lease_until FROM ",
        holders!()
    ),
);
static END_LEASES: RowStatement = RowStatement::update("workers", 1, &[("id", Uuid), ("lease_until", Int)]);
static LEFT: RowStatement = RowStatement::query(
    run::Model::COLUMNS,
    &[("most", Int)],
    "runs WHERE state IN ('running', 'cancelling', 'undoing') AND worker_id IS NULL ORDER BY queued_at, id LIMIT ?1",
)
.taking();
static HELD_BY: RowStatement =
    RowStatement::select(run::Model::COLUMNS, "runs", &[("worker_id", Uuid)], "AND state IN ('running', 'cancelling', 'undoing')").taking();
pub(super) static STEPS: RowStatement = RowStatement::select(
    run_step::Model::COLUMNS,
    "run_steps",
    &[("run_id", Uuid)],
    "AND (parent IS NULL OR state IN ('pending', 'running'))",
);

#[derive(Debug)]
pub(super) struct Line {
    pub(super) what: i64,
    pub(super) id: Option<Id>,
    pub(super) time: Option<i64>,
}

from_row!(Line { what, id, time });

/// Gives up to `limit` runs to the worker.
pub(super) async fn claim(store: &SeaStore, worker: WorkerId, limit: u32) -> Result<Vec<Claim>> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    #[cfg(feature = "postgres")]
    if let Some(claimed) = claim_in_one_journey(store, worker, limit).await {
        let claims = claimed.map_err(|failure| failure.into_error("claim"))?;
        store.held().claimed(&claims);
        return Ok(claims);
    }
    let locks = Arc::clone(store.locks());
    let claims = store.rows(Class::Engine, "claim", move |tx| give(tx, Arc::clone(&locks), worker, limit)).await?;
    store.held().claimed(&claims);
    Ok(claims)
}

async fn give(mut tx: RowTx, locks: Arc<WorkerLocks>, worker: WorkerId, limit: u32) -> Result<Vec<Claim>, Failure> {
    let at = tx.now();
    let outlook: Vec<Line> = tx.read(&OUTLOOK, Rows::from_iter([[worker.uuid().into()]])).await?;
    let time_of = |what| outlook.iter().find(|line| line.what == what).and_then(|line| line.time);
    if time_of(LEASE).is_none_or(|until| until <= micros(at)) {
        return Err(Failure::missing("valid worker lease"));
    }
    let is_due = time_of(DEFERRED).is_some_and(|time| time <= micros(at));
    let let_in = if is_due { let_in(&mut tx, at).await? } else { 0 };
    let (mut rows, dead) = orphans(&mut tx, &locks, worker, outlook, at, limit).await?;
    let room = limit.saturating_sub(u32::try_from(rows.len()).unwrap_or(u32::MAX));
    if room > 0 {
        rows.extend(next_in_turn(&mut tx, room).await?);
    }
    let claims = take(&mut tx, rows, worker, at).await?;
    if claims.is_empty() && dead.is_empty() && let_in == 0 {
        return Ok(claims);
    }
    tx.commit().await?;
    locks.bury(&dead);
    Ok(claims)
}

/// Held runs whose holder is gone, oldest first, and the holders found dead by their locks.
async fn orphans(
    tx: &mut RowTx,
    locks: &WorkerLocks,
    worker: WorkerId,
    outlook: Vec<Line>,
    at: Timestamp,
    limit: u32,
) -> Result<(Vec<run::Model>, Vec<WorkerId>), Failure> {
    let (mut gone, mut living, mut is_some_left) = (Vec::new(), Vec::new(), false);
    for holder in outlook.into_iter().filter(|line| line.what == HOLDER) {
        match holder.id {
            None => is_some_left = true,
            Some(id) if id == worker.uuid() => {}
            Some(id) if holder.time.is_none_or(|until| until <= micros(at)) => gone.push(id),
            Some(id) => living.push(WorkerId::from_uuid(id)),
        }
    }
    let dead = locks.dead_of(&living);
    for id in &dead {
        tracing::info!(worker = %id, "the worker's process is gone; its runs are taken over");
        gone.push(id.uuid());
    }
    tx.execute(&END_LEASES, dead.iter().map(|id| [id.uuid().into(), 0_i64.into()]).collect()).await?;
    let mut rows = if is_some_left { tx.read(&LEFT, Rows::from_iter([[i64::from(limit).into()]])).await? } else { Vec::new() };
    if !gone.is_empty() {
        rows.extend(tx.read::<run::Model>(&HELD_BY, gone.into_iter().map(|id| [id.into()]).collect()).await?);
    }
    rows.sort_by_key(|row| (row.queued_at, row.id));
    rows.truncate(limit as usize);
    Ok((rows, dead))
}

/// Makes the runs the worker's.
async fn take(tx: &mut RowTx, rows: Vec<run::Model>, worker: WorkerId, at: Timestamp) -> Result<Vec<Claim>, Failure> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let steps = tx.read(&STEPS, rows.iter().map(|row| [row.id.into()]).collect()).await?;
    let Taken { seen, writes, claims } = Taken::of(rows, steps, worker, at);
    write(tx, &seen, &writes, at).await?;
    Ok(claims)
}

/// Runs that become a worker's.
pub(super) struct Taken {
    pub(super) seen: Seen,
    pub(super) writes: RunWrites,
    pub(super) claims: Vec<Claim>,
}

impl Taken {
    /// Of these runs, with their steps.
    pub(super) fn of(rows: Vec<run::Model>, all_steps: Vec<run_step::Model>, worker: WorkerId, at: Timestamp) -> Self {
        let mut steps: HashMap<_, Vec<run_step::Model>> = HashMap::new();
        for step in all_steps {
            steps.entry(step.run_id).or_default().push(step);
        }
        let (mut seen, mut writes, mut claims) = (Seen::default(), RunWrites::default(), Vec::with_capacity(rows.len()));
        for row in rows {
            let id = RunId::from_uuid(row.id);
            let of_run = steps.remove(&row.id).unwrap_or_default();
            match take_one(row, of_run, worker, at, &mut seen, &mut writes) {
                Ok(claim) => claims.push(claim),
                // One bad run must not keep a worker from all others.
                Err(failure) => {
                    let error = failure.into_error("claim");
                    tracing::error!(run = %id, error = &error as &dyn std::error::Error, "the run cannot be claimed");
                }
            }
        }
        Self { seen, writes, claims }
    }
}

fn take_one(
    row: run::Model,
    steps: Vec<run_step::Model>,
    worker: WorkerId,
    at: Timestamp,
    seen: &mut Seen,
    writes: &mut RunWrites,
) -> Result<Claim, Failure> {
    let mut run = Run::try_from(row)?;
    let before = run.clone();
    let steps: Result<BTreeMap<_, _>, Failure> =
        steps.into_iter().map(|step| Step::try_from(step).map(|step| (step.index, step))).collect();
    let mut steps: Vec<Step> = steps?.into_values().collect();
    let steps_before = steps.clone();
    let events = store::claim(&mut run, &mut steps, worker, at).map_err(|error| Failure::Refused(error.into()))?;
    seen.run(&before);
    for (before, after) in steps_before.iter().zip(&steps) {
        if before != after {
            seen.step(before, before.handle.is_some());
            writes.steps.push(after.clone());
        }
    }
    writes.runs.push(run.clone());
    let taken_over = before.epoch > 0;
    let told = events.iter().map(|row| (*row.event).clone()).collect();
    writes.events.extend(events);
    Ok(Claim { run, steps, events: told, taken_over })
}
