//! What was done is undone: after a failure, after a cancel, over takeovers, and with an operator's help.

use std::time::Duration;

use eyrie_core::{
    ErrorKind,
    engine::WorkerOptions,
    model::{CrashPolicy, Plan, PlanBuilder, RetryPolicy, RunState, StepIndex, StepState, StopPolicy},
};
use eyrie_tests::world::{Ground, Kind, World, quick, states};
use serde_json::{Value, json};

use super::on_every_store;

on_every_store! {
    a_failure_undoes_what_was_done;
    without_the_policy_all_is_left;
    with_nothing_to_undo_the_run_failed;
    a_cancel_undoes_what_was_done;
    a_cancel_wins_over_a_failure_and_its_policy_holds;
    an_undo_has_its_own_patience;
    another_action_undoes;
    an_action_without_undo_says_so;
    an_undo_that_keeps_failing_is_retried_by_hand;
    an_undo_that_keeps_failing_is_skipped;
    a_cancel_stops_the_undo;
    a_cancel_stops_the_undo_of_a_cancel;
    a_dead_workers_undo_is_taken_over;
    a_dead_workers_step_is_undone_as_unknown;
    nothing_is_undone_before_an_operator_looked;
    shutdown_hands_an_undo_back;
    a_parked_run_is_undone_when_cancelled;
    whichever_step_fails_the_plan_is_undone_backwards;
}

/// Steps `a ← b ← c` of the ledger, all with an undo, with these parameters.
fn three(parameters: [Value; 3]) -> PlanBuilder {
    let [a, b, c] = parameters;
    Plan::builder()
        .step("a", "ledger", |s| s.undo().parameters(a))
        .step("b", "ledger", |s| s.undo().needs(["a"]).parameters(b))
        .step("c", "ledger", |s| s.undo().needs(["b"]).parameters(c))
        .on_failure(StopPolicy::Undo)
        .on_cancel(StopPolicy::Undo)
}

fn plain() -> Value {
    json!({})
}

const DONE: [&str; 3] = ["do a", "do b", "do c"];
const UNDONE: [&str; 3] = ["undo c: unknown, was c", "undo b: succeeded \"b\", was b", "undo a: succeeded \"a\", was a"];

async fn a_failure_undoes_what_was_done(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let view = world.run(three([plain(), plain(), json!({ "broken": true })]).build().unwrap()).await;
    assert_eq!((view.run.state, view.run.message.as_str()), (RunState::Undone, "step \"c\" failed: broken"));
    assert_eq!(states(&view), [StepState::Undone; 3]);
    assert_eq!(world.ledger.read(), [DONE, UNDONE].concat());
    let after = world.run(Plan::builder().step("a", "echo", |s| s).build().unwrap()).await;
    assert_eq!(after.run.state, RunState::Succeeded, "the deployment is free");
}

async fn without_the_policy_all_is_left(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let view = world.run(three([plain(), json!({ "broken": true }), plain()]).on_failure(StopPolicy::Leave).build().unwrap()).await;
    assert_eq!(view.run.state, RunState::Failed);
    assert_eq!(states(&view), [StepState::Succeeded, StepState::Failed, StepState::Skipped]);
    assert_eq!(world.ledger.read(), DONE[..2]);
}

async fn with_nothing_to_undo_the_run_failed(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let plan = Plan::builder()
        .step("a", "echo", |s| s)
        .step("b", "panicking", |s| s.needs(["a"]))
        .step("c", "ledger", |s| s.needs(["b"]).undo())
        .on_failure(StopPolicy::Undo);
    let view = world.run(plan.build().unwrap()).await;
    assert_eq!(view.run.state, RunState::Failed);
    assert_eq!(states(&view), [StepState::Succeeded, StepState::Failed, StepState::Skipped]);
}

async fn a_cancel_undoes_what_was_done(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let run = world.start(three([plain(), json!({ "holds": true }), plain()]).build().unwrap()).await;
    world.ledger.wait_lines(2).await;
    world.me.cancel_run(run, "wrong branch").await.unwrap();
    let view = world.end_of(run).await;
    assert_eq!(view.run.state, RunState::Undone);
    assert!(view.run.message.ends_with("wrong branch"), "{}", view.run.message);
    assert_eq!(states(&view), [StepState::Undone, StepState::Undone, StepState::Skipped]);
    assert_eq!(world.ledger.read()[2..], ["undo b: unknown, was b", UNDONE[2]]);
}

async fn a_cancel_wins_over_a_failure_and_its_policy_holds(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let run = world.start(three([plain(), json!({ "holds": true }), plain()]).on_cancel(StopPolicy::Leave).build().unwrap()).await;
    world.ledger.wait_lines(2).await;
    world.me.cancel_run(run, "").await.unwrap();
    let view = world.end_of(run).await;
    assert_eq!(view.run.state, RunState::Cancelled);
    assert_eq!(states(&view), [StepState::Succeeded, StepState::Cancelled, StepState::Skipped]);
}

async fn an_undo_has_its_own_patience(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let plan = Plan::builder()
        .step("a", "ledger", |s| {
            s.undo_retry(RetryPolicy::exponential(3, Duration::from_millis(20))).parameters(json!({ "undo_succeeds_at": 4 }))
        })
        .step("b", "panicking", |s| s.needs(["a"]))
        .on_failure(StopPolicy::Undo)
        .build()
        .unwrap();
    let view = world.run(plan).await;
    assert_eq!(view.run.state, RunState::Undone);
    assert_eq!(states(&view), [StepState::Undone, StepState::Failed]);
    assert_eq!(view.steps[0].attempt, 4, "one of the step, three of its undo");
}

async fn another_action_undoes(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let plan = Plan::builder()
        .step("a", "echo", |s| s.undo_with("ledger").parameters(json!({ "n": 1 })))
        .step("b", "panicking", |s| s.needs(["a"]))
        .on_failure(StopPolicy::Undo);
    let view = world.run(plan.build().unwrap()).await;
    assert_eq!((view.run.state, states(&view)), (RunState::Undone, vec![StepState::Undone, StepState::Failed]));
    assert_eq!(world.ledger.read(), ["undo a: succeeded {\"n\":1}, nothing kept"]);
    let unknown = Plan::builder().step("a", "echo", |s| s.undo_with("nobody")).build().unwrap();
    let refused = world.me.run_plan(world.deployment.id, unknown).await.unwrap_err();
    assert_eq!(refused.invalid().unwrap().field(), "plan.steps.a.undo.action");
}

async fn an_action_without_undo_says_so(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let plan = Plan::builder()
        .step("a", "echo", |s| s.undo().retry(RetryPolicy::exponential(5, Duration::from_secs(60))))
        .step("b", "panicking", |s| s.needs(["a"]))
        .on_failure(StopPolicy::Undo);
    let view = world.run(plan.build().unwrap()).await;
    assert_eq!(view.run.state, RunState::UndoFailed);
    assert_eq!(states(&view), [StepState::UndoFailed, StepState::Failed]);
    let expected = "step \"b\" failed: the action panicked: on purpose; undo: that of step \"a\" failed: the action has no undo";
    assert_eq!(view.run.message, expected);
}

/// The undo of `b` is broken; that of `a` waits for it.
async fn stuck(world: &World) -> eyrie_core::id::RunId {
    let view = world.run(three([plain(), json!({ "undo_broken": true }), json!({ "broken": true })]).build().unwrap()).await;
    assert_eq!(view.run.state, RunState::UndoFailed);
    assert_eq!(states(&view), [StepState::Succeeded, StepState::UndoFailed, StepState::Undone]);
    assert!(view.run.message.starts_with("step \"c\" failed: broken; undo: that of step \"b\" failed"), "{}", view.run.message);
    view.run.id
}

async fn an_undo_that_keeps_failing_is_retried_by_hand(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let run = stuck(&world).await;
    let before = world.ledger.read().len();
    let view = world.me.retry_undo(run, "once more").await.unwrap();
    assert_ne!(view.run.state, RunState::UndoFailed);
    let view = world.end_of(run).await;
    assert_eq!((view.run.state, states(&view)[1]), (RunState::UndoFailed, StepState::UndoFailed));
    assert_eq!(world.ledger.read().len(), before + 1, "b alone was tried");
    world.ledger.mended.store(true, std::sync::atomic::Ordering::SeqCst);
    world.me.retry_undo(run, "mended").await.unwrap();
    let view = world.end_of(run).await;
    assert_eq!((view.run.state, view.run.message.as_str()), (RunState::Undone, "step \"c\" failed: broken"));
    assert_eq!(states(&view), [StepState::Undone; 3]);
    assert_eq!(world.ledger.read()[before + 1..], UNDONE[1..]);
    assert_eq!(world.me.retry_undo(run, "").await.unwrap_err().kind(), ErrorKind::IllegalTransition);
}

async fn an_undo_that_keeps_failing_is_skipped(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let run = stuck(&world).await;
    let refused = world.me.skip_undo(run, StepIndex::new(0), "").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::IllegalTransition);
    world.me.skip_undo(run, StepIndex::new(1), "cleaned up by hand").await.unwrap();
    let view = world.end_of(run).await;
    assert_eq!((view.run.state, states(&view)), (RunState::Undone, vec![StepState::Undone; 3]));
    assert!(view.steps[1].message.starts_with("skipped by"), "{}", view.steps[1].message);
    assert!(view.steps[1].message.ends_with("cleaned up by hand"), "{}", view.steps[1].message);
    assert_eq!(*world.ledger.read().last().unwrap(), UNDONE[2]);
}

async fn a_cancel_stops_the_undo(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let run = world.start(three([plain(), json!({ "undo_holds": true }), json!({ "broken": true })]).build().unwrap()).await;
    world.ledger.wait_lines(5).await;
    assert_eq!(world.me.run(run).await.unwrap().run.state, RunState::Undoing);
    world.me.cancel_run(run, "leave it").await.unwrap();
    let view = world.end_of(run).await;
    assert_eq!(view.run.state, RunState::Cancelled);
    assert_eq!(states(&view), [StepState::Succeeded, StepState::UndoFailed, StepState::Undone]);
    assert!(view.run.message.starts_with("step \"c\" failed: broken; undo: cancelled by"), "{}", view.run.message);
    world.ledger.permits.add_permits(1);
    world.me.retry_undo(run, "").await.unwrap();
    assert_eq!(world.end_of(run).await.run.state, RunState::Undone);
}

/// The cancel that began the undo must not stop it, another one must.
async fn a_cancel_stops_the_undo_of_a_cancel(kind: Kind) {
    let ground = Ground::new(kind).await;
    let world = World::on(&ground, quick()).await;
    let other = World::without_worker(&ground.another().await).await;
    let run = world.start(three([json!({ "undo_holds": true }), json!({ "holds": true }), plain()]).build().unwrap()).await;
    world.ledger.wait_lines(2).await;
    world.me.cancel_run(run, "").await.unwrap();
    world.ledger.wait_lines(4).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(world.me.run(run).await.unwrap().run.state, RunState::Undoing);
    other.me.cancel_run(run, "that too").await.unwrap();
    let view = world.end_of(run).await;
    assert_eq!(view.run.state, RunState::Cancelled);
    assert_eq!(states(&view), [StepState::UndoFailed, StepState::Undone, StepState::Skipped]);
    assert_eq!(view.steps[0].message, "stopped when asked");
}

async fn a_dead_workers_undo_is_taken_over(kind: Kind) {
    let ground = Ground::new(kind).await;
    let first = World::on(&ground, quick()).await;
    let run = first.start(three([plain(), json!({ "undo_holds": true }), json!({ "broken": true })]).build().unwrap()).await;
    first.ledger.wait_lines(5).await;
    drop(first);
    let second = World::on(&ground.another().await, quick()).await;
    second.ledger.permits.add_permits(1);
    let view = second.end_of(run).await;
    assert_eq!((view.run.state, view.run.message.as_str()), (RunState::Undone, "step \"c\" failed: broken"));
    assert_eq!(second.ledger.read(), UNDONE[1..], "c was undone already; b is told the same as before");
    assert_eq!(view.steps.iter().map(|step| step.attempt).collect::<Vec<_>>(), [2, 3, 2]);
}

async fn a_dead_workers_step_is_undone_as_unknown(kind: Kind) {
    let ground = Ground::new(kind).await;
    let idle = World::without_worker(&ground).await;
    let run = idle.start(three([plain(), plain(), plain()]).build().unwrap()).await;
    ground.claim_and_die(run).await;
    idle.me.cancel_run(run, "never mind").await.unwrap();
    let world = World::on(&ground, quick()).await;
    let view = world.end_of(run).await;
    assert_eq!(view.run.state, RunState::Undone);
    assert_eq!(states(&view), [StepState::Undone, StepState::Skipped, StepState::Skipped]);
    assert_eq!(world.ledger.read(), ["undo a: unknown, nothing kept"]);
}

async fn nothing_is_undone_before_an_operator_looked(kind: Kind) {
    let ground = Ground::new(kind).await;
    let idle = World::without_worker(&ground).await;
    let plan =
        Plan::builder().step("a", "ledger", |s| s.undo().on_crash(CrashPolicy::NeedsOperator)).on_cancel(StopPolicy::Undo).build().unwrap();
    let run = idle.start(plan).await;
    ground.claim_and_die(run).await;
    idle.me.cancel_run(run, "never mind").await.unwrap();
    let world = World::on(&ground, quick()).await;
    let view = world.until(run, RunState::Parked).await;
    assert!(view.run.message.contains("may have done its work; look"), "{}", view.run.message);
    assert_eq!((states(&view), world.ledger.read().len()), (vec![StepState::Undoing], 0));
    world.me.resume_run(run, "looked").await.unwrap();
    let view = world.end_of(run).await;
    assert_eq!((view.run.state, states(&view)), (RunState::Undone, vec![StepState::Undone]));
    assert!(view.run.message.ends_with("never mind"), "{}", view.run.message);
}

async fn shutdown_hands_an_undo_back(kind: Kind) {
    let ground = Ground::new(kind).await;
    let first = World::on(&ground, quick()).await;
    let run = first.start(three([plain(), json!({ "undo_holds": true }), json!({ "broken": true })]).build().unwrap()).await;
    first.ledger.wait_lines(5).await;
    first.eyrie.shutdown().await;
    let view = World::without_worker(&ground).await.me.run(run).await.unwrap();
    assert_eq!((view.run.state, view.run.worker_id, view.steps[1].state), (RunState::Undoing, None, StepState::Undoing));
    assert!(view.steps[1].next_attempt_at.is_some());
    let second = World::on(&ground.another().await, WorkerOptions { max_runs: 1, ..quick() }).await;
    second.ledger.permits.add_permits(1);
    let view = second.end_of(run).await;
    assert_eq!((view.run.state, states(&view)), (RunState::Undone, vec![StepState::Undone; 3]));
}

async fn a_parked_run_is_undone_when_cancelled(kind: Kind) {
    let ground = Ground::new(kind).await;
    let idle = World::without_worker(&ground).await;
    let plan =
        Plan::builder().step("a", "ledger", |s| s.undo().on_crash(CrashPolicy::NeedsOperator)).on_cancel(StopPolicy::Undo).build().unwrap();
    let run = idle.start(plan).await;
    ground.claim_and_die(run).await;
    let world = World::on(&ground, quick()).await;
    let view = world.until(run, RunState::Parked).await;
    assert_eq!(states(&view), [StepState::Pending]);
    world.me.cancel_run(run, "I looked: take it back").await.unwrap();
    let view = world.end_of(run).await;
    assert_eq!((view.run.state, states(&view)), (RunState::Undone, vec![StepState::Undone]));
    assert_eq!(world.ledger.read(), ["undo a: unknown, nothing kept"]);
}

/// A graph with branches and a step without undo between others: fail at each step, and look at the order of the undos.
async fn whichever_step_fails_the_plan_is_undone_backwards(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let needs: [(&str, &[&str]); 7] =
        [("a", &[]), ("b", &["a"]), ("c", &["a"]), ("d", &["b"]), ("e", &["c", "d"]), ("f", &["d"]), ("g", &["e", "f"])];
    for (broken, _) in needs {
        let plan = needs.iter().fold(Plan::builder(), |plan, (name, needs)| {
            plan.step(*name, "ledger", |s| {
                let s = s.needs(needs.iter().copied()).parameters(json!({ "broken": *name == broken }));
                if *name == "d" { s } else { s.undo() }
            })
        });
        let before = world.ledger.read().len();
        let view = world.run(plan.on_failure(StopPolicy::Undo).build().unwrap()).await;
        let lines = world.ledger.read().split_off(before);
        let begun: Vec<_> = lines.iter().filter_map(|line| line.strip_prefix("do ")).collect();
        let undone: Vec<_> = lines.iter().filter_map(|line| line.strip_prefix("undo ")?.split(':').next()).collect();
        assert_eq!(view.run.state, RunState::Undone, "{broken}: {lines:?}");
        let mut expected: Vec<_> = begun.iter().copied().filter(|name| *name != "d").collect();
        let mut sorted = undone.clone();
        expected.sort_unstable();
        sorted.sort_unstable();
        assert_eq!(sorted, expected, "{broken}: all that began and has an undo is undone, once");
        let place = |name: &str| undone.iter().position(|undone| *undone == name);
        for (later, earlier) in [("b", "a"), ("c", "a"), ("e", "b"), ("f", "b"), ("e", "c"), ("g", "e"), ("g", "f")] {
            let in_order = place(later).is_none_or(|later| place(earlier).is_some_and(|earlier| later < earlier));
            assert!(in_order, "{broken}: {earlier} was undone before {later}: {undone:?}");
        }
        let left = view.steps.iter().filter(|step| !matches!(step.state, StepState::Undone | StepState::Skipped));
        let left: Vec<_> = left.map(|step| step.name.as_str()).collect();
        assert!(left.is_empty() || left == ["d"], "{broken}: {left:?}");
    }
}
