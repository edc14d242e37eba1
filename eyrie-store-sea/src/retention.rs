//! Pruning. What may go is looked for before the transaction that deletes it, by readers: what holds for a run that has ended long
//! ago goes on to hold, but for its end, which is looked at again. A forgotten run's row goes first, as a whole with all that could
//! lead to it; what is left of the run is remembered, and goes in pieces.

use std::{
    collections::{BTreeSet, HashSet},
    time::Duration,
};

use async_trait::async_trait;
use eyrie_core::{
    Result,
    clock::earlier,
    id::DeploymentId,
    store::{ForgetRule, Pruning, RetentionStore},
};
use sea_orm::prelude::Uuid as Id;

use crate::{
    entity::column::micros,
    error::Failure,
    monitor,
    rows::{
        Cell, FromRow,
        Kind::{Bytes, Int, Uuid},
        RowStatement, RowTx, Rows, from_row,
    },
    store::{SeaStore, now},
    token,
    writer::Class,
};

/// The most runs that are looked at in one transaction.
const RUNS: u32 = 32;

const RUN: (&str, crate::rows::Kind) = ("run_id", Uuid);

static UNTRIMMED: RowStatement = RowStatement::query(
    Found::COLUMNS,
    &[("deployment_id", Uuid), ("before", Int), ("most", Int)],
    "runs WHERE deployment_id = ?1 AND trimmed_end < finished_at AND finished_at <= ?2 ORDER BY finished_at, id LIMIT ?3",
);

/// Runs that may be forgotten. That they were trimmed or not is said in the words of an index.
macro_rules! forgettable {
    ($trimmed:literal) => {
        RowStatement::query(
            Found::COLUMNS,
            &[("deployment_id", Uuid), ("before", Int), ("newest", Int), ("most", Int)],
            concat!(
                "runs r WHERE r.deployment_id = ?1 AND ",
                $trimmed,
                " AND r.finished_at <= ?2 \
                AND r.id <= (SELECT n.id FROM runs n WHERE n.deployment_id = ?1 ORDER BY n.id DESC LIMIT 1 OFFSET ?3) \
                AND NOT (r.state = 'succeeded' AND NOT EXISTS (SELECT 1 FROM runs n WHERE n.deployment_id = ?1 AND n.id > r.id \
                    AND n.state = 'succeeded' AND n.kind = r.kind)) \
                AND NOT EXISTS (SELECT 1 FROM deployed_services d WHERE d.deployment_id = ?1 \
                    AND (d.run_id = r.id OR d.release_id = r.release_id)) \
                ORDER BY r.finished_at, r.id LIMIT ?4"
            ),
        )
    };
}
static FORGETTABLE: [RowStatement; 2] = [forgettable!("r.trimmed_end < r.finished_at"), forgettable!("r.trimmed_end >= r.finished_at")];

static ENDED: RowStatement = RowStatement::select(Ended::COLUMNS, "runs", &[("id", Uuid)], "AND finished_at IS NOT NULL").taking();
static TRIMMED: RowStatement = RowStatement::update("runs", 2, &[("id", Uuid), ("finished_at", Int), ("trimmed_end", Int)]);

/// Deletes the run's oldest events before a number. In a file the place of the newest event of all would be given again.
macro_rules! drop_events {
    ($xact:literal) => {
        RowStatement::written(
            &[RUN, ("seq", Int), ("most", Int)],
            concat!(
                "DELETE FROM run_events WHERE position IN (SELECT position FROM run_events WHERE run_id = ?1 AND seq < ?2 \
                    AND position < (SELECT max(position) FROM run_events) ORDER BY seq LIMIT ?3) RETURNING ",
                $xact,
                ", position"
            ),
        )
    };
}
static DROP_EVENTS: RowStatement = drop_events!("0");
static SERVER_DROP_EVENTS: RowStatement = drop_events!("xact::text::int8");
static DROP_CHUNKS: RowStatement = RowStatement::written(
    &[RUN, ("most", Int)],
    "DELETE FROM log_chunks WHERE run_id = ?1 AND end_offset IN \
        (SELECT end_offset FROM log_chunks WHERE run_id = ?1 ORDER BY end_offset LIMIT ?2)",
);
static DROP_STEPS: RowStatement = RowStatement::written(
    &[RUN, ("most", Int)],
    "DELETE FROM run_steps WHERE run_id = ?1 AND idx IN (SELECT idx FROM run_steps WHERE run_id = ?1 ORDER BY idx LIMIT ?2)",
);
static RAISE_FLOOR: RowStatement = RowStatement::written(
    &[("xact", Int), ("position", Int)],
    "INSERT INTO feed_floor (id, xact, position) VALUES (1, ?1, ?2) \
        ON CONFLICT (id) DO UPDATE SET xact = excluded.xact, position = excluded.position \
        WHERE (excluded.xact, excluded.position) > (feed_floor.xact, feed_floor.position)",
);

static DROP_KEYS: RowStatement = RowStatement::written(&[RUN], "DELETE FROM request_keys WHERE run_id = ?1");
static DROP_RUN: RowStatement = RowStatement::written(&[RUN], "DELETE FROM runs WHERE id = ?1");
static REMEMBER: RowStatement = RowStatement::insert("forgotten_runs", &[RUN, ("plan_hash", Bytes)], "");

static FORGOTTEN: RowStatement =
    RowStatement::query(Forgotten::COLUMNS, &[("most", Int)], "forgotten_runs ORDER BY run_id LIMIT ?1").taking();
/// Goes before the chunks: nobody can append to the log of a run that has neither this nor a row of its own.
static DROP_LOG: RowStatement = RowStatement::written(&[RUN], "DELETE FROM run_logs WHERE run_id = ?1");
static CLEARED: RowStatement = RowStatement::written(
    &[RUN],
    "DELETE FROM forgotten_runs WHERE run_id = ?1 AND NOT EXISTS (SELECT 1 FROM run_events WHERE run_id = ?1) \
        AND NOT EXISTS (SELECT 1 FROM run_steps WHERE run_id = ?1) AND NOT EXISTS (SELECT 1 FROM log_chunks WHERE run_id = ?1)",
);

macro_rules! unneeded {
    () => {
        "AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.plan_hash = plans.hash) \
            AND NOT EXISTS (SELECT 1 FROM releases WHERE releases.plan_hash = plans.hash)"
    };
}
static UNNEEDED_PLANS: RowStatement = RowStatement::select(UnneededPlan::COLUMNS, "plans", &[("hash", Bytes)], unneeded!());
static DROP_PLAN: RowStatement = RowStatement::written(&[("hash", Bytes)], concat!("DELETE FROM plans WHERE hash = ?1 ", unneeded!()));
/// Waits for those who queue runs, whose plans may not be seen yet, and keeps others from it. They lock the table by adding to it,
/// also when the plan is there.
static LOCK_PLANS: RowStatement = RowStatement::written(&[], "LOCK TABLE plans IN SHARE ROW EXCLUSIVE MODE");

#[derive(Debug)]
struct Found {
    id: Id,
}

from_row!(Found { id });

#[derive(Debug)]
struct Ended {
    id: Id,
    plan_hash: Vec<u8>,
    last_seq: i64,
    finished_at: i64,
    trimmed_end: i64,
}

from_row!(Ended { id, plan_hash, last_seq, finished_at, trimmed_end });

#[derive(Debug)]
struct Forgotten {
    run_id: Id,
    plan_hash: Vec<u8>,
}

from_row!(Forgotten { run_id, plan_hash });

#[derive(Debug)]
struct UnneededPlan {
    hash: Vec<u8>,
}

from_row!(UnneededPlan { hash });

/// The place of an event that is gone, in the order of the feed.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Gone {
    xact: i64,
    position: i64,
}

from_row!(Gone { xact, position });

#[async_trait]
impl RetentionStore for SeaStore {
    async fn trim_runs(&self, deployment: DeploymentId, age: Duration, limit: u32) -> Result<Pruning> {
        let before = micros(earlier(now(), age));
        let row = Rows::from_iter([[deployment.uuid().into(), before.into(), i64::from(RUNS).into()]]);
        let found = self.read_rows::<Found, Found>("prune", &UNTRIMMED, row).await?;
        if found.is_empty() {
            return Ok(Pruning::default());
        }
        let (runs, is_full, is_server) = (ids(&found), found.len() >= RUNS as usize, self.is_server());
        let mut done = self.rows(Class::Background, "prune", move |tx| trim(tx, runs.clone(), age, Budget::of(limit, is_server))).await?;
        done.more |= is_full && done.runs > 0;
        Ok(done)
    }

    async fn forget_runs(&self, deployment: DeploymentId, rule: ForgetRule, limit: u32) -> Result<Pruning> {
        let before = micros(earlier(now(), rule.age));
        let row = [deployment.uuid().into(), before.into(), i64::from(rule.newest).into(), i64::from(limit).into()];
        let mut found = Vec::new();
        for statement in &FORGETTABLE {
            found.extend(self.read_rows::<Found, Found>("prune", statement, Rows::from_iter([row.clone()])).await?);
        }
        found.truncate(limit as usize);
        if found.is_empty() {
            return Ok(Pruning::default());
        }
        let (runs, is_full) = (ids(&found), found.len() >= limit as usize);
        let mut done = self.rows(Class::Background, "prune", move |tx| forget(tx, runs.clone(), rule.age)).await?;
        done.more = is_full && done.runs > 0;
        Ok(done)
    }

    async fn sweep(&self, limit: u32) -> Result<Pruning> {
        let is_server = self.is_server();
        let mut swept = self.rows(Class::Background, "prune", move |tx| sweep(tx, Budget::of(limit, is_server))).await?;
        let more = swept.more;
        swept += monitor::sweep(self, limit).await?;
        swept.more |= more;
        Ok(swept)
    }

    async fn prune_monitor_logs(&self, deployment: DeploymentId, age: Duration, limit: u32) -> Result<Pruning> {
        monitor::prune(self, deployment, age, limit).await
    }

    async fn prune_tokens(&self, age: Duration, limit: u32) -> Result<Pruning> {
        token::prune(self, age, limit).await
    }
}

fn ids(found: &[Found]) -> Rows {
    found.iter().map(|run| [run.id.into()]).collect()
}

/// What one transaction may still delete, and what it has.
struct Budget {
    events: i64,
    chunks: i64,
    steps: i64,
    drop_events: &'static RowStatement,
    gone: Option<Gone>,
    done: Pruning,
}

impl Budget {
    /// Chunks are large, so there are fewer of them.
    fn of(limit: u32, is_server: bool) -> Self {
        let limit = i64::from(limit.max(1));
        let drop_events = if is_server { &SERVER_DROP_EVENTS } else { &DROP_EVENTS };
        Self { events: limit, chunks: (limit / 10).max(1), steps: limit, drop_events, gone: None, done: Pruning::default() }
    }

    fn is_spent(&self) -> bool {
        self.events == 0 || self.chunks == 0 || self.steps == 0
    }

    /// Deletes the run's events with a lower number, and its log.
    async fn drop_history(&mut self, tx: &mut RowTx, run: Id, seq: i64) -> Result<(), Failure> {
        let row = Rows::from_iter([[run.into(), seq.into(), self.events.into()]]);
        let gone: Vec<Gone> = tx.read(self.drop_events, row).await?;
        self.events -= i64::try_from(gone.len()).unwrap_or(self.events);
        self.done.events += gone.len() as u64;
        self.gone = gone.into_iter().chain(self.gone.take()).max();
        let chunks = tx.execute(&DROP_CHUNKS, Rows::from_iter([[run.into(), self.chunks.into()]])).await?;
        self.chunks -= i64::try_from(chunks).unwrap_or(self.chunks);
        self.done.chunks += chunks;
        Ok(())
    }

    async fn drop_steps(&mut self, tx: &mut RowTx, run: Id) -> Result<(), Failure> {
        let steps = tx.execute(&DROP_STEPS, Rows::from_iter([[run.into(), self.steps.into()]])).await?;
        self.steps -= i64::try_from(steps).unwrap_or(self.steps);
        self.done.steps += steps;
        Ok(())
    }

    /// Makes it durable, with what readers of the feed must know of it.
    async fn commit(self, mut tx: RowTx) -> Result<Pruning, Failure> {
        let floor = self.gone.iter().map(|gone| [gone.xact.into(), gone.position.into()]).collect();
        tx.execute(&RAISE_FLOOR, floor).await?;
        tx.commit().await?;
        Ok(self.done)
    }
}

/// Of these runs those that ended early enough, and that nobody else has in hand.
async fn still_ended(tx: &mut RowTx, runs: Rows, age: Duration) -> Result<Vec<Ended>, Failure> {
    let before = micros(earlier(tx.now(), age));
    let mut ended: Vec<Ended> = tx.read(&ENDED, runs).await?;
    ended.retain(|run| run.finished_at <= before);
    Ok(ended)
}

async fn trim(mut tx: RowTx, runs: Rows, age: Duration, mut budget: Budget) -> Result<Pruning, Failure> {
    let mut trimmed = Rows::default();
    for run in still_ended(&mut tx, runs, age).await?.into_iter().filter(|run| run.trimmed_end < run.finished_at) {
        budget.drop_history(&mut tx, run.id, run.last_seq).await?;
        if budget.is_spent() {
            budget.done.more = true;
            break;
        }
        trimmed.push([run.id.into(), run.finished_at.into(), run.finished_at.into()]);
    }
    budget.done.runs = tx.execute(&TRIMMED, trimmed).await?;
    budget.commit(tx).await
}

async fn forget(mut tx: RowTx, runs: Rows, age: Duration) -> Result<Pruning, Failure> {
    let ended = still_ended(&mut tx, runs, age).await?;
    let ids: Rows = ended.iter().map(|run| [run.id.into()]).collect();
    tx.execute(&DROP_KEYS, ids.clone()).await?;
    let runs = tx.execute(&DROP_RUN, ids).await?;
    tx.execute(&REMEMBER, ended.into_iter().map(|run| [run.id.into(), run.plan_hash.into()]).collect()).await?;
    tx.commit().await?;
    Ok(Pruning { runs, ..Pruning::default() })
}

async fn sweep(mut tx: RowTx, mut budget: Budget) -> Result<Pruning, Failure> {
    let forgotten: Vec<Forgotten> = tx.read(&FORGOTTEN, Rows::from_iter([[i64::from(RUNS).into()]])).await?;
    if forgotten.is_empty() {
        return Ok(Pruning::default());
    }
    let mut cleared = 0;
    for run in &forgotten {
        tx.execute(&DROP_LOG, Rows::from_iter([[run.run_id.into()]])).await?;
        budget.drop_history(&mut tx, run.run_id, i64::MAX).await?;
        budget.drop_steps(&mut tx, run.run_id).await?;
        cleared += tx.execute(&CLEARED, Rows::from_iter([[run.run_id.into()]])).await?;
        if budget.is_spent() {
            budget.done.more = true;
            break;
        }
    }
    budget.done.more |= forgotten.len() >= RUNS as usize && cleared > 0;
    let hashes: HashSet<_> = forgotten.into_iter().map(|run| run.plan_hash).collect();
    let unneeded: Vec<UnneededPlan> = tx.read(&UNNEEDED_PLANS, hashes.into_iter().map(|hash| [hash.into()]).collect()).await?;
    if !unneeded.is_empty() {
        tx.lock(&LOCK_PLANS, Rows::none_needed()).await?;
        let unneeded: BTreeSet<_> = unneeded.into_iter().map(|plan| plan.hash).collect();
        budget.done.plans = tx.execute(&DROP_PLAN, unneeded.into_iter().map(|hash| [Cell::from(hash)]).collect()).await?;
    }
    budget.commit(tx).await
}
