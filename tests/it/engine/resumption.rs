//! Failed runs go on, whole or for one step, or run once more.

use std::{sync::atomic::Ordering, time::Duration};

use eyrie_core::{
    Acting, ErrorKind,
    model::{Plan, RetryPolicy, Role, RunKind, RunState, StepIndex, StepState, StopPolicy, Verdict},
    platform::{RunRequest, StartRun},
    store::AuditFilter,
};
use eyrie_tests::world::{Ground, Kind, World, quick, states};
use serde_json::json;

use super::on_every_store;

on_every_store! {
    a_failed_run_goes_on_where_it_stopped;
    a_resumed_run_has_its_patience_back;
    a_resumed_run_waits_for_its_turn;
    one_step_is_retried_and_the_rest_left;
    a_run_is_run_once_more;
    a_follower_from_the_beginning_sees_both_ends;
    an_attempt_that_cannot_start_is_waited_for_quietly;
    whoever_may_no_longer_resume_has_it_parked;
    whoever_may_no_longer_decide_about_an_undo_has_it_parked;
    the_asker_no_longer_counts_for_who_resumes;
    what_was_resumed_and_has_begun_is_not_asked_about_again;
}

fn broken() -> Plan {
    Plan::builder()
        .step("a", "ledger", |s| s)
        .step("b", "ledger", |s| s.needs(["a"]).parameters(json!({ "broken": true })))
        .step("c", "sum", |s| s.needs(["a", "b"]).parameters(json!(["a"])))
        .build()
        .unwrap()
}

fn mend(world: &World) {
    world.ledger.mended.store(true, Ordering::SeqCst);
}

async fn a_failed_run_goes_on_where_it_stopped(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let failed = world.run(broken()).await;
    assert_eq!(failed.run.state, RunState::Failed);
    world.me.resume_run(failed.run.id, "first try").await.unwrap();
    let view = world.end_of(failed.run.id).await;
    assert_eq!((view.run.state, view.run.message.as_str()), (RunState::Failed, "step \"b\" failed: broken"));
    mend(&world);
    world.me.resume_run(failed.run.id, "second try").await.unwrap();
    let view = world.end_of(failed.run.id).await;
    assert_eq!((view.run.state, view.run.id), (RunState::Succeeded, failed.run.id));
    assert_eq!(states(&view), [StepState::Succeeded; 3]);
    assert_eq!(view.steps.iter().map(|step| step.attempt).collect::<Vec<_>>(), [1, 3, 1]);
    assert_eq!(world.ledger.read(), ["do a", "do b", "do b", "do b"]);
    let refused = world.me.resume_run(failed.run.id, "").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::IllegalTransition);
}

async fn a_resumed_run_has_its_patience_back(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let retry = RetryPolicy::exponential(2, Duration::from_millis(5));
    let plan = Plan::builder().step("a", "flaky", |s| s.parameters(json!(4)).retry(retry)).build().unwrap();
    let failed = world.run(plan).await;
    assert_eq!((failed.run.state, failed.steps[0].attempt), (RunState::Failed, 2));
    world.me.resume_run(failed.run.id, "").await.unwrap();
    let view = world.end_of(failed.run.id).await;
    assert_eq!((view.run.state, view.steps[0].attempt), (RunState::Succeeded, 4));
}

async fn a_resumed_run_waits_for_its_turn(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let failed = world.run(broken()).await;
    let gate = || Plan::builder().step("a", "gate", |s| s).build().unwrap();
    let [second, third] = [world.start(gate()).await, world.start(gate()).await];
    world.gate.wait_begun(1).await;
    mend(&world);
    let view = world.me.resume_run(failed.run.id, "").await.unwrap();
    assert_eq!(view.run.state, RunState::Queued);
    tokio::time::sleep(Duration::from_millis(250)).await;
    assert_eq!(world.me.run(failed.run.id).await.unwrap().run.state, RunState::Queued, "another run is under way");
    world.gate.permits.add_permits(1);
    assert_eq!(world.end_of(second).await.run.state, RunState::Succeeded);
    assert_eq!(world.end_of(failed.run.id).await.run.state, RunState::Succeeded);
    world.gate.permits.add_permits(1);
    assert_eq!(world.end_of(third).await.run.state, RunState::Succeeded);
}

async fn one_step_is_retried_and_the_rest_left(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let plan = Plan::builder()
        .step("a", "ledger", |s| s.parameters(json!({ "broken": true })))
        .step("b", "panicking", |s| s)
        .step("c", "echo", |s| s.needs(["a"]))
        .step("d", "echo", |s| s.needs(["a", "b"]))
        .build()
        .unwrap();
    let failed = world.run(plan).await;
    assert_eq!(states(&failed), [StepState::Failed, StepState::Failed, StepState::Skipped, StepState::Skipped]);
    mend(&world);
    let refused = world.me.retry_step(failed.run.id, StepIndex::new(2), "").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::IllegalTransition);
    assert!(world.me.retry_step(failed.run.id, StepIndex::new(7), "").await.unwrap_err().is_not_found());
    world.me.retry_step(failed.run.id, StepIndex::new(0), "").await.unwrap();
    let view = world.end_of(failed.run.id).await;
    assert_eq!(view.run.state, RunState::Failed);
    assert_eq!(states(&view), [StepState::Succeeded, StepState::Failed, StepState::Succeeded, StepState::Skipped]);
    assert_eq!(view.steps[1].attempt, 1, "b was not tried again");
    assert_eq!(view.run.message, "step \"b\" was left failed; resume the run to do what is left");
}

async fn a_run_is_run_once_more(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let start = StartRun { kind: RunKind::Backup, context: json!({ "env": { "A": "1" } }), ..StartRun::default() };
    let request = RunRequest { plan: broken(), start };
    let first = world.me.run_plan_with(world.deployment.id, request).await.unwrap();
    world.end_of(first.id).await;
    mend(&world);
    let again = world.me.rerun_run(first.id, Some("key".to_owned())).await.unwrap();
    assert_ne!(again.id, first.id);
    assert_eq!((again.plan_hash, again.kind, &again.context), (first.plan_hash, first.kind, &first.context));
    assert_eq!(world.me.rerun_run(first.id, Some("key".to_owned())).await.unwrap().id, again.id);
    assert_eq!(world.end_of(again.id).await.run.state, RunState::Succeeded);
    assert_eq!(world.me.run(first.id).await.unwrap().run.state, RunState::Failed);
}

async fn a_follower_from_the_beginning_sees_both_ends(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let failed = world.run(broken()).await;
    let first = world.events_of(failed.run.id).await;
    assert!(first.last().unwrap().is_final());
    mend(&world);
    world.me.resume_run(failed.run.id, "").await.unwrap();
    let all = world.events_of(failed.run.id).await;
    assert_eq!(all[..first.len()], first);
    assert_eq!(all.iter().map(|event| event.seq).collect::<Vec<_>>(), (1..=all.len() as u64).collect::<Vec<_>>());
    assert_eq!(all.iter().filter(|event| event.is_final()).count(), 2);
    assert_eq!(world.me.run(failed.run.id).await.unwrap().run.last_seq, all.len() as u64);
    let mut behind = world.me.follow_run(failed.run.id, first.len() as u64).await.unwrap();
    assert_eq!(behind.next().await.unwrap().unwrap().seq, first.len() as u64 + 1);
}

/// While all places are taken, or a step has failed, nobody wakes for an attempt whose time has come.
async fn an_attempt_that_cannot_start_is_waited_for_quietly(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let plan = Plan::builder()
        .step("a", "flaky", |s| s.parameters(json!(2)).retry(RetryPolicy::exponential(2, Duration::from_millis(50))))
        .step("b", "gate", |s| s)
        .max_parallel(1)
        .build()
        .unwrap();
    let run = world.start(plan).await;
    world.gate.wait_begun(1).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    world.gate.permits.add_permits(1);
    let view = world.end_of(run).await;
    assert_eq!((view.run.state, view.steps[0].attempt), (RunState::Succeeded, 2));
}

/// Lets the failed run wait behind another while dora loses her role, and then come to its turn.
async fn after_dora_has_left(world: &World, decide: impl AsyncFnOnce(&Acting)) {
    let (user, dora) = world.user("dora", Role::Admin).await;
    world.resident_admin().await;
    let holds = world.start(Plan::builder().step("holds", "gate", |s| s).build().unwrap()).await;
    world.gate.wait_begun(1).await;
    decide(&dora).await;
    world.me.set_member(world.deployment.project_id, user, Role::Developer).await.unwrap();
    world.gate.permits.add_permits(1);
    assert_eq!(world.end_of(holds).await.run.state, RunState::Succeeded);
}

/// Nothing of it is lost: somebody who may has it go on as dora wanted it.
async fn whoever_may_no_longer_resume_has_it_parked(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let failed = world.run(broken()).await.run.id;
    after_dora_has_left(&world, async |dora| drop(dora.resume_run(failed, "").await.unwrap())).await;
    let view = world.until(failed, RunState::Parked).await;
    assert_eq!(view.run.message, "dora may no longer resume runs here; resume or cancel the run");
    assert_eq!(states(&view), [StepState::Succeeded, StepState::Pending, StepState::Pending]);
    assert_eq!(world.ledger.read(), ["do a", "do b"], "nothing was begun for her");
    let filter = AuditFilter { resource: Some(format!("run {failed}")), ..Default::default() };
    let refusals = world.me.audit(filter, Default::default()).await.unwrap().items;
    let refusal = refusals.iter().find(|entry| entry.verdict == Verdict::Refused).unwrap();
    assert_eq!((refusal.action.as_str(), refusal.principal.to_string().as_str()), ("run.resume", "dora"));
    assert_eq!(refusal.origin.as_ref().unwrap().as_str(), "desk-of-dora");
    mend(&world);
    world.me.resume_run(failed, "").await.unwrap();
    let view = world.end_of(failed).await;
    assert_eq!((view.run.state, states(&view)), (RunState::Succeeded, vec![StepState::Succeeded; 3]));
}

async fn whoever_may_no_longer_decide_about_an_undo_has_it_parked(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let plan = Plan::builder()
        .step("a", "ledger", |s| s.undo().parameters(json!({ "undo_broken": true })))
        .step("b", "panicking", |s| s.needs(["a"]))
        .on_failure(StopPolicy::Undo)
        .build()
        .unwrap();
    let failed = world.run(plan).await;
    assert_eq!(failed.run.state, RunState::UndoFailed, "{failed:?}");
    let id = failed.run.id;
    after_dora_has_left(&world, async |dora| drop(dora.retry_undo(id, "").await.unwrap())).await;
    let view = world.until(id, RunState::Parked).await;
    assert!(
        view.run.message.ends_with("; undo: dora may no longer decide about undos here; resume or cancel the run"),
        "{}",
        view.run.message
    );
    assert_eq!(states(&view)[0], StepState::Undoing);
    mend(&world);
    world.me.resume_run(id, "").await.unwrap();
    let view = world.end_of(id).await;
    assert_eq!((view.run.state, states(&view)[0]), (RunState::Undone, StepState::Undone));
}

/// Who asked has left; somebody else answers for what goes on.
async fn the_asker_no_longer_counts_for_who_resumes(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let (user, dora) = world.user("dora", Role::Developer).await;
    let failed = dora.run_plan(world.deployment.id, broken()).await.unwrap().id;
    assert_eq!(world.end_of(failed).await.run.state, RunState::Failed);
    world.me.remove_member(world.deployment.project_id, user).await.unwrap();
    mend(&world);
    world.me.retry_step(failed, StepIndex::new(1), "").await.unwrap();
    assert_eq!(world.end_of(failed).await.run.state, RunState::Succeeded);
}

async fn what_was_resumed_and_has_begun_is_not_asked_about_again(kind: Kind) {
    let ground = Ground::new(kind).await;
    let first = World::on(&ground, quick()).await;
    let (user, dora) = first.user("dora", Role::Admin).await;
    first.resident_admin().await;
    let plan = Plan::builder()
        .step("a", "ledger", |s| s.parameters(json!({ "broken": true })))
        .step("b", "gate", |s| s.needs(["a"]))
        .build()
        .unwrap();
    let run = first.run(plan).await.run.id;
    mend(&first);
    dora.resume_run(run, "").await.unwrap();
    first.gate.wait_begun(1).await;
    first.me.remove_member(first.deployment.project_id, user).await.unwrap();
    first.eyrie.shutdown().await;
    let second = World::on(&ground.another().await, quick()).await;
    second.gate.permits.add_permits(1);
    let view = second.end_of(run).await;
    assert_eq!((view.run.state, view.steps[1].attempt), (RunState::Succeeded, 2), "it was taken over");
}
