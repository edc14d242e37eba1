//! Giving runs to workers.

use std::collections::{BTreeMap, HashMap};

use eyrie_core::{
    Result, Timestamp,
    id::{RunId, WorkerId},
    model::{Run, Step},
    store::{self, Claim, RunWrites},
};
use sea_orm::{ConnectionTrait, EntityTrait, FromQueryResult, QuerySelect, Statement, Value, prelude::Uuid};

use crate::{
    entity::{column::micros, run, run_step, worker},
    error::Failure,
    row_statement::RowStatement,
    run::{load::Seen, write::write},
    store::{SeaStore, now},
    worker_lock::WorkerLocks,
    writer::{Class, WriteTx},
};

const HOLDERS: &str = "SELECT h.worker_id, w.lease_until FROM (SELECT DISTINCT worker_id FROM runs \
    WHERE state IN ('running', 'cancelling', 'undoing')) h LEFT JOIN workers w ON w.id = h.worker_id";
const LEFT: &str = "SELECT * FROM runs WHERE state IN ('running', 'cancelling', 'undoing') AND worker_id IS NULL \
    ORDER BY queued_at, id LIMIT ?";
const HELD_BY: RowStatement = RowStatement {
    columns: "worker_id",
    then: "SELECT r.* FROM v CROSS JOIN runs r WHERE r.worker_id = v.worker_id AND r.state IN ('running', 'cancelling', 'undoing')",
};
const READY: &str = "SELECT * FROM runs WHERE ready ORDER BY queued_at, id LIMIT ?";
const STEPS: RowStatement = RowStatement {
    columns: "run_id",
    then: "SELECT s.* FROM v CROSS JOIN run_steps s WHERE s.run_id = v.run_id AND (s.parent IS NULL OR s.state IN ('pending', 'running'))",
};

#[derive(Debug, FromQueryResult)]
struct Holder {
    worker_id: Option<Uuid>,
    lease_until: Option<i64>,
}

/// Gives up to `limit` runs to the worker.
pub(super) async fn claim(store: &SeaStore, worker: WorkerId, limit: u32) -> Result<Vec<Claim>> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    let locks = store.locks().clone();
    store
        .write(Class::Engine, "claim", move |tx| async move {
            let at = now();
            check_lease(&tx, worker, at).await?;
            let (mut rows, dead) = orphans(&tx, &locks, worker, at, limit).await?;
            let room = u64::from(limit).saturating_sub(rows.len() as u64);
            if room > 0 {
                rows.extend(runs_of(&tx, READY, room).await?);
            }
            let claims = take(&tx, rows, worker, at).await?;
            if claims.is_empty() && dead.is_empty() {
                return Ok(claims);
            }
            tx.commit().await?;
            locks.bury(&dead);
            Ok(claims)
        })
        .await
}

async fn check_lease(tx: &WriteTx, worker: WorkerId, at: Timestamp) -> Result<(), Failure> {
    let select = worker::Entity::find_by_id(worker.uuid()).select_only().column(worker::Column::LeaseUntil);
    let until: Option<i64> = select.into_tuple().one(&**tx).await?;
    if until.is_some_and(|until| until > micros(at)) { Ok(()) } else { Err(Failure::missing("valid worker lease")) }
}

async fn runs_of(tx: &WriteTx, sql: &str, limit: u64) -> Result<Vec<run::Model>, Failure> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let statement = Statement::from_sql_and_values(tx.get_database_backend(), sql, [limit.into()]);
    Ok(run::Entity::find().from_raw_sql(statement).all(&**tx).await?)
}

/// Held runs whose holder is gone, oldest first, and the holders found dead by their locks.
async fn orphans(
    tx: &WriteTx,
    locks: &WorkerLocks,
    worker: WorkerId,
    at: Timestamp,
    limit: u32,
) -> Result<(Vec<run::Model>, Vec<WorkerId>), Failure> {
    let statement = Statement::from_string(tx.get_database_backend(), HOLDERS);
    let (mut gone, mut living, mut is_some_left) = (Vec::new(), Vec::new(), false);
    for row in tx.query_all_raw(statement).await? {
        let holder = Holder::from_query_result(&row, "")?;
        match holder.worker_id {
            None => is_some_left = true,
            Some(id) if id == worker.uuid() => {}
            Some(id) if holder.lease_until.is_none_or(|until| until <= micros(at)) => gone.push(id),
            Some(id) => living.push(WorkerId::from_uuid(id)),
        }
    }
    let dead = locks.dead_of(&living);
    for id in &dead {
        tracing::info!(worker = %id, "the worker's process is gone; its runs are taken over");
        end_lease(tx, id.uuid()).await?;
        gone.push(id.uuid());
    }
    let mut rows = if is_some_left { runs_of(tx, LEFT, u64::from(limit)).await? } else { Vec::new() };
    if !gone.is_empty() {
        rows.extend(HELD_BY.read::<run::Model>(&**tx, gone.into_iter().map(|id| [id.into()]).collect()).await?);
    }
    rows.sort_by_key(|row| (row.queued_at, row.id));
    rows.truncate(limit as usize);
    Ok((rows, dead))
}

async fn end_lease(tx: &WriteTx, worker: Uuid) -> Result<(), Failure> {
    let sql = "UPDATE workers SET lease_until = 0 WHERE id = ?";
    tx.execute_raw(Statement::from_sql_and_values(tx.get_database_backend(), sql, [Value::from(worker)])).await?;
    Ok(())
}

/// Makes the runs the worker's.
async fn take(tx: &WriteTx, rows: Vec<run::Model>, worker: WorkerId, at: Timestamp) -> Result<Vec<Claim>, Failure> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let mut steps: HashMap<Uuid, Vec<run_step::Model>> = HashMap::new();
    for step in STEPS.read::<run_step::Model>(&**tx, rows.iter().map(|row| [row.id.into()]).collect()).await? {
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
    write(tx, &seen, writes, at).await?;
    Ok(claims)
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
