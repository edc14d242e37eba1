//! The engine's own thread, and the handle that a program holds.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use crate::{
    engine::{
        Feed, Registry, RunHost, Subscription, driver::Shared, hub::Hub, log_writer::LogWriter, plan_cache::PlanCache, pruner::Pruner,
        recorder::Recorder, redaction::Redactors, worker::Worker,
    },
    error::{Error, ErrorKind, Result},
    id::RunId,
    model::EventCursor,
    secret::Redactor,
    store::{Command, Enqueue, Enqueued, Fire, LogBound, RecordError, Recorded, Store},
};

/// How a worker works.
#[derive(Debug, Clone)]
pub struct WorkerOptions {
    /// How long a lease lasts without being renewed: the time after which a dead worker's runs are taken over.
    pub lease: Duration,
    /// How many runs it drives at the same time.
    pub max_runs: usize,
    /// How often it looks for work that nobody told it of.
    pub poll: Duration,
    /// How long a body may take to stop after it was told to, before it is killed.
    pub cancel_grace: Duration,
    /// How long bodies may go on after [`Engine::shutdown`] was called.
    pub shutdown_grace: Duration,
    /// How much of each run's log is kept.
    pub max_log: LogBound,
    /// How often it looks for what is no longer to be kept, and prunes it. None: never, because others do.
    pub prune_every: Option<Duration>,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(15),
            max_runs: 64,
            poll: Duration::from_secs(1),
            cancel_grace: Duration::from_secs(10),
            shutdown_grace: Duration::from_secs(10),
            max_log: LogBound::default(),
            prune_every: Some(Duration::from_secs(600)),
        }
    }
}

/// What an engine is made of.
#[derive(Debug)]
pub struct EngineOptions {
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// The actions that it knows.
    pub registry: Registry,
    /// Whether, and how, it executes runs. Without a worker it queues, cancels and follows only.
    pub worker: Option<WorkerOptions>,
    /// Who embeds the engine.
    pub host: Option<Arc<dyn RunHost>>,
}

/// A running engine. Dropping it stops it without a grace: what it held is taken over when its lease ends.
#[derive(Debug)]
pub struct Engine {
    store: Arc<dyn Store>,
    registry: Arc<Registry>,
    recorder: Recorder,
    hub: Hub,
    redactors: Redactors,
    shutdown_grace: Duration,
    draining: CancellationToken,
    stop: CancellationToken,
    halt: CancellationToken,
    idle: CancellationToken,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
}

impl Engine {
    /// Starts the engine's thread. Bodies run on the runtime that this is called on.
    ///
    /// # Errors
    /// When there is no tokio runtime, or no thread can be made.
    pub fn start(options: EngineOptions) -> Result<Self> {
        let bodies = current_runtime()?;
        let failed = |error| Error::new(ErrorKind::Unavailable, "start engine", "the engine's thread could not be made").with_source(error);
        let control = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let (mut engine, main) = Self::assemble(options, bodies);
        let main = move || {
            control.block_on(main);
            control.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("eyrie-engine".to_owned()).spawn(main).map_err(failed)?;
        engine.thread = Mutex::new(Some(thread));
        Ok(engine)
    }

    /// The engine, and what its thread does until it is halted.
    fn assemble(options: EngineOptions, bodies: tokio::runtime::Handle) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let EngineOptions { store, registry, worker, host } = options;
        let hub = Hub::new();
        let redactors = Redactors::default();
        let patience = worker.as_ref().map_or(Duration::from_secs(5), |worker| worker.lease / 2);
        let (recorder, record) = Recorder::new(Arc::clone(&store), hub.clone(), patience);
        let (log, write_log) = LogWriter::new(Arc::clone(&store), worker.as_ref().map(|worker| worker.max_log).unwrap_or_default());
        let registry = Arc::new(registry.over(store.capabilities()));
        let [draining, stop, halt, idle] = std::array::from_fn(|_| CancellationToken::new());
        let shutdown_grace = worker.as_ref().map_or(Duration::ZERO, |worker| worker.shutdown_grace);
        let prune = worker.as_ref().and_then(|options| Some((options.prune_every?, options.lease))).map(|(every, margin)| Pruner {
            store: Arc::clone(&store),
            host: host.clone(),
            every,
            margin,
            draining: draining.clone(),
        });
        let work = worker.map(|options| Worker {
            shared: Arc::new(Shared {
                store: Arc::clone(&store),
                recorder: recorder.clone(),
                log: log.clone(),
                registry: Arc::clone(&registry),
                plans: PlanCache::default(),
                redactors: redactors.clone(),
                host,
                bodies,
                grace: options.cancel_grace,
            }),
            hub: hub.clone(),
            options,
            draining: draining.clone(),
            stop: stop.clone(),
        });
        let (halted, ended) = (halt.clone(), idle.clone());
        let main = async move {
            let record = tokio::spawn(record);
            let write_log = tokio::spawn(write_log);
            let prune = prune.map(|pruner| tokio::spawn(pruner.work()));
            if let Some(work) = work {
                tokio::select! {
                    biased;
                    () = halted.cancelled() => {}
                    () = work.work() => {}
                }
            }
            if let Some(prune) = prune {
                prune.abort();
            }
            log.flush().await;
            ended.cancel();
            halted.cancelled().await;
            record.abort();
            write_log.abort();
        };
        (Self { store, registry, recorder, hub, redactors, shutdown_grace, draining, stop, halt, idle, thread: Mutex::new(None) }, main)
    }

    /// Starts the engine on the runtime that this is called on, without a thread of its own: under a paused clock, time is the
    /// runtime's.
    ///
    /// # Errors
    /// When there is no tokio runtime.
    #[cfg(feature = "testing")]
    pub fn start_here(options: EngineOptions) -> Result<Self> {
        let here = current_runtime()?;
        let (engine, main) = Self::assemble(options, here.clone());
        here.spawn(main);
        Ok(engine)
    }

    /// The actions that the engine knows.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Queues a run. Durable when it returns.
    ///
    /// # Errors
    /// When the store refuses it; nothing is queued then.
    pub async fn enqueue(&self, enqueue: Enqueue) -> Result<Enqueued> {
        self.recorder.enqueue(enqueue).await
    }

    /// Queues the runs that a schedule starts, and moves it on. Durable when it returns.
    ///
    /// # Errors
    /// As for [`ScheduleStore::fire_schedule`](crate::store::ScheduleStore::fire_schedule).
    pub async fn fire_schedule(&self, fire: &Fire) -> Result<Vec<Enqueued>> {
        let queued = self.store.fire_schedule(fire).await?;
        self.announce(&queued);
        Ok(queued)
    }

    /// Tells subscribers and this process's worker of runs that were queued in a transaction of the store's, beside the recorder.
    pub fn announce(&self, queued: &[Enqueued]) {
        for one in queued {
            self.hub.publish(&one.superseded);
        }
        self.hub.queued();
    }

    /// Carries out a command from outside the run's worker: a cancel, a report over HTTP. Durable when it returns.
    ///
    /// # Errors
    /// Why it was refused.
    pub async fn command(&self, command: Command) -> Result<Recorded, RecordError> {
        let recorded = self.recorder.record(command).await?;
        // A worker of this process should hear of a cancel at once.
        self.hub.queued();
        Ok(recorded)
    }

    /// What takes the secrets of a run out of text, if the run is driven in this process.
    pub(crate) fn redactor(&self, run: RunId) -> Option<Redactor> {
        self.redactors.of(run)
    }

    /// Follows one run from behind `after` (0: from its beginning).
    #[must_use]
    pub fn subscribe(&self, run: RunId, after: u64) -> Subscription {
        Subscription::new(Arc::clone(&self.store), &self.hub, run, after)
    }

    /// Follows all runs from behind the cursor.
    #[must_use]
    pub fn feed(&self, after: EventCursor) -> Feed {
        Feed::new(Arc::clone(&self.store), &self.hub, after)
    }

    /// Stops in an orderly way: takes nothing new, lets bodies finish within the grace, records the ones that were killed as
    /// interrupted, hands everything back, and ends. Other workers may take the rest over at once.
    pub async fn shutdown(&self) {
        self.draining.cancel();
        if tokio::time::timeout(self.shutdown_grace, self.idle.cancelled()).await.is_err() {
            self.stop.cancel();
            // What does not stop now stays under its lease until the process ends; it is taken over then.
            drop(tokio::time::timeout(Duration::from_secs(15), self.idle.cancelled()).await);
        }
        self.halt.cancel();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            drop(tokio::task::spawn_blocking(move || thread.join()).await);
        }
    }
}

fn current_runtime() -> Result<tokio::runtime::Handle> {
    tokio::runtime::Handle::try_current()
        .map_err(|error| Error::new(ErrorKind::Internal, "start engine", "must be called on a tokio runtime").with_source(error))
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.draining.cancel();
        self.stop.cancel();
        self.halt.cancel();
    }
}
