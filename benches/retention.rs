//! What pruning costs those who record meanwhile: from an event to its subscriber, its commit included, while nothing is pruned, while
//! the pruner takes a long past away, and after that.
//!
//! `cargo bench -p eyrie-benches --bench retention -- --store sqlite|postgres`. The last line on stdout is JSON.

use std::{
    error::Error,
    sync::Arc,
    time::{Duration, Instant},
};

use eyrie_benches::{
    database::Database,
    load::{NoOp, actions, chain, flaky, follow},
    options::Options,
    percentiles::{percentile_ms, round},
};
use eyrie_core::{
    Acting, Eyrie,
    engine::WorkerOptions,
    id::DeploymentId,
    model::{NewDeployment, NewGroup, NewProject, Principal, Settings},
};
use futures_util::future::try_join_all;
use sea_orm::{ConnectionTrait, Statement};
use serde_json::json;

/// The long past: so many copies of a run of so many steps, each with several attempts.
const COPIES: u64 = 40_000;
const STEPS: usize = 5;
/// The load: one run of so many steps in a row, then so many beside each other.
const LONG: usize = 1500;
const BESIDE: usize = 8;
const EACH: usize = 300;
/// What ended less long ago is not pruned.
const LEASE: Duration = Duration::from_secs(5);

/// One measurement, in milliseconds.
#[derive(Debug, Clone, Copy)]
struct Measured {
    alone: (f64, f64),
    beside: (f64, f64),
}

fn main() -> Result<(), Box<dyn Error>> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(bench())
}

async fn bench() -> Result<(), Box<dyn Error>> {
    let database = Database::new(&Options::read()?.store).await?;
    let store = database.open().await?;
    let synchronous = store.synchronous().await?;
    let raw = database.raw_limits(synchronous).await?.single_commits_per_s;
    println!("store: {}, synchronous {synchronous} (read back), {raw:.0} commits/s of one row", database.name());
    let eyrie = platform(&database, None).await?;
    let me = eyrie.acting_as(Principal::local_operator());
    let (past, load) = deployments(&me).await?;

    let run = me.run_plan(past, flaky(STEPS)?).await?.id;
    follow(&me, run).await?;
    let begun = Instant::now();
    database.grow(run, COPIES).await?;
    let grown = events(&database).await?;
    println!("grown by {COPIES} runs and {grown} events in {:.0} s", begun.elapsed().as_secs_f64());
    tokio::time::sleep(LEASE.saturating_sub(begun.elapsed())).await;

    let before = measure(&me, &load).await?;
    eyrie.shutdown().await;
    let eyrie = platform(&database, Some(Duration::from_millis(100))).await?;
    let me = eyrie.acting_as(Principal::local_operator());
    while events(&database).await? >= grown {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (begun, at_begin) = (Instant::now(), events(&database).await?);
    let pruning = measure(&me, &load).await?;
    let (took, at_end) = (begun.elapsed().as_secs_f64(), events(&database).await?);
    eyrie.shutdown().await;
    let left = at_end - written(&load);
    if left < COPIES.cast_signed() * 2 {
        return Err(format!("the pruner was done too early: {left} events are left").into());
    }
    let pruned_per_s = (at_begin - left) as f64 / took;
    let eyrie = platform(&database, None).await?;
    let after = measure(&eyrie.acting_as(Principal::local_operator()), &load).await?;
    eyrie.shutdown().await;

    println!("event -> subscriber, its commit included, in ms:      p50 / p99 of one run   p50 / p99 of {BESIDE} beside each other");
    for (when, Measured { alone, beside }) in [("the pruner idle", before), ("the pruner at work", pruning), ("idle again", after)] {
        println!("{when:<50}   {:>8} / {:<8}       {:>8} / {:<8}", alone.0, alone.1, beside.0, beside.1);
    }
    println!("pruned meanwhile: {pruned_per_s:.0} events/s");
    let line = json!({
        "store": database.name(),
        "synchronous": synchronous,
        "raw_single_commits_per_s": raw.round(),
        "pruned_events_per_s": pruned_per_s.round(),
        "idle_p50_ms": round((before.alone.0 + after.alone.0) / 2.0),
        "idle_p99_ms": round((before.alone.1 + after.alone.1) / 2.0),
        "pruning_p50_ms": pruning.alone.0,
        "pruning_p99_ms": pruning.alone.1,
        "idle_beside_p50_ms": round((before.beside.0 + after.beside.0) / 2.0),
        "idle_beside_p99_ms": round((before.beside.1 + after.beside.1) / 2.0),
        "pruning_beside_p50_ms": pruning.beside.0,
        "pruning_beside_p99_ms": pruning.beside.1,
    });
    println!("{line}");
    Ok(())
}

async fn platform(database: &Database, prune_every: Option<Duration>) -> Result<Eyrie, Box<dyn Error>> {
    let options = WorkerOptions { lease: LEASE, prune_every, ..WorkerOptions::default() };
    let builder = actions(Eyrie::builder(Arc::new(database.open().await?)), &NoOp::default());
    Ok(builder.worker(options).start().await?)
}

/// One of whose runs nothing is kept, and those of the load.
async fn deployments(me: &Acting) -> Result<(DeploymentId, Vec<DeploymentId>), Box<dyn Error>> {
    let project = me.create_project(NewProject::new("bench")?).await?;
    let group = me.create_group(project.id, NewGroup::new("bench", "bench")?).await?;
    let mut past = NewDeployment::new("past")?;
    let settings = Settings::default().with("run_delete_after_seconds", 0)?.with("run_keep_newest", 0)?;
    past.settings = settings.with("run_history_delete_after_seconds", 0)?;
    let past = me.create_deployment(group.id, past).await?.id;
    let mut load = Vec::new();
    for n in 0..BESIDE {
        load.push(me.create_deployment(group.id, NewDeployment::new(format!("d{n}"))?).await?.id);
    }
    Ok((past, load))
}

async fn measure(me: &Acting, load: &[DeploymentId]) -> Result<Measured, Box<dyn Error>> {
    let run = me.run_plan(load[0], chain(LONG)?).await?.id;
    let mut alone = follow(me, run).await?;
    let plan = chain(EACH)?;
    let beside = load.iter().map(|deployment| async {
        let run = me.run_plan(*deployment, plan.clone()).await?.id;
        follow(me, run).await
    });
    let mut beside = try_join_all(beside).await?.concat();
    let percentiles = |samples: &mut [Duration]| (percentile_ms(samples, 50.0), percentile_ms(samples, 99.0));
    Ok(Measured { alone: percentiles(&mut alone), beside: percentiles(&mut beside) })
}

/// How many events one measurement writes: each run is queued, claimed and ended, each step begins and ends.
fn written(load: &[DeploymentId]) -> i64 {
    let runs = 1 + load.len();
    let steps = LONG + load.len() * EACH;
    (3 * runs + 2 * steps).try_into().unwrap_or(i64::MAX)
}

/// How many events there are.
async fn events(database: &Database) -> Result<i64, Box<dyn Error>> {
    let connection = sea_orm::Database::connect(database.url()).await?;
    let counted = Statement::from_string(connection.get_database_backend(), "SELECT count(*) FROM run_events");
    let row = connection.query_one_raw(counted).await?.ok_or("no number")?;
    connection.close().await?;
    Ok(row.try_get_by_index(0)?)
}
