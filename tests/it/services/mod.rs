//! Script services through the library, on SQLite.

mod context;
mod examples;
mod memory;
mod processes;
mod protocol;
mod releases;
mod sync;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use eyrie_core::{
    Eyrie,
    deployment_type::service::{ScriptOptions, ServicesRoot},
    engine::WorkerOptions,
    id::{DeploymentId, RunId},
    model::{Principal, RunKind},
    name::ServiceName,
    platform::{RunView, StartRun, SyncReport},
};
use eyrie_tests::{
    actions::{Gate, Ledger},
    scripts::write_service,
    world::{Ground, Kind, World, deployment, quick},
};
use serde_json::{Value, json};

/// A platform over a services directory of its own.
struct Site {
    world: World,
    /// The services directory.
    root: PathBuf,
    /// Where context files are written.
    contexts: PathBuf,
}

impl Site {
    async fn new() -> Self {
        let ground = Ground::new(Kind::Sqlite).await;
        let root = ground.dir.path().join("services");
        fs::create_dir(&root).unwrap();
        Self::over(ground, root).await
    }

    /// A platform over this repository's example services.
    async fn with_examples() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/services");
        Self::over(Ground::new(Kind::Sqlite).await, root).await
    }

    async fn over(ground: Ground, root: PathBuf) -> Self {
        let contexts = ground.dir.path().join("contexts");
        fs::create_dir(&contexts).unwrap();
        let options =
            ScriptOptions { context_folder: contexts.clone(), term_grace: Duration::from_millis(300), ..ScriptOptions::default() };
        let eyrie = Eyrie::builder(Arc::clone(&ground.store))
            .services(ServicesRoot::open(&root).unwrap(), options)
            // Ten thousand reports at once keep a debug build from its heartbeat for longer than the second of `quick`.
            .worker(WorkerOptions { cancel_grace: Duration::from_secs(10), lease: Duration::from_secs(15), ..quick() })
            .start()
            .await
            .unwrap();
        let me = eyrie.acting_as(Principal::local_operator());
        let deployment = deployment(&me, "one").await;
        let world = World { eyrie, me, deployment, gate: Gate::default(), ledger: Ledger::default(), ground };
        Self { world, root, contexts }
    }

    /// One with the service `x`.
    async fn with(config: Value, script: &str) -> Self {
        let site = Self::new().await;
        site.write("x", config, script);
        site
    }

    fn write(&self, name: &str, config: Value, script: &str) {
        write_service(&self.root, name, &config, script);
    }

    async fn sync(&self) -> SyncReport {
        self.world.me.sync_services().await.unwrap()
    }

    /// The deployment of a service, all of which are synced before.
    async fn deployment(&self, service: &str) -> DeploymentId {
        self.sync().await;
        self.world.me.service_deployment(&ServiceName::new(service).unwrap()).await.unwrap().id
    }

    async fn start_as(&self, service: &str, kind: RunKind, env: Value) -> RunId {
        let deployment = self.deployment(service).await;
        let start = StartRun { kind, context: json!({ "env": env }), ..StartRun::default() };
        self.world.me.start_run(deployment, start).await.unwrap().id
    }

    async fn start(&self, service: &str) -> RunId {
        self.start_as(service, RunKind::Deploy, json!({})).await
    }

    /// Deploys the service and waits for the run's end.
    async fn deploy_with(&self, service: &str, env: Value) -> RunView {
        let run = self.start_as(service, RunKind::Deploy, env).await;
        self.world.end_of(run).await
    }

    async fn deploy(&self, service: &str) -> RunView {
        self.deploy_with(service, json!({})).await
    }

    /// The run's whole log.
    async fn log(&self, run: RunId) -> String {
        let mut text = String::new();
        loop {
            let chunks = self.world.me.run_log(run, text.len() as u64, 1 << 20).await.unwrap().chunks;
            if chunks.is_empty() {
                return text;
            }
            for chunk in chunks {
                assert_eq!(chunk.offset, text.len() as u64, "no gap and no repeat");
                text.push_str(&chunk.text);
            }
        }
    }

    fn file(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// Nothing that tells a script what to do is left.
    fn assert_no_context_is_left(&self) {
        assert_eq!(fs::read_dir(&self.contexts).unwrap().count(), 0);
    }
}

/// What the script reported, in order: `NAME: STATE`, and its message behind a dash.
fn reported(view: &RunView) -> Vec<String> {
    let lines = view.steps.iter().filter(|step| step.parent.is_some()).map(|step| {
        let message = if step.message.is_empty() { String::new() } else { format!(" - {}", step.message) };
        format!("{}: {}{message}", step.name, step.state)
    });
    lines.collect()
}

/// The state and message of the run's only planned step, and the run's state.
fn outcome(view: &RunView) -> (&'static str, &'static str, &str) {
    (view.run.state.as_str(), view.steps[0].state.as_str(), &view.steps[0].message)
}
