//! A platform over a store, with a deployment to run plans against.

use std::{path::Path, sync::Arc, time::Duration};

use eyrie_core::{
    Acting, Eyrie, EyrieBuilder,
    engine::WorkerOptions,
    id::{RunId, UserId, WorkerId},
    memory::MemoryStore,
    model::{Deployment, NewDeployment, NewGroup, NewProject, Plan, Principal, Role, RunEvent, RunState, StepState, User},
    name::Origin,
    platform::{NewUser, RunView},
    store::{Fence, Store},
};
use eyrie_store_sea::SeaStore;
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, Statement, TryGetable};

use crate::{
    actions::{Blocking, Chatty, Deaf, Echo, Flaky, Gate, Ledger, Panicking, Sum},
    postgres::Server,
};

/// Which store a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// In memory.
    Memory,
    /// SQLite in a file.
    Sqlite,
    /// PostgreSQL, in a database of its own.
    Postgres,
}

/// A store, and the folder that it may live in.
#[derive(Debug, Clone)]
pub struct Ground {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The folder.
    pub dir: Arc<tempfile::TempDir>,
    url: Option<String>,
}

impl Ground {
    /// A new, empty store.
    pub async fn new(kind: Kind) -> Self {
        let dir = Arc::new(tempfile::tempdir().expect("a temporary folder"));
        let url = match kind {
            Kind::Memory => None,
            Kind::Sqlite => Some(format!("sqlite:{}", dir.path().join("eyrie.db").display())),
            Kind::Postgres => Some(Server::shared_by_all().database().await),
        };
        let store: Arc<dyn Store> = match &url {
            None => Arc::new(MemoryStore::new()),
            Some(url) => Arc::new(SeaStore::open(url).await.expect("the store opens")),
        };
        Self { store, dir, url }
    }

    /// The same data, reached through another store.
    pub fn through(&self, store: impl Store) -> Self {
        Self { store: Arc::new(store), ..self.clone() }
    }

    /// The database, for tables beside the store's.
    async fn database(&self) -> DatabaseConnection {
        Database::connect(self.url.as_deref().expect("a database")).await.expect("the database answers")
    }

    /// Carries out statements in the store's database.
    pub async fn sql(&self, statements: &str) {
        let db = self.database().await;
        db.execute_unprepared(statements).await.expect("the statements are carried out");
        db.close().await.expect("the connection closes");
    }

    /// The first column of what the query finds in the store's database.
    pub async fn column<T: TryGetable>(&self, query: &str) -> Vec<T> {
        let db = self.database().await;
        let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), query)).await.expect("the query is carried out");
        let column = rows.iter().map(|row| row.try_get_by_index(0).expect("a value")).collect();
        db.close().await.expect("the connection closes");
        column
    }

    /// The one number that the query finds in the store's database.
    pub async fn number(&self, query: &str) -> i64 {
        let numbers = self.column(query).await;
        assert_eq!(numbers.len(), 1, "{query}");
        numbers[0]
    }

    /// Claims the run, the only one that can be, as a worker that never renews its lease of 200 ms. Answers with the fence of what that
    /// worker may record before it is over.
    pub async fn claim_and_die(&self, run: RunId) -> Fence {
        let worker = WorkerId::new();
        self.store.register_worker(worker, Duration::from_millis(200)).await.expect("a lease");
        let claims = self.store.claim(worker, 10).await.expect("the store answers");
        assert_eq!(claims.iter().map(|claim| claim.run.id).collect::<Vec<_>>(), [run]);
        Fence { worker, epoch: claims[0].run.epoch }
    }

    /// The same data as another process would see it.
    pub async fn another(&self) -> Self {
        let store = match &self.url {
            None => Arc::clone(&self.store),
            Some(url) => Arc::new(SeaStore::open(url).await.expect("the store opens")),
        };
        Self { store, ..self.clone() }
    }
}

/// The SQLite store in that file.
pub async fn open(path: &Path) -> SeaStore {
    SeaStore::open(&format!("sqlite:{}", path.display())).await.expect("the store opens")
}

/// Options that make tests quick: a lease of one second and short graces.
pub fn quick() -> WorkerOptions {
    WorkerOptions {
        lease: Duration::from_secs(1),
        poll: Duration::from_millis(100),
        cancel_grace: Duration::from_millis(300),
        shutdown_grace: Duration::from_millis(300),
        ..WorkerOptions::default()
    }
}

/// A running platform.
#[derive(Debug, Clone)]
pub struct World {
    /// The platform.
    pub eyrie: Eyrie,
    /// The local operator.
    pub me: Acting,
    /// Something to run plans against.
    pub deployment: Deployment,
    /// The gate behind the action `gate`.
    pub gate: Gate,
    /// The ledger behind the action `ledger`.
    pub ledger: Ledger,
    /// What it stands on, kept as long as it stands.
    pub ground: Ground,
}

impl World {
    /// A platform with all test actions on the ground.
    pub async fn on(ground: &Ground, options: WorkerOptions) -> Self {
        Self::with(ground, options, |builder| builder).await
    }

    /// The same with what the test adds.
    pub async fn with(ground: &Ground, options: WorkerOptions, add: impl FnOnce(EyrieBuilder) -> EyrieBuilder) -> Self {
        let (gate, ledger) = (Gate::default(), Ledger::default());
        Self::built(add(builder(ground, gate.clone(), ledger.clone()).worker(options)), gate, ledger, ground.clone()).await
    }

    /// A platform without a worker.
    pub async fn without_worker(ground: &Ground) -> Self {
        let (gate, ledger) = (Gate::default(), Ledger::default());
        Self::built(builder(ground, gate.clone(), ledger.clone()).without_worker(), gate, ledger, ground.clone()).await
    }

    async fn built(builder: EyrieBuilder, gate: Gate, ledger: Ledger, ground: Ground) -> Self {
        let eyrie = builder.start().await.expect("the platform starts");
        let me = eyrie.acting_as(Principal::local_operator());
        let deployment = deployment(&me, "one").await;
        Self { eyrie, me, deployment, gate, ledger, ground }
    }

    /// A user with that role in the project, who acts from a desk of their own.
    pub async fn user(&self, name: &str, role: Role) -> (UserId, Acting) {
        let new = NewUser { name: name.parse().expect("a name"), password: None, operator: false };
        let User { id, name, .. } = self.me.create_user(new).await.expect("the user is made");
        self.me.set_member(self.deployment.project_id, id, role).await.expect("the role is given");
        let origin = Origin::new(format!("desk-of-{name}")).expect("an origin");
        (id, self.eyrie.acting_as(Principal::User { id, name, session: None, origin }))
    }

    /// Another admin, who stays when the others go.
    pub async fn resident_admin(&self) {
        self.user("resident", Role::Admin).await;
    }

    /// Starts the plan.
    pub async fn start(&self, plan: Plan) -> RunId {
        self.me.run_plan(self.deployment.id, plan).await.expect("the plan is queued").id
    }

    /// Starts the plan and waits for its end.
    pub async fn run(&self, plan: Plan) -> RunView {
        let run = self.start(plan).await;
        self.end_of(run).await
    }

    /// Waits for the run's end.
    pub async fn end_of(&self, run: RunId) -> RunView {
        self.events_of(run).await;
        self.me.run(run).await.expect("the run can be read")
    }

    /// Follows the run from its beginning to its end.
    pub async fn events_of(&self, run: RunId) -> Vec<Arc<RunEvent>> {
        let mut stream = self.me.follow_run(run, 0).await.expect("the run can be followed");
        let mut events = Vec::new();
        let all = async {
            while let Some(event) = stream.next().await.expect("the stream goes on") {
                events.push(event);
            }
        };
        let ended = tokio::time::timeout(Duration::from_secs(60), all).await;
        assert!(ended.is_ok(), "run {run} never ended; last event: {:?}", events.last());
        events
    }

    /// Waits until the run is in that state.
    pub async fn until(&self, run: RunId, state: RunState) -> RunView {
        let reached = async {
            loop {
                let view = self.me.run(run).await.expect("the run can be read");
                if view.run.state == state {
                    return view;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        match tokio::time::timeout(Duration::from_secs(30), reached).await {
            Ok(view) => view,
            Err(_) => panic!("run {run} never became {state}: {:?}", self.me.run(run).await),
        }
    }
}

/// The deployment of that slug in the test group; made if need be.
pub async fn deployment(me: &Acting, slug: &str) -> Deployment {
    let project = match me.create_project(NewProject::new("test").expect("a slug")).await {
        Ok(project) => project,
        Err(_) => me.project_by_slug(&"test".parse().expect("a slug")).await.expect("the project"),
    };
    let group = match me.create_group(project.id, NewGroup::new("group", "test").expect("a slug")).await {
        Ok(group) => group,
        Err(_) => me.groups(project.id, Default::default()).await.expect("groups").items.remove(0),
    };
    match me.create_deployment(group.id, NewDeployment::new(slug).expect("a slug")).await {
        Ok(deployment) => deployment,
        Err(_) => {
            let filter = eyrie_core::store::DeploymentFilter { group: Some(group.id), ..Default::default() };
            let all = me.deployments(filter, Default::default()).await.expect("deployments").items;
            all.into_iter().find(|deployment| deployment.slug.as_str() == slug).expect("the deployment")
        }
    }
}

/// The states of the run's planned steps, in order.
pub fn states(view: &RunView) -> Vec<StepState> {
    view.steps.iter().filter(|step| step.parent.is_none()).map(|step| step.state).collect()
}

fn builder(ground: &Ground, gate: Gate, ledger: Ledger) -> EyrieBuilder {
    Eyrie::builder(Arc::clone(&ground.store))
        .action("echo", Echo)
        .action("sum", Sum)
        .action("flaky", Flaky)
        .action("gate", gate)
        .action("ledger", ledger)
        .action("deaf", Deaf)
        .action("blocking", Blocking)
        .action("panicking", Panicking)
        .action("chatty", Chatty)
}
