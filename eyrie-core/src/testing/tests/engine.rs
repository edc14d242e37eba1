//! What simulated worlds have found wrong with the engine, each told by itself.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::Instant;

use crate::{
    Acting, Clock, ErrorKind, Eyrie, ManualClock, Timestamp,
    deployment_type::{DeploymentType, PlanRequest},
    engine::{Action, ActionContext, ActionError, Output, WorkerOptions},
    id::{DeploymentId, RunId},
    memory::MemoryStore,
    model::{
        CronExpression, DeploymentPatch, NewDeployment, NewGroup, NewProject, NewSchedule, Plan, Principal, QUEUE_POLICY, RetryPolicy, Run,
        RunState, Schedule, Settings,
    },
    name::{GroupType, Slug},
    store::{ForgetRule, RetentionStore, RunStore, ScheduleStore},
    testing::{Call, Fault, FaultPlan, FaultyStore, NoFaults, NthCall},
};

/// Sleeps as many milliseconds as its parameters say, and counts its bodies.
#[derive(Debug, Clone, Default)]
struct Sleep {
    begun: Arc<AtomicU32>,
    under_way: Arc<AtomicU32>,
}

struct UnderWay(Arc<AtomicU32>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Action for Sleep {
    async fn run(&self, cx: ActionContext) -> Result<Option<Output>, ActionError> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        self.under_way.fetch_add(1, Ordering::SeqCst);
        let _under_way = UnderWay(Arc::clone(&self.under_way));
        tokio::time::sleep(Duration::from_millis(cx.parse_parameters()?)).await;
        if cx.attempt() == 1 { Err(ActionError::new("the first attempt fails")) } else { Ok(None) }
    }
}

/// A store with one deployment, and what acts on it.
struct Field {
    store: MemoryStore,
    clock: ManualClock,
    deployment: DeploymentId,
    sleep: Sleep,
}

impl Field {
    async fn new() -> Self {
        let clock = ManualClock::new(Timestamp::UNIX_EPOCH);
        let store = MemoryStore::with_clock(Arc::new(clock.clone()));
        let eyrie = Eyrie::builder(Arc::new(store.clone())).without_worker().start_here().await.unwrap();
        let me = eyrie.acting_as(Principal::local_operator());
        let project = me.create_project(NewProject::new("test").unwrap()).await.unwrap();
        let group = me.create_group(project.id, NewGroup::new("test", "embedded").unwrap()).await.unwrap();
        let deployment = me.create_deployment(group.id, NewDeployment::new("test").unwrap()).await.unwrap().id;
        Self { store, clock, deployment, sleep: Sleep::default() }
    }

    /// A process with a worker, whose calls to the store fail like this.
    async fn process(&self, faults: impl FaultPlan) -> Eyrie {
        let store = FaultyStore::new(self.store.clone(), Arc::new(faults));
        let options = WorkerOptions { lease: Duration::from_secs(1), poll: Duration::from_millis(100), ..WorkerOptions::default() };
        Eyrie::builder(Arc::new(store)).worker(options).action("sleep", self.sleep.clone()).start_here().await.unwrap()
    }

    /// A process without one.
    async fn office(&self, faults: impl FaultPlan) -> Acting {
        let store = FaultyStore::new(self.store.clone(), Arc::new(faults));
        let eyrie = Eyrie::builder(Arc::new(store)).without_worker().action("sleep", self.sleep.clone()).start_here().await.unwrap();
        eyrie.acting_as(Principal::local_operator())
    }

    async fn state(&self, run: RunId) -> RunState {
        self.store.run(run).await.unwrap().state
    }

    fn begun(&self) -> u32 {
        self.sleep.begun.load(Ordering::SeqCst)
    }
}

fn plan(millis: u64, retry: RetryPolicy) -> Plan {
    Plan::builder().step("sleep", "sleep", |step| step.parameters(millis.into()).retry(retry)).build().unwrap()
}

fn once(millis: u64) -> Plan {
    plan(millis, RetryPolicy::NEVER)
}

async fn ask(me: &Acting, field: &Field, plan: Plan) -> Run {
    me.run_plan(field.deployment, plan).await.unwrap()
}

/// The faults at the calls of one method, in order.
#[derive(Debug)]
struct InTurn(&'static str, Vec<Option<Fault>>);

impl FaultPlan for InTurn {
    fn fault(&self, call: &Call) -> Option<Fault> {
        let place = usize::try_from(call.of_method - 1).ok()?;
        (call.method == self.0).then(|| self.1.get(place).or(self.1.last()).copied().flatten()).flatten()
    }
}

/// Each claim is answered only a second and a half after its effect.
#[derive(Debug)]
struct SlowClaims;

impl FaultPlan for SlowClaims {
    fn fault(&self, _call: &Call) -> Option<Fault> {
        None
    }

    fn latency(&self, call: &Call) -> (Duration, Duration) {
        (Duration::ZERO, if call.method == "claim" { Duration::from_millis(1500) } else { Duration::ZERO })
    }
}

/// A worker that waited for its bodies looked for the end of a wait that was over, without a pause.
#[tokio::test(start_paused = true)]
async fn a_worker_that_drains_does_not_spin() {
    let field = Field::new().await;
    let eyrie = field.process(NoFaults).await;
    let run = ask(&eyrie.acting_as(Principal::local_operator()), &field, once(2000)).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    eyrie.shutdown().await;
    assert_eq!(field.state(run.id).await, RunState::Failed, "its body was waited for");
}

/// The runs stayed with the worker, which did not know of them, for as long as it renewed its lease.
#[tokio::test(start_paused = true)]
async fn runs_of_a_claim_without_an_answer_are_not_forgotten() {
    let field = Field::new().await;
    let me = field.office(NoFaults).await;
    let run = ask(&me, &field, once(10)).await;
    let eyrie = field.process(NthCall::of("claim", 1, Fault::Unanswered)).await;
    for _ in 0..50 {
        field.clock.advance(Duration::from_millis(100));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(field.state(run.id).await.is_terminal());
    eyrie.shutdown().await;
}

/// Each was asked for again, alone, and found to be there already, which was reported as a failure.
#[tokio::test(start_paused = true)]
async fn runs_that_were_queued_without_an_answer_are_queued() {
    let field = Field::new().await;
    let me = field.office(NthCall::of("enqueue", 1, Fault::Unanswered)).await;
    let (one, two) = tokio::join!(me.run_plan(field.deployment, once(10)), me.run_plan(field.deployment, once(20)));
    let (one, two) = (one.unwrap().id, two.unwrap().id);
    assert!(one != two && field.state(one).await == RunState::Queued && field.state(two).await == RunState::Queued);
    let me = field.office(NthCall::of("enqueue", 1, Fault::Unanswered)).await;
    assert_eq!(field.state(ask(&me, &field, once(30)).await.id).await, RunState::Queued);
    let me = field.office(InTurn("enqueue", vec![Some(Fault::Unanswered), Some(Fault::Refused)])).await;
    assert_eq!(me.run_plan(field.deployment, once(40)).await.unwrap_err().kind(), ErrorKind::OutcomeUnknown);
}

/// The last answer counted: "nothing was written", although an earlier try may have been.
#[tokio::test(start_paused = true)]
async fn what_may_have_happened_is_not_called_a_failure() {
    let field = Field::new().await;
    let run = ask(&field.office(NoFaults).await, &field, once(10)).await;
    let me = field.office(InTurn("record", vec![Some(Fault::Unanswered), Some(Fault::Refused)])).await;
    assert_eq!(me.cancel_run(run.id, "").await.unwrap_err().kind(), ErrorKind::OutcomeUnknown);
    assert_eq!(field.state(run.id).await, RunState::Cancelled);
    // Done, and then not to be read.
    let run = ask(&field.office(NoFaults).await, &field, once(10)).await;
    let me = field.office(NthCall::of("run", 2, Fault::Refused)).await;
    assert_eq!(me.cancel_run(run.id, "").await.unwrap_err().kind(), ErrorKind::OutcomeUnknown);
    assert_eq!(field.state(run.id).await, RunState::Cancelled);
}

/// A body whose worker was dropped went on, beside that of whoever took its run over.
#[tokio::test(start_paused = true)]
async fn bodies_end_with_their_engine() {
    let field = Field::new().await;
    let eyrie = field.process(NoFaults).await;
    ask(&eyrie.acting_as(Principal::local_operator()), &field, once(60_000)).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(field.sleep.under_way.load(Ordering::SeqCst), 1);
    drop(eyrie);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(field.sleep.under_way.load(Ordering::SeqCst), 0);
}

/// Whoever took a run over counted the pause before its next attempt by this machine's clock, and not by the store's.
#[tokio::test(start_paused = true)]
async fn a_pause_is_kept_whatever_the_clock_of_this_machine_says() {
    let field = Field::new().await;
    assert!(field.clock.now() < Timestamp::now(), "the store is fifty years behind");
    let eyrie = field.process(NoFaults).await;
    let patient = RetryPolicy { max_attempts: 2, initial_backoff_ms: 60_000, max_backoff_ms: 60_000 };
    let run = ask(&eyrie.acting_as(Principal::local_operator()), &field, plan(10, patient)).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    eyrie.shutdown().await;
    assert_eq!(field.begun(), 1);
    let (other, begun) = (field.process(NoFaults).await, Instant::now());
    while field.begun() < 2 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(begun.elapsed() > Duration::from_secs(25), "{:?}", begun.elapsed());
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(field.state(run.id).await, RunState::Succeeded);
    other.shutdown().await;
}

/// A process that stood still between a claim and its answer began a body although its lease was over.
#[tokio::test(start_paused = true)]
async fn nothing_begins_after_the_end_of_the_lease() {
    let field = Field::new().await;
    let run = ask(&field.office(NoFaults).await, &field, once(60_000)).await;
    let _eyrie = field.process(SlowClaims).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(field.state(run.id).await, RunState::Running, "claimed, and the worker has not heard of it");
    field.clock.advance(Duration::from_secs(2));
    tokio::time::advance(Duration::from_secs(2)).await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(field.begun(), 0);
}

/// The type of the field's deployment: one step of ten milliseconds.
#[derive(Debug)]
struct Embedded(GroupType);

impl Embedded {
    fn new() -> Self {
        Self(GroupType::new("embedded").unwrap())
    }
}

impl DeploymentType for Embedded {
    fn group_type(&self) -> &GroupType {
        &self.0
    }

    fn plan(&self, _request: &PlanRequest<'_>) -> crate::Result<Plan> {
        Ok(once(10))
    }
}

/// How often it was asked what is due.
#[derive(Debug, Clone, Default)]
struct DueCalls(Arc<AtomicU32>);

impl FaultPlan for DueCalls {
    fn fault(&self, call: &Call) -> Option<Fault> {
        self.0.fetch_add(u32::from(call.method == "due_schedules"), Ordering::SeqCst);
        None
    }
}

impl Field {
    /// A process that can plan runs of the field's deployment; with a worker, if asked for.
    async fn planner(&self, works: bool) -> (Eyrie, Acting) {
        let builder = Eyrie::builder(Arc::new(self.store.clone())).action("sleep", self.sleep.clone()).deployment_type(Embedded::new());
        let options = WorkerOptions { lease: Duration::from_secs(1), poll: Duration::from_millis(100), ..WorkerOptions::default() };
        let builder = if works { builder.worker(options) } else { builder.without_worker() };
        let eyrie = builder.start_here().await.unwrap();
        let me = eyrie.acting_as(Principal::local_operator());
        (eyrie, me)
    }

    /// A schedule that is due in a minute.
    async fn scheduled(&self) -> Schedule {
        let every_minute = NewSchedule::new(Slug::new("often").unwrap(), CronExpression::new("* * * * *").unwrap());
        self.planner(false).await.1.create_schedule(self.deployment, every_minute).await.unwrap()
    }
}

/// What is due stays so until a worker comes that can plan it.
#[tokio::test(start_paused = true)]
async fn a_schedule_of_an_unknown_type_is_looked_at_once_a_poll() {
    let field = Field::new().await;
    let schedule = field.scheduled().await;
    field.clock.advance(Duration::from_secs(61));
    let calls = DueCalls::default();
    let stranger = field.process(calls.clone()).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let calls = calls.0.load(Ordering::SeqCst);
    assert!((50..=101).contains(&calls), "{calls} in ten seconds, with a poll every 100 ms");
    assert_eq!(field.store.schedule(schedule.id).await.unwrap(), schedule);
    let (knower, _) = field.planner(true).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let fired = field.store.schedule(schedule.id).await.unwrap();
    assert!(fired.next_fire_at > schedule.next_fire_at && fired.last_fire.unwrap().run_id.is_some());
    stranger.shutdown().await;
    knower.shutdown().await;
}

/// Who followed a run whose place a schedule's run took heard of its end only when they looked for themselves.
#[tokio::test(start_paused = true)]
async fn what_a_schedule_supersedes_is_heard_of_at_once() {
    let field = Field::new().await;
    let me = field.office(NoFaults).await;
    let settings = Settings::default().with(QUEUE_POLICY, "coalesce_latest").unwrap();
    let patch = DeploymentPatch { settings: Some(settings), ..DeploymentPatch::default() };
    me.update_deployment(field.deployment, 1, patch).await.unwrap();
    let schedule = field.scheduled().await;
    field.clock.advance(Duration::from_millis(59_500));
    let (eyrie, me) = field.planner(true).await;
    ask(&me, &field, once(60_000)).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let waits = ask(&me, &field, once(10)).await;
    let mut stream = me.follow_run(waits.id, waits.last_seq).await.unwrap();
    let end = tokio::spawn(async move { while !stream.next().await.unwrap().unwrap().is_final() {} });
    tokio::time::sleep(Duration::from_millis(10)).await;
    field.clock.advance(Duration::from_millis(600));
    let due = Instant::now();
    end.await.unwrap();
    assert!(due.elapsed() < Duration::from_millis(500), "{:?}", due.elapsed());
    let newest = field.store.schedule(schedule.id).await.unwrap().last_fire.unwrap().run_id.unwrap();
    assert_eq!(field.store.run(waits.id).await.unwrap().message, format!("superseded by run {newest}"));
    eyrie.shutdown().await;
}

/// The answer to a call of one method comes late: after twenty seconds it is not known whether it was done.
#[derive(Debug)]
struct LateAnswer(&'static str);

impl FaultPlan for LateAnswer {
    fn fault(&self, call: &Call) -> Option<Fault> {
        (call.method == self.0 && call.of_method == 1).then_some(Fault::Unanswered)
    }

    fn latency(&self, call: &Call) -> (Duration, Duration) {
        (Duration::ZERO, if call.method == self.0 { Duration::from_secs(20) } else { Duration::ZERO })
    }
}

/// By the time that it was asked for again the run had ended and was forgotten, and so it was executed once more.
#[tokio::test(start_paused = true)]
async fn a_run_that_is_forgotten_does_not_come_back() {
    let field = Field::new().await;
    let me = field.office(LateAnswer("enqueue")).await;
    let deployment = field.deployment;
    let asking = tokio::spawn(async move { me.run_plan(deployment, once(10)).await });
    let eyrie = field.process(NoFaults).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let all = ForgetRule { age: Duration::ZERO, newest: 0 };
    assert_eq!((field.begun(), field.store.forget_runs(deployment, all, 10).await.unwrap().runs), (1, 1));
    assert_eq!(asking.await.unwrap().unwrap_err().kind(), ErrorKind::OutcomeUnknown);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(field.begun(), 1, "it is not executed again");
    eyrie.shutdown().await;
}
