//! Steps that depend on what earlier steps did: executed, or skipped for good.

use std::{sync::atomic::Ordering, time::Duration};

use eyrie_core::{
    ErrorKind,
    id::RunId,
    model::{Condition, Plan, PlanBuilder, Role, RunEventBody, RunState, StepIndex, StepState, StopPolicy},
    store::{Change, Command, Settle, Settlement, Skip},
};
use eyrie_tests::world::{Ground, Kind, World, quick, states};
use serde_json::json;

use super::on_every_store;

on_every_store! {
    a_step_is_executed_when_its_condition_holds;
    a_step_is_skipped_when_its_condition_is_false;
    a_chain_is_skipped_at_once;
    one_branch_of_a_diamond_is_skipped;
    the_last_step_may_be_skipped;
    a_takeover_goes_on_behind_what_was_skipped;
    a_takeover_skips_what_the_dead_worker_did_not;
    a_resumed_run_looks_at_its_conditions_anew;
    a_step_is_retried_beside_one_that_was_skipped;
    an_undo_leaves_what_was_skipped;
    a_cancel_leaves_what_was_skipped;
    an_approval_may_be_skipped;
    an_approval_behind_a_skipped_step_is_asked_for;
    a_run_is_run_once_more_with_its_conditions;
}

use StepState::{Cancelled, Failed, Skipped, Succeeded, Undone};

/// `test` puts out how many errors there are; `fix` is for errors, `ship` comes after both.
fn test_fix_ship(errors: u32) -> PlanBuilder {
    Plan::builder()
        .step("test", "echo", |s| s.parameters(json!({ "errors": errors })))
        .step("fix", "ledger", |s| s.needs(["test"]).undo().when(Condition::output("test").at("/errors").greater_than(0)))
        .step("ship", "ledger", |s| s.needs(["fix"]))
}

const FALSE: &str = "its condition is false: the output of \"test\" at \"/errors\" is greater than 0";

async fn a_step_is_executed_when_its_condition_holds(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let view = world.run(test_fix_ship(3).build().unwrap()).await;
    assert_eq!((view.run.state, states(&view)), (RunState::Succeeded, vec![Succeeded; 3]));
    assert_eq!(world.ledger.read(), ["do fix", "do ship"]);
}

async fn a_step_is_skipped_when_its_condition_is_false(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let view = world.run(test_fix_ship(0).build().unwrap()).await;
    assert_eq!((view.run.state, view.run.message.as_str()), (RunState::Succeeded, ""));
    assert_eq!(states(&view), [Succeeded, Skipped, Succeeded]);
    let fix = &view.steps[1];
    assert_eq!((fix.attempt, fix.message.as_str(), fix.output.clone()), (0, FALSE, None));
    assert!(fix.started_at.is_none() && fix.finished_at.is_some());
    assert_eq!(world.ledger.read(), ["do ship"]);
    let events = world.events_of(view.run.id).await;
    let steps = events.iter().filter_map(|event| match &event.body {
        RunEventBody::Step { name, state, .. } => Some((format!("{name} {state}"), event.at)),
        _ => None,
    });
    let (told, times): (Vec<_>, Vec<_>) = steps.unzip();
    assert_eq!(told, ["test running", "test succeeded", "fix skipped", "ship running", "ship succeeded"]);
    assert!(times[1] == times[2] && times[2] == times[3], "one commit: {times:?}");
}

async fn a_chain_is_skipped_at_once(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let plan = (1..30).fold(Plan::builder().step("s0", "echo", |s| s.parameters(json!("go"))), |plan, n| {
        let before = format!("s{}", n - 1);
        let when = match n {
            1 => Condition::output("s0").equals("stay"),
            _ => Condition::succeeded(&before),
        };
        plan.step(format!("s{n}"), "echo", |s| s.needs([before]).when(when))
    });
    let plan = plan.step("end", "sum", |s| s.needs(["s0", "s29"]).parameters(json!(["s29"]))).build().unwrap();
    let view = world.run(plan).await;
    assert_eq!(view.run.state, RunState::Succeeded);
    assert_eq!(states(&view).iter().filter(|state| **state == Skipped).count(), 29);
    assert_eq!(view.steps[30].output, Some(json!(0)), "what was skipped has no output");
    let skipped = view.steps[1..30].iter().map(|step| step.finished_at);
    assert!(skipped.clone().all(|at| at == view.steps[0].finished_at), "one commit: {:?}", skipped.collect::<Vec<_>>());
}

async fn one_branch_of_a_diamond_is_skipped(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let is_blue = Condition::output("choose").equals("blue");
    let plan = Plan::builder()
        .step("choose", "echo", |s| s.parameters(json!("green")))
        .step("blue", "echo", |s| s.needs(["choose"]).when(is_blue.clone()).parameters(json!(1)))
        .step("green", "echo", |s| s.needs(["choose"]).when(!is_blue.clone()).parameters(json!(20)))
        .step("sum", "sum", |s| s.needs(["blue", "green"]).parameters(json!(["blue", "green"])))
        .step("tell", "echo", |s| s.needs(["sum"]).when(Condition::all([Condition::skipped("blue"), Condition::output("sum").equals(20)])))
        .build()
        .unwrap();
    let view = world.run(plan).await;
    assert_eq!(view.run.state, RunState::Succeeded);
    assert_eq!(states(&view), [Succeeded, Skipped, Succeeded, Succeeded, Succeeded]);
    assert_eq!(view.steps[3].output, Some(json!(20)));
}

async fn the_last_step_may_be_skipped(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let plan = Plan::builder()
        .step("a", "echo", |s| s)
        .step("b", "echo", |s| s.needs(["a"]).when(Condition::output("a").at("/no/such/place").exists()))
        .build()
        .unwrap();
    let view = world.run(plan).await;
    assert_eq!((view.run.state, states(&view)), (RunState::Succeeded, vec![Succeeded, Skipped]));
    let after = world.run(test_fix_ship(0).build().unwrap()).await;
    assert_eq!(after.run.state, RunState::Succeeded, "the deployment is free");
}

/// Claims the run as a worker that records this, and dies.
async fn record_and_die(ground: &Ground, run: RunId, change: impl FnOnce(Settle) -> Change) {
    let fence = ground.claim_and_die(run).await;
    let how = Settlement::Succeeded { output: Some(json!({ "errors": 0 })) };
    let settle = Settle { step: StepIndex::new(0), attempt: 1, how, message: String::new() };
    ground.store.record(&[Command::fenced(run, fence, change(settle))]).await.unwrap().remove(0).unwrap();
}

async fn a_takeover_goes_on_behind_what_was_skipped(kind: Kind) {
    let ground = Ground::new(kind).await;
    let idle = World::without_worker(&ground).await;
    let plan = test_fix_ship(0).build().unwrap();
    let run = idle.start(plan.clone()).await;
    let skip = Skip { step: StepIndex::new(1), message: "by the dead worker".to_owned() };
    record_and_die(&ground, run, |settle| Change::Advance {
        settle: vec![settle],
        skip: vec![skip],
        start: vec![plan.start(StepIndex::new(2))],
        end: None,
    })
    .await;
    let world = World::on(&ground.another().await, quick()).await;
    let view = world.end_of(run).await;
    assert_eq!((view.run.state, view.run.epoch, states(&view)), (RunState::Succeeded, 2, vec![Succeeded, Skipped, Succeeded]));
    assert_eq!((view.steps[1].message.as_str(), view.steps[2].attempt), ("by the dead worker", 2));
    assert_eq!(world.ledger.read(), ["do ship"]);
}

async fn a_takeover_skips_what_the_dead_worker_did_not(kind: Kind) {
    let ground = Ground::new(kind).await;
    let idle = World::without_worker(&ground).await;
    let run = idle.start(test_fix_ship(0).build().unwrap()).await;
    record_and_die(&ground, run, |settle| Change::Advance { settle: vec![settle], skip: vec![], start: vec![], end: None }).await;
    let world = World::on(&ground.another().await, quick()).await;
    let view = world.end_of(run).await;
    assert_eq!((view.run.state, view.run.epoch, states(&view)), (RunState::Succeeded, 2, vec![Succeeded, Skipped, Succeeded]));
    assert_eq!((view.steps[1].message.as_str(), view.steps[2].attempt), (FALSE, 1));
}

/// `fix` is skipped, `ship` is broken.
fn broken() -> PlanBuilder {
    test_fix_ship(0)
        .step("publish", "ledger", |s| s.needs(["ship"]).parameters(json!({ "broken": true })))
        .step("tell", "ledger", |s| s.needs(["publish"]).when(Condition::skipped("fix")))
}

fn mend(world: &World) {
    world.ledger.mended.store(true, Ordering::SeqCst);
}

async fn a_resumed_run_looks_at_its_conditions_anew(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let failed = world.run(broken().build().unwrap()).await;
    assert_eq!((failed.run.state, states(&failed)), (RunState::Failed, vec![Succeeded, Skipped, Succeeded, Failed, Skipped]));
    assert_eq!((failed.steps[1].message.as_str(), failed.steps[4].message.as_str()), (FALSE, ""), "only one was skipped by its condition");
    mend(&world);
    world.me.resume_run(failed.run.id, "").await.unwrap();
    let view = world.end_of(failed.run.id).await;
    assert_eq!((view.run.state, states(&view)), (RunState::Succeeded, vec![Succeeded, Skipped, Succeeded, Succeeded, Succeeded]));
    assert_eq!((view.steps[1].message.as_str(), view.steps[1].attempt), (FALSE, 0));
    assert_eq!(world.ledger.read(), ["do ship", "do publish", "do publish", "do tell"], "what succeeded is not executed again");
}

async fn a_step_is_retried_beside_one_that_was_skipped(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let failed = world.run(broken().build().unwrap()).await;
    mend(&world);
    world.me.retry_step(failed.run.id, StepIndex::new(3), "").await.unwrap();
    let view = world.end_of(failed.run.id).await;
    assert_eq!((view.run.state, states(&view)), (RunState::Succeeded, vec![Succeeded, Skipped, Succeeded, Succeeded, Succeeded]));

    // `b` was skipped by the end of the run, not by its condition, which holds.
    let plan = Plan::builder()
        .step("a", "echo", |s| s)
        .step("x", "ledger", |s| s.needs(["a"]).parameters(json!({ "broken": true })))
        .step("b", "echo", |s| s.needs(["a"]).when(Condition::succeeded("a")))
        .max_parallel(1)
        .build()
        .unwrap();
    world.ledger.mended.store(false, Ordering::SeqCst);
    let failed = world.run(plan).await;
    assert_eq!(states(&failed), [Succeeded, Failed, Skipped]);
    mend(&world);
    world.me.retry_step(failed.run.id, StepIndex::new(1), "").await.unwrap();
    let view = world.end_of(failed.run.id).await;
    assert_eq!((view.run.state, states(&view)), (RunState::Failed, vec![Succeeded, Succeeded, Skipped]));
    assert_eq!(view.run.message, "step \"b\" was left skipped; resume the run to do what is left");
}

async fn an_undo_leaves_what_was_skipped(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let plan = |errors| {
        test_fix_ship(errors)
            .step("publish", "ledger", |s| s.needs(["ship"]).undo().parameters(json!({ "broken": true })))
            .on_failure(StopPolicy::Undo)
            .build()
            .unwrap()
    };
    let view = world.run(plan(0)).await;
    assert_eq!((view.run.state, states(&view)), (RunState::Undone, vec![Succeeded, Skipped, Succeeded, Undone]));
    assert_eq!(view.steps[1].message, FALSE);
    assert_eq!(world.ledger.read(), ["do ship", "do publish", "undo publish: unknown, was publish"]);
    let view = world.run(plan(1)).await;
    assert_eq!((view.run.state, states(&view)), (RunState::Undone, vec![Succeeded, Undone, Succeeded, Undone]));
}

async fn a_cancel_leaves_what_was_skipped(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let plan = test_fix_ship(0).step("wait", "gate", |s| s.needs(["ship"])).step("tell", "echo", |s| s.needs(["wait"])).build().unwrap();
    let run = world.start(plan).await;
    world.gate.wait_begun(1).await;
    world.me.cancel_run(run, "").await.unwrap();
    let view = world.end_of(run).await;
    assert_eq!((view.run.state, states(&view)), (RunState::Cancelled, vec![Succeeded, Skipped, Succeeded, Cancelled, Skipped]));
    assert_eq!((view.steps[1].message.as_str(), view.steps[4].message.as_str()), (FALSE, ""));
}

async fn an_approval_may_be_skipped(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let plan = |size: u32| {
        Plan::builder()
            .step("measure", "echo", |s| s.parameters(json!(size)))
            .approval("sign-off", Role::Admin, |s| s.needs(["measure"]).when(Condition::output("measure").greater_than(10)))
            .step("ship", "ledger", |s| s.needs(["sign-off"]))
            .build()
            .unwrap()
    };
    let view = world.run(plan(3)).await;
    assert_eq!((view.run.state, states(&view)), (RunState::Succeeded, vec![Succeeded, Skipped, Succeeded]));
    let run = world.start(plan(30)).await;
    world.until(run, RunState::Waiting).await;
    world.me.approve_step(run, StepIndex::new(1), "").await.unwrap();
    let view = world.end_of(run).await;
    assert_eq!((view.run.state, states(&view)), (RunState::Succeeded, vec![Succeeded; 3]));
}

/// Whoever decides counts what was skipped as done, and tells an approval that was skipped from one that is open.
async fn an_approval_behind_a_skipped_step_is_asked_for(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let plan = test_fix_ship(0)
        .approval("of fix", Role::Admin, |s| s.needs(["fix"]).when(Condition::succeeded("fix")))
        .approval("of all", Role::Admin, |s| s.needs(["fix", "of fix"]))
        .approval("after", Role::Admin, |s| s.needs(["of all"]))
        .build()
        .unwrap();
    let run = world.start(plan).await;
    let view = world.until(run, RunState::Waiting).await;
    assert_eq!(states(&view)[3..], [Skipped, StepState::Pending, StepState::Pending]);
    let open = world.me.open_approvals(run).await.unwrap();
    assert_eq!(open.iter().map(|open| open.name.as_str()).collect::<Vec<_>>(), ["of all"]);
    for not_open in [3, 5] {
        let refused = world.me.approve_step(run, StepIndex::new(not_open), "").await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::IllegalTransition);
    }
    world.eyrie.shutdown().await;
    let second = World::on(&world.ground.another().await, quick()).await;
    second.me.approve_step(run, StepIndex::new(4), "").await.unwrap();
    while second.me.open_approvals(run).await.unwrap().iter().all(|open| open.step != StepIndex::new(5)) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    second.me.approve_step(run, StepIndex::new(5), "").await.unwrap();
    assert_eq!(second.end_of(run).await.run.state, RunState::Succeeded);
}

async fn a_run_is_run_once_more_with_its_conditions(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let first = world.run(test_fix_ship(0).build().unwrap()).await;
    let again = world.me.rerun_run(first.run.id, None).await.unwrap();
    let again = world.end_of(again.id).await;
    assert_eq!((again.run.plan_hash, again.run.state, states(&again)), (first.run.plan_hash, RunState::Succeeded, states(&first)));
}
