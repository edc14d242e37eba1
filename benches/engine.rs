//! Durable steps per second, and how long things take, beside the raw limits of the same file system in the same run.
//!
//! `cargo bench -p eyrie-benches --bench engine -- --store sqlite|postgres [--workers N] [--grown]`. The last line on stdout is JSON.

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
    process::cpu_time,
    raw_limits::RawLimits,
};
use eyrie_core::{
    Acting, Eyrie,
    engine::WorkerOptions,
    id::{DeploymentId, RunId},
    model::{NewDeployment, NewGroup, NewProject, Principal, RunEventBody, RunState},
    store::{PageRequest, RunFilter},
};
use eyrie_store_sea::SeaStore;
use futures_util::{StreamExt, stream};
use serde_json::json;

const RUNS: usize = 1000;
const STEPS: usize = 5;
const LONG: usize = 1000;
/// How many runs a worker drives at the same time.
const MAX_RUNS: usize = 256;
/// The long past: so many copies of a run of [`STEPS`] steps, each with several attempts.
const COPIES: u64 = 200_000;
/// How often the empty and the grown database are looked at, in turns.
const ROUNDS: usize = 10;

struct Bench {
    platforms: Vec<Eyrie>,
    me: Acting,
    /// On behalf of the same, by a platform that shares nothing with the workers but the database.
    elsewhere: Acting,
    no_op: NoOp,
    deployments: Vec<DeploymentId>,
}

fn main() -> Result<(), Box<dyn Error>> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(bench())
}

/// How long things take that a long past must not slow down.
#[derive(Debug, Default)]
struct Looks {
    start: Vec<Duration>,
    page: Vec<Duration>,
    feed: Vec<Duration>,
}

async fn bench() -> Result<(), Box<dyn Error>> {
    let options = Options::read()?;
    let database = Database::new(&options.store).await?;
    let store = database.open().await?;
    let synchronous = store.synchronous().await?;
    let (name, workers) = (database.name(), options.workers);
    println!("store: {name}, synchronous {synchronous} (read back), {workers} worker(s), {MAX_RUNS} runs at a time each");

    let before = database.raw_limits(synchronous).await?;
    say_raw("before", before);
    let bench = Bench::new(&database, store, workers).await?;

    let sequential = bench.sequential().await?;
    println!(
        "1 x {LONG}: {:.0} durable steps/s; one commit a step would be {:.0}/s ({:.2}x of it)",
        sequential,
        before.single_commits_per_s,
        before.single_commits_per_s / sequential
    );
    let (steps_per_s, rows_per_s) = bench.parallel(&database).await?;
    let mut start = bench.start_latency(&bench.me, 500).await?;
    let mut across = bench.start_latency(&bench.elsewhere, 500).await?;
    let mut feed = bench.feed_latency(LONG).await?;
    let idle = bench.idle().await;
    let grown = if options.grown { Some(bench.grow(&database, &options).await?) } else { None };
    for platform in &bench.platforms {
        platform.shutdown().await;
    }
    let after = database.raw_limits(synchronous).await?;
    say_raw("after", after);
    let raw = before.mean(after);
    let (start_p50, start_p99) = (percentile_ms(&mut start, 50.0), percentile_ms(&mut start, 99.0));
    let (across_p50, across_p99) = (percentile_ms(&mut across, 50.0), percentile_ms(&mut across, 99.0));
    let (feed_p50, feed_p99) = (percentile_ms(&mut feed, 50.0), percentile_ms(&mut feed, 99.0));
    println!(
        "{RUNS} x {STEPS}: {steps_per_s:.0} durable steps/s, {rows_per_s:.0} rows/s ({:.2} of the raw batched rate)",
        rows_per_s / raw.batched_rows_per_s
    );
    println!(
        "1 x {LONG}: {:.2}x of one commit a step (target: at most {}x)",
        raw.single_commits_per_s / sequential,
        if name == "sqlite" { "1.5" } else { "1.3" }
    );
    println!("request -> first body: p50 {start_p50} ms, p99 {start_p99} ms (two commits: {:.3} ms)", 2000.0 / raw.single_commits_per_s);
    println!("request elsewhere -> first body: p50 {across_p50} ms, p99 {across_p99} ms");
    println!("event -> subscriber, its commit included: p50 {feed_p50} ms, p99 {feed_p99} ms");
    println!("waiting, {workers} worker(s): {idle:.2} % of one core");
    let mut line = json!({
        "store": name,
        "synchronous": synchronous,
        "workers": workers,
        "parallel_steps_per_s": steps_per_s.round(),
        "parallel_rows_per_s": rows_per_s.round(),
        "sequential_steps_per_s": sequential.round(),
        "raw_single_commits_per_s": raw.single_commits_per_s.round(),
        "raw_batched_rows_per_s": raw.batched_rows_per_s.round(),
        "start_p50_ms": start_p50,
        "start_p99_ms": start_p99,
        "start_across_p50_ms": across_p50,
        "start_across_p99_ms": across_p99,
        "feed_p50_ms": feed_p50,
        "feed_p99_ms": feed_p99,
        "idle_cpu_percent": round(idle),
    });
    if let Some((young, old)) = grown {
        for (what, key, mut young, mut old) in [
            ("request -> first body", "grown_start_ratio", young.start, old.start),
            ("page of runs", "grown_page_ratio", young.page, old.page),
            ("event -> subscriber", "grown_feed_ratio", young.feed, old.feed),
        ] {
            let (young, old) = (percentile_ms(&mut young, 50.0), percentile_ms(&mut old, 50.0));
            println!("{what}, p50: {young} ms empty, {old} ms grown ({:.2}x, target: at most 1.2x)", old / young);
            line[key] = round(old / young).into();
        }
    }
    println!("{line}");
    Ok(())
}

fn say_raw(when: &str, raw: RawLimits) {
    println!(
        "raw limits {when}: {:.0} commits/s of one row, {:.0} rows/s in commits of 100",
        raw.single_commits_per_s, raw.batched_rows_per_s
    );
}

impl Bench {
    /// So many platforms with a worker, one without, and deployments for all runs.
    async fn new(database: &Database, store: SeaStore, workers: usize) -> Result<Self, Box<dyn Error>> {
        let no_op = NoOp::default();
        let platform = |store: SeaStore| actions(Eyrie::builder(Arc::new(store)), &no_op);
        let options = WorkerOptions { max_runs: MAX_RUNS, ..WorkerOptions::default() };
        let mut platforms = vec![platform(store).worker(options.clone()).start().await?];
        for _ in 1..workers {
            platforms.push(platform(database.open().await?).worker(options.clone()).start().await?);
        }
        let elsewhere = platform(database.open().await?).without_worker().start().await?;
        let [me, elsewhere] = [&platforms[0], &elsewhere].map(|platform| platform.acting_as(Principal::local_operator()));
        let project = me.create_project(NewProject::new("bench")?).await?;
        let group = me.create_group(project.id, NewGroup::new("bench", "bench")?).await?;
        let mut deployments = Vec::with_capacity(RUNS);
        for n in 0..RUNS {
            deployments.push(me.create_deployment(group.id, NewDeployment::new(format!("d{n}"))?).await?.id);
        }
        Ok(Self { platforms, me, elsewhere, no_op, deployments })
    }

    async fn end(&self, run: RunId) -> Result<(), Box<dyn Error>> {
        let mut stream = self.me.follow_run(run, 0).await?;
        while stream.next().await?.is_some() {}
        let state = self.me.run(run).await?.run.state;
        if state == RunState::Succeeded { Ok(()) } else { Err(format!("run {run} is {state}").into()) }
    }

    /// Steps per second of one run of 1000 steps in a row.
    async fn sequential(&self) -> Result<f64, Box<dyn Error>> {
        let begun = Instant::now();
        let run = self.me.run_plan(self.deployments[0], chain(LONG)?).await?.id;
        self.end(run).await?;
        Ok(LONG as f64 / begun.elapsed().as_secs_f64())
    }

    /// Steps and rows per second of 1000 runs of 5 steps each, from the first request to the last end.
    async fn parallel(&self, database: &Database) -> Result<(f64, f64), Box<dyn Error>> {
        let rows_before = database.rows().await?;
        let plan = chain(STEPS)?;
        let mut feed = self.me.follow_runs(None).await?;
        let begun = Instant::now();
        let all = stream::iter(self.deployments.iter().copied()).map(|deployment| {
            let plan = plan.clone();
            async move { self.me.run_plan(deployment, plan).await.map(|run| run.id) }
        });
        let queued = all.buffer_unordered(256).collect::<Vec<_>>();
        let (queued, took) = tokio::join!(queued, async {
            let mut succeeded = 0;
            while succeeded < RUNS {
                let event = feed.next().await?.event;
                succeeded += usize::from(matches!(event.body, RunEventBody::Run { state: RunState::Succeeded, .. }));
            }
            Ok::<_, eyrie_core::Error>(begun.elapsed().as_secs_f64())
        });
        let runs: Vec<RunId> = queued.into_iter().collect::<Result<_, _>>()?;
        let took = took?;
        for run in &runs {
            self.end(*run).await?;
        }
        let rows = database.rows().await? - rows_before;
        Ok(((RUNS * STEPS) as f64 / took, rows as f64 / took))
    }

    /// From a request of `who` to the begin of the first body, one at a time.
    async fn start_latency(&self, who: &Acting, times: usize) -> Result<Vec<Duration>, Box<dyn Error>> {
        let plan = chain(1)?;
        let mut samples = Vec::new();
        for n in 0..times {
            self.no_op.reset();
            let asked = Instant::now();
            let run = who.run_plan(self.deployments[n % RUNS], plan.clone()).await?.id;
            self.end(run).await?;
            samples.push(self.no_op.begun().ok_or("no body began")?.duration_since(asked));
        }
        Ok(samples)
    }

    /// From the time that the store gave an event (before its commit) to its arrival at a subscriber.
    async fn feed_latency(&self, steps: usize) -> Result<Vec<Duration>, Box<dyn Error>> {
        let run = self.me.run_plan(self.deployments[0], chain(steps)?).await?.id;
        Ok(follow(&self.me, run).await?)
    }

    /// The same looks at an empty database and at this one, with a long past, in turns: the machine's noise meets both.
    async fn grow(&self, database: &Database, options: &Options) -> Result<(Looks, Looks), Box<dyn Error>> {
        let run = self.me.run_plan(self.deployments[0], flaky(STEPS)?).await?.id;
        self.end(run).await?;
        let events = self.me.run(run).await?.run.last_seq;
        let begun = Instant::now();
        database.grow(run, COPIES).await?;
        let steps = COPIES * STEPS as u64;
        println!("grown by {steps} finished steps and {} events in {:.0} s", COPIES * events, begun.elapsed().as_secs_f64());
        let empty = Database::new(&options.store).await?;
        let fresh = Self::new(&empty, empty.open().await?, options.workers).await?;
        let (mut young, mut old) = (Looks::default(), Looks::default());
        for _ in 0..ROUNDS {
            fresh.look(&mut young).await?;
            self.look(&mut old).await?;
        }
        for platform in &fresh.platforms {
            platform.shutdown().await;
        }
        Ok((young, old))
    }

    async fn look(&self, looks: &mut Looks) -> Result<(), Box<dyn Error>> {
        let project = self.me.deployment(self.deployments[0]).await?.deployment.project_id;
        for _ in 0..100 {
            let begun = Instant::now();
            let filter = RunFilter { project: Some(project), ..RunFilter::default() };
            self.me.runs(filter, PageRequest::first(50)?).await?;
            looks.page.push(begun.elapsed());
        }
        looks.start.extend(self.start_latency(&self.me, 100).await?);
        looks.feed.extend(self.feed_latency(100).await?);
        Ok(())
    }

    /// How much of one core the whole program uses while its worker waits.
    async fn idle(&self) -> f64 {
        let pid = std::process::id();
        tokio::time::sleep(Duration::from_millis(500)).await;
        let before = cpu_time(pid).unwrap_or_default();
        tokio::time::sleep(Duration::from_secs(5)).await;
        (cpu_time(pid).unwrap_or_default() - before).as_secs_f64() / 5.0 * 100.0
    }
}
