//! Transactional steps: what they have carried out takes effect together with their record, once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use eyrie_core::{
    Eyrie,
    engine::{Action, ActionContext, ActionError, Output},
    id::RunId,
    memory::MemoryStore,
    model::{Plan, Principal, RetryPolicy, RunState, StepState, StopPolicy},
    store::Statement,
    testing::{Fault, FaultyStore, NthCall},
};
use eyrie_tests::{
    actions::Echo,
    scripts::wait_until,
    world::{Ground, Kind, World, deployment, open, quick, states},
};
use serde::Deserialize;
use serde_json::json;

use super::on_databases;

on_databases! {
    carried_out_with_the_step_and_undone_with_its_undo;
    failing_statements_fail_the_step;
    nothing_of_a_body_that_does_not_end_well;
    once_whatever_is_killed;
}

/// Counts steps in a table of the program's own.
#[derive(Debug, Clone, Default)]
struct Count {
    /// How many bodies have begun.
    begun: Arc<AtomicU32>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Behaviour {
    /// The body fails up to this attempt, after it has handed its statement over.
    fails: u32,
    /// The statement fails up to this attempt.
    breaks: u32,
    /// How long the body takes.
    milliseconds: u64,
}

impl Count {
    fn add(cx: &ActionContext, number: i64) -> Result<Statement, ActionError> {
        let add = "INSERT INTO counters VALUES ($1, $2) ON CONFLICT (run) DO UPDATE SET n = counters.n + $2";
        Ok(Statement::new(add)?.bind(cx.run().id.to_string()).bind(number).touching(1))
    }
}

#[async_trait]
impl Action for Count {
    fn is_transactional(&self) -> bool {
        true
    }

    async fn run(&self, cx: ActionContext) -> Result<Option<Output>, ActionError> {
        let behaviour = cx.parse_parameters::<Option<Behaviour>>()?.unwrap_or_default();
        self.begun.fetch_add(1, Ordering::SeqCst);
        cx.commit_with([Self::add(&cx, 1)?])?;
        tokio::time::sleep(Duration::from_millis(behaviour.milliseconds)).await;
        if cx.attempt() <= behaviour.fails {
            return Err(ActionError::new("after all not"));
        }
        if cx.attempt() <= behaviour.breaks {
            cx.commit_with([Statement::new("INSERT INTO counters VALUES ($1, NULL)")?.bind("nobody's")])?;
        }
        Ok(Some(json!(cx.attempt())))
    }

    async fn undo(&self, cx: ActionContext) -> Result<(), ActionError> {
        cx.commit_with([Self::add(&cx, -1)?])
    }
}

/// Hands statements over although its action does not say that it does.
#[derive(Debug)]
struct Sly;

#[async_trait]
impl Action for Sly {
    async fn run(&self, cx: ActionContext) -> Result<Option<Output>, ActionError> {
        cx.commit_with([Count::add(&cx, 1)?])?;
        Ok(None)
    }
}

async fn ground(kind: Kind) -> Ground {
    let ground = Ground::new(kind).await;
    ground.sql("CREATE TABLE counters (run TEXT PRIMARY KEY, n BIGINT NOT NULL)").await;
    ground
}

async fn world(ground: &Ground) -> World {
    counting(ground, Count::default()).await
}

async fn counting(ground: &Ground, count: Count) -> World {
    World::with(ground, quick(), |builder| builder.action("count", count).action("sly", Sly)).await
}

/// What was counted of the run; none if nothing was.
async fn counted(ground: &Ground, run: RunId) -> Option<i64> {
    ground.column(&format!("SELECT n FROM counters WHERE run = '{run}'")).await.first().copied()
}

fn one(parameters: serde_json::Value) -> Plan {
    let retry = RetryPolicy::exponential(2, Duration::from_millis(5));
    Plan::builder().step("a", "count", |step| step.parameters(parameters).retry(retry)).build().unwrap()
}

async fn carried_out_with_the_step_and_undone_with_its_undo(kind: Kind) {
    let ground = ground(kind).await;
    let world = world(&ground).await;
    let plan = Plan::builder()
        .step("a", "count", |step| step)
        .step("b", "count", |step| step)
        .step("c", "sum", |step| step.needs(["a", "b"]).parameters(json!(["a", "b"])))
        .build()
        .unwrap();
    let view = world.run(plan).await;
    assert_eq!((view.run.state, view.steps[2].output.clone()), (RunState::Succeeded, Some(json!(2))));
    assert_eq!(counted(&ground, view.run.id).await, Some(2));
    let plan = Plan::builder()
        .step("a", "count", |step| step.undo())
        .step("b", "flaky", |step| step.needs(["a"]).parameters(json!(9)))
        .on_failure(StopPolicy::Undo)
        .build()
        .unwrap();
    let view = world.run(plan).await;
    assert_eq!((view.run.state, states(&view)), (RunState::Undone, vec![StepState::Undone, StepState::Failed]));
    assert_eq!(counted(&ground, view.run.id).await, Some(0));
}

async fn failing_statements_fail_the_step(kind: Kind) {
    let ground = ground(kind).await;
    let world = world(&ground).await;
    let view = world.run(one(json!({ "breaks": 9 }))).await;
    assert_eq!((view.run.state, view.steps[0].attempt), (RunState::Failed, 2));
    let why = &view.steps[0].message;
    assert!(why.starts_with("statement 2 failed: ") && why.to_lowercase().contains("null") && !why.contains("nobody"), "{why}");
    assert_eq!(counted(&ground, view.run.id).await, None, "also not the first one");
    let view = world.run(one(json!({ "breaks": 1 }))).await;
    assert_eq!((view.run.state, view.steps[0].output.clone()), (RunState::Succeeded, Some(json!(2))));
    assert_eq!(counted(&ground, view.run.id).await, Some(1));
}

async fn nothing_of_a_body_that_does_not_end_well(kind: Kind) {
    let ground = ground(kind).await;
    let world = world(&ground).await;
    let view = world.run(one(json!({ "fails": 1 }))).await;
    assert_eq!((view.run.state, counted(&ground, view.run.id).await), (RunState::Succeeded, Some(1)));
    let view = world.run(one(json!({ "fails": 9 }))).await;
    assert_eq!((view.run.state, counted(&ground, view.run.id).await), (RunState::Failed, None));
    let slow = world.start(one(json!({ "milliseconds": 60_000 }))).await;
    world.until(slow, RunState::Running).await;
    world.me.cancel_run(slow, "").await.unwrap();
    assert_eq!((world.end_of(slow).await.run.state, counted(&ground, slow).await), (RunState::Cancelled, None));
    let view = world.run(Plan::builder().step("a", "sly", |step| step).build().unwrap()).await;
    assert!(view.steps[0].message.contains("transactional actions only"), "{}", view.steps[0].message);
}

/// Workers vanish in the midst of their steps, and the server's connections in the midst of their transactions.
async fn once_whatever_is_killed(kind: Kind) {
    const RUNS: usize = 24;
    let ground = ground(kind).await;
    let idle = World::without_worker(&ground).await;
    let count = Count::default();
    let mut alive = counting(&ground, count.clone()).await;
    let mut plan = Plan::builder();
    for place in 0..6_u32 {
        plan = plan.step(format!("{place}"), "count", |step| step.parameters(json!({ "milliseconds": 20 + place * 7 })));
    }
    let plan = plan.max_parallel(2).build().unwrap();
    let mut runs = Vec::new();
    for place in 0..RUNS {
        let deployment = deployment(&alive.me, &format!("d{place}")).await;
        runs.push(alive.me.run_plan(deployment.id, plan.clone()).await.unwrap().id);
    }
    let kill = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity \
        WHERE datname = current_database() AND application_name = 'eyrie' AND pid <> pg_backend_pid() AND random() < 0.5";
    for round in 1..=4 {
        let before = count.begun.load(Ordering::SeqCst);
        let is_in_the_midst = async || count.begun.load(Ordering::SeqCst) > before + 4;
        wait_until(Duration::from_secs(30), "bodies to begin", is_in_the_midst).await;
        if kind == Kind::Postgres && round % 2 == 0 {
            ground.number(kill).await;
        } else {
            drop(alive);
            alive = counting(&ground, count.clone()).await;
        }
    }
    let mut again = 0;
    for run in runs {
        let view = idle.end_of(run).await;
        assert_eq!((view.run.state, counted(&ground, run).await), (RunState::Succeeded, Some(6)), "each step counts once");
        again += view.steps.iter().filter(|step| step.attempt > 1).count();
    }
    assert!(again > 0, "nothing was killed");
}

/// Each record in turn has no effect, or has one and is not answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn once_whatever_is_not_answered() {
    let ground = ground(Kind::Sqlite).await;
    let plan = Plan::builder().step("a", "count", |step| step).step("b", "count", |step| step.needs(["a"])).build().unwrap();
    for fault in [Fault::Refused, Fault::Unanswered] {
        for nth in 1..=4 {
            let inner = open(&ground.dir.path().join("eyrie.db")).await;
            let faulty = ground.through(FaultyStore::new(inner, Arc::new(NthCall::of("record", nth, fault))));
            let view = world(&faulty).await.run(plan.clone()).await;
            assert_eq!((view.run.state, counted(&ground, view.run.id).await), (RunState::Succeeded, Some(2)), "{fault:?} {nth}");
            assert_eq!(view.steps.iter().map(|step| step.attempt).collect::<Vec<_>>(), [1, 1]);
        }
    }
}

/// The plan is refused; and so is a step of a plan that another program took, before its body begins.
#[tokio::test]
async fn the_store_in_memory_refuses() {
    let store = Arc::new(MemoryStore::new());
    let other = Eyrie::builder(store.clone()).action("count", Echo).without_worker().start().await.unwrap();
    let me = other.acting_as(Principal::local_operator());
    let deployment = deployment(&me, "one").await;
    let taken = me.run_plan(deployment.id, one(json!({}))).await.unwrap();
    let eyrie = Eyrie::builder(store).action("count", Count::default()).start().await.unwrap();
    let me = eyrie.acting_as(Principal::local_operator());
    let refused = me.run_plan(deployment.id, one(json!({}))).await.unwrap_err();
    let invalid = refused.invalid().unwrap();
    assert_eq!(invalid.field(), "plan.steps.a.action");
    assert!(invalid.reason().contains("carries out no statements"), "{invalid}");
    let mut events = me.follow_run(taken.id, 0).await.unwrap();
    while events.next().await.unwrap().is_some() {}
    let view = me.run(taken.id).await.unwrap();
    assert_eq!((view.run.state, view.steps[0].attempt), (RunState::Failed, 1));
    assert!(view.steps[0].message.contains("carries out no statements"), "{}", view.steps[0].message);
}
