//! A platform in a process of its own, which the crash tests kill at any moment. Everything that it does or says goes to a journal.
//!
//! Arguments are `key=value`: `db` (an address), `journal`, `seed`, `lease` (ms), `max_runs`, `max_pages`, `services` (folder), and
//! `worker=no`; `enqueue` is `loop`, `patient`, `fill`, `hold`, `service` or a number of runs; `drain=yes` ends when nothing is left to do.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use eyrie_core::{
    Acting, Eyrie,
    deployment_type::service::{ScriptOptions, ServicesRoot},
    engine::{Action, ActionContext, ActionError, Output, WorkerOptions},
    error::report,
    id::{DeploymentId, RunId},
    model::{Plan, Principal, RunState},
    platform::{RunRequest, StartRun},
    store::{PageRequest, RunFilter},
};
use eyrie_store_sea::{Options, SeaStore};
use eyrie_tests::{
    crash::{
        journal::{Journal, words_of},
        plans,
        rng::Rng,
    },
    world,
};
use serde_json::{Value, json};

/// How many runs may wait before no more are added.
const QUEUED: u32 = 20;

struct Arguments(BTreeMap<String, String>);

impl Arguments {
    fn read() -> Self {
        let pair =
            |text: String| text.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned())).expect("arguments are key=value");
        Self(std::env::args().skip(1).map(pair).collect())
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    fn number(&self, key: &str) -> Option<u64> {
        self.text(key).map(|value| value.parse().unwrap_or_else(|_| panic!("{key} must be a number")))
    }
}

/// Does nothing for a moment, and says when it begins and ends.
#[derive(Debug)]
struct Work {
    journal: Journal,
    salt: AtomicU64,
}

/// Says that a body was dropped before its end.
struct Stopped<'a> {
    journal: &'a Journal,
    cx: &'a ActionContext,
    ended: bool,
}

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.journal.say(&[&"stopped", &self.cx.run().id, &self.cx.step_name(), &self.cx.attempt(), &std::process::id()]);
        }
    }
}

fn begin<'a>(journal: &'a Journal, cx: &'a ActionContext) -> Stopped<'a> {
    let (run, key) = (cx.run(), cx.idempotency_key());
    journal.say(&[&"begin", &run.id, &cx.step_name(), &cx.attempt(), &std::process::id(), &run.deployment_id, &key]);
    Stopped { journal, cx, ended: false }
}

impl Stopped<'_> {
    fn end(mut self, how: &str) {
        self.journal.say(&[&"end", &self.cx.run().id, &self.cx.step_name(), &self.cx.attempt(), &std::process::id(), &how]);
        self.ended = true;
    }
}

#[async_trait]
impl Action for Work {
    async fn run(&self, cx: ActionContext) -> Result<Option<Output>, ActionError> {
        let mut rng = Rng::new(u64::from(std::process::id()) << 32 | self.salt.fetch_add(1, Ordering::Relaxed));
        let fails = cx.parameters().get("fails").and_then(Value::as_u64).unwrap_or(0);
        let body = begin(&self.journal, &cx);
        tokio::time::sleep(Duration::from_millis(rng.below(8))).await;
        if rng.once_in(4) {
            cx.progress("half way");
        }
        if rng.once_in(4) {
            cx.log("half way\n").await;
        }
        tokio::time::sleep(Duration::from_millis(rng.below(8))).await;
        if u64::from(cx.attempt()) <= fails {
            body.end("failed");
            return Err(ActionError::new("not yet"));
        }
        body.end("ok");
        Ok(Some(json!(cx.attempt())))
    }
}

/// Waits until the file that its parameter names is there.
#[derive(Debug)]
struct Hold(Journal);

#[async_trait]
impl Action for Hold {
    async fn run(&self, cx: ActionContext) -> Result<Option<Output>, ActionError> {
        let file: PathBuf = cx.parse_parameters()?;
        let body = begin(&self.0, &cx);
        while !file.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        body.end("ok");
        Ok(None)
    }
}

#[derive(Clone)]
struct Child {
    me: Acting,
    journal: Journal,
    deployments: Arc<Vec<DeploymentId>>,
    seed: u64,
}

impl Child {
    /// Queues the n-th run. Asking again for the same one is harmless.
    async fn enqueue(&self, n: u64, context: Value) -> Result<(), eyrie_core::Error> {
        let (deployment, plan) = plans::nth(self.seed, n);
        self.enqueue_plan(n, deployment, plan, context).await
    }

    async fn enqueue_plan(&self, n: u64, deployment: u64, plan: Plan, context: Value) -> Result<(), eyrie_core::Error> {
        let place = usize::try_from(deployment).expect("a small number");
        let start = StartRun { request_key: Some(format!("k{n}")), context, ..StartRun::default() };
        let run = self.me.run_plan_with(self.deployments[place], RunRequest { plan, start }).await?.id;
        self.journal.say(&[&"ack-enqueue", &n, &run, &std::process::id()]);
        self.follow(run);
        Ok(())
    }

    fn follow(&self, run: RunId) {
        let Self { me, journal, .. } = self.clone();
        tokio::spawn(async move {
            let Ok(mut stream) = me.follow_run(run, 0).await else { return };
            // A store that fails is asked again: a stream goes on where it was.
            loop {
                match stream.next().await {
                    Ok(Some(event)) => journal.say(&[&"heard", &event.run_id, &words_of(&event)]),
                    Ok(None) => return,
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
        });
    }

    fn follow_all(&self) {
        let Self { me, journal, .. } = self.clone();
        tokio::spawn(async move {
            let mut stream = me.follow_runs(None).await.expect("all runs can be followed");
            loop {
                match stream.next().await {
                    Ok(item) => journal.say(&[&"heard", &item.event.run_id, &words_of(&item.event)]),
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
        });
    }

    /// The first number that nobody has acknowledged, and a few before it.
    fn first(&self) -> u64 {
        let acknowledged = self.journal.those("ack-enqueue");
        let most = acknowledged.iter().filter_map(|line| line[1].parse::<u64>().ok()).max();
        most.map_or(0, |most| (most + 1).saturating_sub(3))
    }

    async fn enqueue_for_ever(&self) {
        for n in self.first().. {
            while self.count(RunState::Queued).await >= QUEUED as usize {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            if let Err(error) = self.enqueue(n, json!({})).await {
                panic!("run {n} was refused: {}", report(&error));
            }
        }
    }

    /// Queues large runs until there is no room, then waits for room, and queues a few more.
    async fn fill(&self) {
        let filling = json!({ "filling": "x".repeat(20_000) });
        let mut n = self.first();
        let refused = loop {
            match self.enqueue(n, filling.clone()).await {
                Ok(()) => n += 1,
                Err(error) => break error,
            }
        };
        self.journal.say(&[&"refused", &n, &refused.kind().as_str(), &report(&refused)]);
        for n in n..n + 5 {
            self.enqueue_patiently(n, json!({ "filling": "small" })).await;
        }
    }

    /// Asks again and again while the store fails.
    async fn enqueue_patiently(&self, n: u64, context: Value) {
        while let Err(error) = self.enqueue(n, context.clone()).await {
            self.journal.say(&[&"refused", &n, &error.kind().as_str(), &report(&error)]);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn count(&self, state: RunState) -> usize {
        let filter = RunFilter { state: Some(state), ..RunFilter::default() };
        match self.me.runs(filter, PageRequest::first(QUEUED).expect("a page")).await {
            Ok(page) => page.items.len(),
            Err(_) => usize::MAX,
        }
    }

    async fn drain(&self) {
        for state in [RunState::Queued, RunState::Running, RunState::Waiting, RunState::Cancelling] {
            while self.count(state).await > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    async fn start_service(&self) {
        let report = self.me.sync_services().await.expect("the services are synced");
        let [service] = &report.synced[..] else { panic!("not one service: {report:?}") };
        let start = StartRun { request_key: Some("k0".to_owned()), ..StartRun::default() };
        let run = self.me.start_run(service.deployment_id, start).await.expect("the run is queued").id;
        self.journal.say(&[&"ack-enqueue", &0, &run, &std::process::id()]);
        self.follow(run);
    }
}

fn options(arguments: &Arguments) -> WorkerOptions {
    let mut options = world::quick();
    if let Some(lease) = arguments.number("lease") {
        options.lease = Duration::from_millis(lease);
    }
    if let Some(runs) = arguments.number("max_runs") {
        options.max_runs = usize::try_from(runs).expect("a small number");
    }
    options
}

async fn open(arguments: &Arguments) -> SeaStore {
    let mut options = Options::new(arguments.text("db").expect("a database"));
    if let Some(pages) = arguments.number("max_pages") {
        options = options.max_pages(u32::try_from(pages).expect("a small number"));
    }
    SeaStore::open_with(options).await.unwrap_or_else(|error| panic!("the store does not open: {}", report(&error)))
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    tracing_subscriber::fmt().with_ansi(false).with_writer(std::io::stderr).init();
    let arguments = Arguments::read();
    let path = Path::new(arguments.text("journal").expect("a journal"));
    let journal = Journal::open(path);
    let seed = arguments.number("seed").unwrap_or(0);
    let mut builder = Eyrie::builder(Arc::new(open(&arguments).await))
        .action("work", Work { journal: journal.clone(), salt: AtomicU64::new(seed) })
        .action("hold", Hold(journal.clone()));
    let folder = path.parent().expect("the journal is in a folder");
    if let Some(services) = arguments.text("services") {
        let options =
            ScriptOptions { context_folder: folder.to_owned(), term_grace: Duration::from_millis(500), ..ScriptOptions::default() };
        builder = builder.services(ServicesRoot::open(services).expect("the services"), options);
    }
    builder = if arguments.text("worker") == Some("no") { builder.without_worker() } else { builder.worker(options(&arguments)) };
    let eyrie = builder.start().await.expect("the platform starts");
    let me = eyrie.acting_as(Principal::local_operator());
    let mut deployments = Vec::new();
    for n in 0..plans::DEPLOYMENTS {
        deployments.push(world::deployment(&me, &format!("d{n}")).await.id);
    }
    let child = Child { me, journal, deployments: Arc::new(deployments), seed };
    child.follow_all();
    std::fs::write(folder.join(format!("ready-{}", std::process::id())), "").expect("the mark is written");
    match arguments.text("enqueue") {
        None => {}
        Some("loop") => child.enqueue_for_ever().await,
        Some("fill") => child.fill().await,
        Some("patient") => {
            for n in child.first().. {
                while child.count(RunState::Queued).await >= QUEUED as usize {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                child.enqueue_patiently(n, json!({})).await;
            }
        }
        Some("service") => child.start_service().await,
        Some("hold") => {
            let plan = plans::hold(&folder.join("gate").to_string_lossy());
            child.enqueue_plan(0, 0, plan, json!({})).await.expect("the run is queued");
        }
        Some(count) => {
            for n in 0..count.parse().expect("a number of runs") {
                child.enqueue_patiently(n, json!({})).await;
            }
        }
    }
    if arguments.text("drain") == Some("yes") {
        child.drain().await;
        eyrie.shutdown().await;
        return;
    }
    std::future::pending().await
}
