//! A run waits for somebody's word, without a worker, and goes on.

use eyrie_core::{
    ErrorKind,
    model::{MAX_RUNNING, Plan, ProjectPatch, Role, RunState, Settings, StepIndex, StepState, StopPolicy},
};
use eyrie_tests::world::{Ground, Kind, World, quick, states};

use super::on_every_store;

on_every_store! {
    an_approval_lets_the_run_go_on;
    a_rejection_fails_the_run_and_undoes_it;
    approvals_are_decided_in_order;
    a_waiting_run_survives_its_worker;
    the_role_that_the_plan_names_is_needed;
    a_word_that_was_given_counts;
}

fn plan() -> Plan {
    Plan::builder()
        .step("build", "ledger", |s| s.undo())
        .approval("sign-off", Role::Admin, |s| s.needs(["build"]))
        .step("ship", "ledger", |s| s.undo().needs(["sign-off"]))
        .on_failure(StopPolicy::Undo)
        .build()
        .unwrap()
}

async fn an_approval_lets_the_run_go_on(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let run = world.start(plan()).await;
    let view = world.until(run, RunState::Waiting).await;
    assert_eq!(view.run.message, "step \"sign-off\" waits for the approval of somebody with the role admin");
    assert_eq!((view.run.worker_id, states(&view)[1]), (None, StepState::Pending));
    let open = world.me.open_approvals(run).await.unwrap();
    let shown: Vec<_> = open.iter().map(|open| (open.step.get(), open.name.as_str(), open.role)).collect();
    assert_eq!(shown, [(1, "sign-off", Role::Admin)]);
    let refused = world.me.approve_step(run, StepIndex::new(2), "").await.unwrap_err();
    assert_eq!(refused.invalid().unwrap().field(), "step");
    world.me.approve_step(run, StepIndex::new(1), "looks good").await.unwrap();
    let view = world.end_of(run).await;
    assert_eq!((view.run.state, states(&view)), (RunState::Succeeded, vec![StepState::Succeeded; 3]));
    assert!(view.steps[1].message.starts_with("approved by"), "{}", view.steps[1].message);
    assert!(view.steps[1].message.ends_with("looks good") && view.steps[1].finished_at.is_some());
    assert_eq!(world.me.open_approvals(run).await.unwrap(), []);
    let late = world.me.approve_step(run, StepIndex::new(1), "").await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::IllegalTransition);
}

async fn a_rejection_fails_the_run_and_undoes_it(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let run = world.start(plan()).await;
    world.until(run, RunState::Waiting).await;
    world.me.reject_step(run, StepIndex::new(1), "not on a Friday").await.unwrap();
    let view = world.end_of(run).await;
    assert_eq!(view.run.state, RunState::Undone);
    assert!(view.run.message.starts_with("step \"sign-off\" failed: rejected by"), "{}", view.run.message);
    assert_eq!(states(&view), [StepState::Undone, StepState::Failed, StepState::Skipped]);
    assert!(view.steps[1].message.ends_with("not on a Friday"), "{}", view.steps[1].message);
}

async fn approvals_are_decided_in_order(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let plan = Plan::builder()
        .approval("first", Role::Developer, |s| s)
        .approval("second", Role::Developer, |s| s.needs(["first"]))
        .step("beside", "echo", |s| s)
        .build()
        .unwrap();
    let run = world.start(plan).await;
    let view = world.until(run, RunState::Waiting).await;
    assert_eq!(states(&view), [StepState::Pending, StepState::Pending, StepState::Succeeded]);
    let open = async || world.me.open_approvals(run).await.unwrap().iter().map(|open| open.step.get()).collect::<Vec<_>>();
    assert_eq!(open().await, [0], "the second one has its turn later");
    let early = world.me.approve_step(run, StepIndex::new(1), "").await.unwrap_err();
    assert_eq!(early.kind(), ErrorKind::IllegalTransition);
    world.me.approve_step(run, StepIndex::new(0), "").await.unwrap();
    let waits = async || {
        let view = world.me.run(run).await.unwrap();
        view.run.state == RunState::Waiting && view.run.message.contains("second")
    };
    while !waits().await {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(open().await, [1]);
    world.me.approve_step(run, StepIndex::new(1), "").await.unwrap();
    assert_eq!(world.end_of(run).await.run.state, RunState::Succeeded);
}

async fn a_waiting_run_survives_its_worker(kind: Kind) {
    let ground = Ground::new(kind).await;
    let first = World::on(&ground, quick()).await;
    let run = first.start(plan()).await;
    first.until(run, RunState::Waiting).await;
    first.eyrie.shutdown().await;
    let second = World::on(&ground.another().await, quick()).await;
    second.me.approve_step(run, StepIndex::new(1), "").await.unwrap();
    let view = second.end_of(run).await;
    assert_eq!((view.run.state, second.ledger.read()), (RunState::Succeeded, vec!["do ship".to_owned()]));
}

async fn the_role_that_the_plan_names_is_needed(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let (user, dora) = world.user("dora", Role::User).await;
    world.me.remove_member(world.deployment.project_id, user).await.unwrap();
    let run = world.start(plan()).await;
    world.until(run, RunState::Waiting).await;
    let step = StepIndex::new(1);
    assert_eq!(dora.approve_step(run, step, "").await.unwrap_err().kind(), ErrorKind::NotFound, "an outsider knows nothing of it");
    for (role, told) in [(Role::User, "the role developer in the project"), (Role::Developer, "the role admin in the project")] {
        world.me.set_member(world.deployment.project_id, user, role).await.unwrap();
        let refused = dora.approve_step(run, step, "").await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Denied);
        assert!(refused.to_string().contains(told), "{refused}");
        for refused in [dora.retry_undo(run, "").await, dora.skip_undo(run, step, "").await, dora.retry_step(run, step, "").await] {
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::Denied);
        }
    }
    world.me.set_member(world.deployment.project_id, user, Role::Admin).await.unwrap();
    dora.approve_step(run, step, "").await.unwrap();
    let view = world.end_of(run).await;
    assert_eq!(view.run.state, RunState::Succeeded);
    assert!(view.steps[1].message.contains("dora"), "{}", view.steps[1].message);
}

/// Who asked has left by the time of the word, and who gave it by the time that the run goes on.
async fn a_word_that_was_given_counts(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let (asker, asks) = world.user("ann", Role::Developer).await;
    let (approver, approves) = world.user("bob", Role::Admin).await;
    world.resident_admin().await;
    let run = asks.run_plan(world.deployment.id, plan()).await.unwrap().id;
    world.until(run, RunState::Waiting).await;
    let project = world.me.project(world.deployment.project_id).await.unwrap();
    let limit = async |version: u64, most: u32| {
        let settings = Some(Settings::default().with(MAX_RUNNING, most).unwrap());
        world.me.update_project(project.id, version, ProjectPatch { settings, ..ProjectPatch::default() }).await.unwrap().version
    };
    let version = limit(project.version, 0).await;
    world.me.remove_member(project.id, asker).await.unwrap();
    approves.approve_step(run, StepIndex::new(1), "").await.unwrap();
    world.me.remove_member(project.id, approver).await.unwrap();
    tokio::time::sleep(3 * quick().poll).await;
    assert_eq!(world.me.run(run).await.unwrap().run.state, RunState::Queued);
    limit(version, 1).await;
    assert_eq!(world.end_of(run).await.run.state, RunState::Succeeded);
}
