//! A platform whose deployment can be planned, for tests of schedules.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use eyrie_core::{
    Acting, Error, ErrorKind, Eyrie, Timestamp,
    clock::later,
    deployment_type::{DeploymentType, PlanRequest},
    engine::WorkerOptions,
    model::{CronExpression, Deployment, LastFire, MissedPolicy, NewSchedule, Plan, Principal, Role, Run, RunKind, Schedule, User},
    name::{GroupType, Origin, Slug},
    platform::NewUser,
    store::{Fire, RunFilter, Store},
};

use crate::{
    actions::{Echo, Gate},
    world::deployment,
};

/// A schedule with nothing else said.
pub fn new_schedule(slug: &str, cron: &str) -> NewSchedule {
    NewSchedule::new(Slug::new(slug).expect("a slug"), CronExpression::new(cron).expect("an expression"))
}

/// Plans one step, unless told otherwise.
#[derive(Debug, Clone)]
pub struct Planner {
    group_type: GroupType,
    /// It cannot plan.
    pub broken: Arc<AtomicBool>,
    /// It does not come to an end.
    pub hangs: Arc<AtomicBool>,
    /// It has begun not to come to an end.
    pub hanging: Arc<AtomicBool>,
}

impl Planner {
    /// One for groups of that type.
    fn of(group_type: &str) -> Self {
        let [broken, hangs, hanging] = std::array::from_fn(|_| Arc::default());
        Self { group_type: GroupType::new(group_type).expect("it is done"), broken, hangs, hanging }
    }
}

impl DeploymentType for Planner {
    fn group_type(&self) -> &GroupType {
        &self.group_type
    }

    fn plan(&self, request: &PlanRequest<'_>) -> eyrie_core::Result<Plan> {
        while self.hangs.load(Ordering::SeqCst) {
            self.hanging.store(true, Ordering::SeqCst);
            tokio::task::block_in_place(|| std::thread::sleep(Duration::from_millis(5)));
        }
        if self.broken.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Unsupported, "plan", "there is nothing to plan with"));
        }
        let action = if request.kind == RunKind::Backup { "gate" } else { "echo" };
        Plan::builder().step("only", action, |step| step).build()
    }
}

/// A platform whose deployment can be planned.
#[derive(Debug)]
pub struct Platform {
    /// The platform.
    pub eyrie: Eyrie,
    /// The local operator.
    pub me: Acting,
    /// What is planned.
    pub deployment: Deployment,
    /// What plans it: `backup` waits at the gate, all else succeeds at once.
    pub planner: Planner,
    /// The gate.
    pub gate: Gate,
    /// Where it is kept.
    pub store: Arc<dyn Store>,
}

impl Platform {
    /// One over the store.
    pub async fn on(store: Arc<dyn Store>, worker: Option<WorkerOptions>) -> Self {
        Self::knowing("test", store, worker).await
    }

    /// One that knows groups of that type alone; its deployment is one of the type `test` all the same.
    pub async fn knowing(group_type: &str, store: Arc<dyn Store>, worker: Option<WorkerOptions>) -> Self {
        let (planner, gate) = (Planner::of(group_type), Gate::default());
        let builder = Eyrie::builder(Arc::clone(&store)).action("echo", Echo).action("gate", gate.clone());
        let builder = builder.deployment_type(planner.clone());
        let builder = match worker {
            Some(options) => builder.worker(options),
            None => builder.without_worker(),
        };
        let eyrie = builder.start().await.expect("it is done");
        let me = eyrie.acting_as(Principal::local_operator());
        let deployment = deployment(&me, "one").await;
        Self { eyrie, me, deployment, planner, gate, store }
    }

    /// A schedule that by itself does not fire during a test.
    pub async fn yearly(&self, slug: &str, missed: MissedPolicy) -> Schedule {
        let new = NewSchedule { missed, ..new_schedule(slug, "0 0 1 1 *") };
        self.me.create_schedule(self.deployment.id, new).await.expect("it is done")
    }

    /// Has the schedule's time come at `at`: as an earlier firing would have left it.
    pub async fn due(&self, schedule: &Schedule, at: Timestamp) {
        let schedule = self.store.schedule(schedule.id).await.expect("it is done");
        let fire = Fire {
            schedule: schedule.id,
            version: schedule.version,
            due_at: schedule.next_fire_at.expect("it is done"),
            next_fire_at: Some(at),
            last_fire: schedule.last_fire.unwrap_or(LastFire { at, run_id: None, message: "set by a test".to_owned() }),
            runs: Vec::new(),
        };
        self.store.fire_schedule(&fire).await.expect("it is done");
    }

    /// Waits until the schedule has moved on from what was due.
    pub async fn fired(&self, schedule: &Schedule) -> Schedule {
        let moved = async {
            loop {
                let now = self.me.schedule(schedule.id).await.expect("it is done");
                if now.next_fire_at > Some(later(Timestamp::now(), Duration::from_secs(60))) {
                    return now;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), moved).await.expect("the schedule never fired")
    }

    /// The deployment's runs, newest first.
    pub async fn runs(&self) -> Vec<Run> {
        let filter = RunFilter { deployment: Some(self.deployment.id), ..RunFilter::default() };
        self.me.runs(filter, Default::default()).await.expect("it is done").items
    }

    /// Waits for the run's end.
    pub async fn ended(&self, run: &Run) -> Run {
        let end = async {
            loop {
                let now = self.me.run(run.id).await.expect("it is done").run;
                if now.state.is_terminal() {
                    return now;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), end).await.expect("the run never ended")
    }

    /// A user with that role in the project.
    pub async fn user(&self, name: &str, role: Role) -> (User, Acting) {
        let user = self
            .me
            .create_user(NewUser { name: name.parse().expect("it is done"), password: None, operator: false })
            .await
            .expect("it is done");
        self.me.set_member(self.deployment.project_id, user.id, role).await.expect("it is done");
        let origin = Origin::new("test").expect("it is done");
        let acting = self.eyrie.acting_as(Principal::User { id: user.id, name: user.name.clone(), session: None, origin });
        (user, acting)
    }
}
