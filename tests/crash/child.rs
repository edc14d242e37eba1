//! A platform in a process of its own, which is killed at any moment. Everything that it does or says goes to a journal.
//!
//! Arguments are `key=value`: `db` (an address), `journal`, `seed`, `lease` (ms), `max_runs`, `max_pages`, `services` (folder),
//! `prune` (how often, in ms; little is kept then), `synchronous=normal`, `die` (a moment, such as `after_claim:2`) and `worker=no`; `enqueue` is `loop`, `patient`, `fill`, `hold`,
//! `service` or a number of runs; `drain=yes` ends when nothing is left to do.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use eyrie_core::{
    Acting, ErrorKind, Eyrie,
    deployment_type::service::{ScriptOptions, ServicesRoot},
    engine::WorkerOptions,
    error::report,
    id::{DeploymentId, RunId},
    model::{Deployment, DeploymentPatch, Principal, RunState, Settings},
    platform::{RunRequest, StartRun},
    store::{PageRequest, RunFilter},
    testing::{FaultyStore, Rng},
};
use eyrie_store_sea::{Options, SeaStore, Synchronous};
use serde_json::{Value, json};

use super::{
    bodies::{Hold, Work},
    journal::{Journal, words_of},
    plans::{self, Job},
    points::Fate,
};
use crate::world;

/// How many runs may wait before no more are added.
const QUEUED: u32 = 20;

/// How long all pruning takes at most that is due.
const PRUNED: Duration = Duration::from_secs(5);

/// The states of a run that somebody still has to do something about.
const UNFINISHED: [RunState; 5] = [RunState::Queued, RunState::Running, RunState::Waiting, RunState::Cancelling, RunState::Undoing];

struct Arguments(BTreeMap<String, String>);

impl Arguments {
    fn of(pairs: impl IntoIterator<Item = String>) -> Self {
        let pair =
            |text: String| text.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned())).expect("arguments are key=value");
        Self(pairs.into_iter().map(pair).collect())
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    fn number(&self, key: &str) -> Option<u64> {
        self.text(key).map(|value| value.parse().unwrap_or_else(|_| panic!("{key} must be a number")))
    }
}

#[derive(Clone)]
struct Child {
    me: Acting,
    journal: Journal,
    folder: PathBuf,
    deployments: Arc<Vec<DeploymentId>>,
    seed: u64,
}

impl Child {
    /// Queues the n-th run. Asking again for the same one is harmless.
    async fn enqueue(&self, n: u64, context: Value) -> Result<(), eyrie_core::Error> {
        self.enqueue_job(n, plans::nth(self.seed, n), context).await
    }

    async fn enqueue_job(&self, n: u64, job: Job, context: Value) -> Result<(), eyrie_core::Error> {
        let place = usize::try_from(job.deployment).expect("a small number");
        let start = StartRun { request_key: Some(format!("k{n}")), context, ..StartRun::default() };
        let run = self.me.run_plan_with(self.deployments[place], RunRequest { plan: job.plan, start }).await?.id;
        self.journal.say(&[&"ack-enqueue", &n, &run, &std::process::id()]);
        self.follow(run);
        if let Some(pause) = job.cancel_after {
            self.cancel_later(run, pause);
        }
        Ok(())
    }

    /// Asks for the run's cancel, until there is an answer.
    fn cancel_later(&self, run: RunId, pause: Duration) {
        let Self { me, journal, .. } = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            journal.say(&[&"ask-cancel", &run, &std::process::id()]);
            loop {
                match me.cancel_run(run, "changed my mind").await {
                    Ok(_) => return journal.say(&[&"ack-cancel", &run, &std::process::id()]),
                    Err(error) if error.kind() == ErrorKind::IllegalTransition => {
                        return journal.say(&[&"late-cancel", &run, &std::process::id()]);
                    }
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
        });
    }

    fn follow(&self, run: RunId) {
        self.follow_as(std::process::id().to_string(), run);
    }

    /// Follows some runs from their beginning that others have asked for.
    fn follow_late(&self) {
        let mut rng = Rng::new(self.seed ^ u64::from(std::process::id()));
        let acknowledged = self.journal.those("ack-enqueue");
        for n in 0..4 {
            if let Some(line) = rng.pick(&acknowledged) {
                self.follow_as(format!("{} late {n}", std::process::id()), line[2].parse().expect("a run's id"));
            }
        }
    }

    fn follow_as(&self, stream_name: String, run: RunId) {
        let Self { me, journal, .. } = self.clone();
        tokio::spawn(async move {
            let mut stream = match me.follow_run(run, 0).await {
                Ok(stream) => stream,
                Err(error) if error.kind() == ErrorKind::NotFound => return journal.say(&[&"gone", &stream_name, &run]),
                Err(_) => return,
            };
            // A store that fails is asked again: a stream goes on where it was.
            loop {
                match stream.next().await {
                    Ok(Some(event)) => journal.say(&[&"heard", &stream_name, &event.run_id, &words_of(&event)]),
                    Ok(None) => return,
                    Err(error) if error.kind() == ErrorKind::NotFound => return journal.say(&[&"gone", &stream_name, &run]),
                    Err(error) if let Some(gone) = error.pruned() => journal.say(&[&"told", &stream_name, &run, &gone.first]),
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
                    Ok(item) => journal.say(&[&"heard", &"among all", &item.event.run_id, &words_of(&item.event)]),
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

    /// Queues runs as long as not too many wait.
    async fn enqueue_for_ever(&self, patient: bool) {
        for n in self.first().. {
            while self.count(RunState::Queued).await >= QUEUED as usize {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            if patient {
                self.enqueue_patiently(n, json!({})).await;
            } else if let Err(error) = self.enqueue(n, json!({})).await {
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

    /// Waits until nothing is left to do. A run may go back to a state that was looked at already, but not for ever.
    async fn drain(&self) {
        let mut is_quiet = false;
        while !is_quiet {
            is_quiet = true;
            for state in UNFINISHED {
                while self.count(state).await > 0 {
                    is_quiet = false;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
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

    async fn do_as_told(&self, what: &str) {
        match what {
            "loop" => self.enqueue_for_ever(false).await,
            "patient" => self.enqueue_for_ever(true).await,
            "fill" => self.fill().await,
            "service" => self.start_service().await,
            "hold" => {
                let plan = plans::hold(&self.folder.join("gate").to_string_lossy());
                let job = Job { deployment: 0, plan, cancel_after: None };
                self.enqueue_job(0, job, json!({})).await.expect("the run is queued");
            }
            count => {
                for n in 0..count.parse().expect("a number of runs") {
                    self.enqueue_patiently(n, json!({})).await;
                }
            }
        }
    }
}

fn options(arguments: &Arguments) -> WorkerOptions {
    let mut options = world::quick();
    if let Some(lease) = arguments.number("lease") {
        options.lease = Duration::from_millis(lease);
    }
    if let Some(every) = arguments.number("prune") {
        options.prune_every = Some(Duration::from_millis(every));
    }
    if let Some(runs) = arguments.number("max_runs") {
        options.max_runs = usize::try_from(runs).expect("a small number");
    }
    options
}

/// What is kept of the n-th deployment's runs, where anything is pruned: nothing, the runs, or the newest of them with all that
/// happened.
fn little(n: u64) -> Settings {
    let (runs, newest, history) = match n % 3 {
        0 => (json!(0), 0, json!(0)),
        1 => (Value::Null, 0, json!(0)),
        _ => (json!(1), 3, Value::Null),
    };
    let settings = Settings::default().with("run_delete_after_seconds", runs).expect("a setting");
    let settings = settings.with("run_keep_newest", newest).expect("a setting");
    settings.with("run_history_delete_after_seconds", history).expect("a setting")
}

async fn keep_little(me: &Acting, deployment: &Deployment, n: u64) {
    if deployment.settings == Settings::default() {
        let patch = DeploymentPatch { settings: Some(little(n)), ..DeploymentPatch::default() };
        if let Err(error) = me.update_deployment(deployment.id, deployment.version, patch).await {
            assert_eq!(error.kind(), ErrorKind::Conflict, "only another process may have said so: {}", report(&error));
        }
    }
}

async fn open(arguments: &Arguments) -> SeaStore {
    let mut options = Options::new(arguments.text("db").expect("a database"));
    if let Some(pages) = arguments.number("max_pages") {
        options = options.max_pages(u32::try_from(pages).expect("a small number"));
    }
    if arguments.text("synchronous") == Some("normal") {
        options = options.synchronous(Synchronous::Normal);
    }
    SeaStore::open_with(options).await.unwrap_or_else(|error| panic!("the store does not open: {}", report(&error)))
}

/// Does what the arguments say, until it is done or the process is killed.
pub fn run(arguments: impl IntoIterator<Item = String>) {
    tracing_subscriber::fmt().with_ansi(false).with_writer(std::io::stderr).init();
    let arguments = Arguments::of(arguments);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(work(&arguments));
}

async fn work(arguments: &Arguments) {
    let path = Path::new(arguments.text("journal").expect("a journal"));
    let folder = path.parent().expect("the journal is in a folder").to_owned();
    let journal = Journal::open(path);
    let seed = arguments.number("seed").unwrap_or(0);
    let fate = Fate::new(journal.clone(), arguments.text("die"));
    let store = FaultyStore::new(open(arguments).await, Arc::new(fate.clone()));
    let mut builder =
        Eyrie::builder(Arc::new(store)).action("work", Work::new(journal.clone(), fate, seed)).action("hold", Hold(journal.clone()));
    if let Some(services) = arguments.text("services") {
        let options = ScriptOptions { context_folder: folder.clone(), term_grace: Duration::from_millis(500), ..ScriptOptions::default() };
        builder = builder.services(ServicesRoot::open(services).expect("the services"), options);
    }
    builder = if arguments.text("worker") == Some("no") { builder.without_worker() } else { builder.worker(options(arguments)) };
    let eyrie = builder.start().await.expect("the platform starts");
    let me = eyrie.acting_as(Principal::local_operator());
    let mut deployments = Vec::new();
    for n in 0..plans::DEPLOYMENTS {
        let deployment = world::deployment(&me, &format!("d{n}")).await;
        if arguments.number("prune").is_some() {
            keep_little(&me, &deployment, n).await;
        }
        deployments.push(deployment.id);
    }
    let child = Child { me, journal, folder, deployments: Arc::new(deployments), seed };
    child.follow_all();
    if arguments.number("prune").is_some() {
        child.follow_late();
    }
    std::fs::write(child.folder.join(format!("ready-{}", std::process::id())), "").expect("the mark is written");
    if let Some(what) = arguments.text("enqueue") {
        child.do_as_told(what).await;
    }
    if arguments.text("drain") == Some("yes") {
        child.drain().await;
        if arguments.number("prune").is_some() {
            // Whatever may go by now has time to go.
            child.journal.say(&[&"drained", &eyrie_core::Timestamp::now().as_microsecond()]);
            tokio::time::sleep(PRUNED).await;
        }
        return eyrie.shutdown().await;
    }
    std::future::pending().await
}
