//! Secrets that the steps of a run are given.

use eyrie_core::{
    ErrorKind,
    model::{NewGroup, NewProject, NewSecret, Owner, Plan, PlannedRelease, Role, RunKind, RunState, Settings, StopPolicy},
    secret::SecretRef,
    store::{AuditFilter, PageRequest},
};
use eyrie_tests::world::{Ground, Kind, World, quick, states};
use serde_json::json;

use super::{CANARY, assert_clean, babbling, log, naming, raw_files, secret, world};

fn plan(id: eyrie_core::id::SecretId, how: &str) -> Plan {
    let parameters = json!({ "secret": naming(id), "how": how });
    let release = PlannedRelease { config: json!({ "password": naming(id) }), leaves_running: true };
    Plan::builder()
        .step("babble", "babble", |step| step.parameters(parameters).undo())
        .step("after", "echo", |step| step.needs(["babble"]))
        .release(release)
        .build()
        .unwrap()
}

async fn everything_that_can_be_read(world: &World, run: eyrie_core::id::RunId) -> String {
    let view = world.me.run(run).await.unwrap();
    let events: Vec<_> = world.events_of(run).await;
    let audit = world.me.audit(AuditFilter::default(), PageRequest::default()).await.unwrap();
    let releases = world.me.releases(world.deployment.id, PageRequest::default()).await.unwrap();
    let mut all = format!("{view:?}{events:?}{audit:?}{releases:?}");
    all.push_str(&serde_json::to_string(&(view, events, audit, releases)).unwrap());
    all.push_str(&log(world, run).await);
    all
}

async fn nothing_shows_on(kind: Kind) {
    let ground = Ground::new(kind).await;
    let world = world(&ground).await;
    let id = secret(&world, "password", CANARY).await;
    for (how, state) in [("succeed", RunState::Succeeded), ("fail", RunState::Failed), ("panic", RunState::Failed)] {
        let view = world.run(plan(id, how)).await;
        assert_eq!(view.run.state, state, "{how}: {}", view.run.message);
        assert_clean(how, &everything_that_can_be_read(&world, view.run.id).await);
        let text = log(&world, view.run.id).await;
        assert!(text.starts_with("begin\nlog ***\n***\n") && text.ends_with("\nend\n"), "{text}");
        let reported: Vec<_> = view.steps.iter().filter(|step| step.parent.is_some()).collect();
        assert_eq!((reported.len(), reported[0].name.as_str(), reported[0].message.as_str()), (1, "name ***", "message ***"));
        match how {
            "succeed" => assert_eq!(view.steps[0].output, Some(json!({ "secret": "***", "as text": "<***>" }))),
            "fail" => assert_eq!(view.run.message, "step \"babble\" failed: failed with ***"),
            _ => assert_eq!(view.run.message, "step \"babble\" failed: the action panicked: panicked with ***"),
        }
    }
    let release = world.me.releases(world.deployment.id, PageRequest::default()).await.unwrap().items.remove(0);
    assert_eq!(release.config, json!({ "password": SecretRef { id, version: 1 }.to_value() }), "a release names the very value");
    world.eyrie.shutdown().await;
    if kind == Kind::Sqlite {
        let raw = raw_files(&ground);
        assert!(raw.contains("name ***"), "the file was looked through");
        assert_clean("the file", &raw);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_secret_shows_in_memory() {
    nothing_shows_on(Kind::Memory).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_secret_shows_in_a_file() {
    nothing_shows_on(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_secret_shows_on_a_server() {
    nothing_shows_on(Kind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_undo_is_given_the_secret_too() {
    let world = world(&Ground::new(Kind::Sqlite).await).await;
    let id = secret(&world, "password", CANARY).await;
    let parameters = json!({ "secret": naming(id) });
    let plan = Plan::builder()
        .step("babble", "babble", |step| step.parameters(parameters).undo())
        .step("fails", "flaky", |step| step.needs(["babble"]).parameters(json!(9)))
        .on_failure(StopPolicy::Undo)
        .build()
        .unwrap();
    let view = world.run(plan).await;
    assert_eq!(view.run.state, RunState::Undone, "{}", view.run.message);
    assert!(log(&world, view.run.id).await.ends_with("undo ***\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_keeps_the_value_that_it_was_made_with() {
    let world = world(&Ground::new(Kind::Sqlite).await).await;
    let id = secret(&world, "password", CANARY).await;
    let view = world.run(plan(id, "succeed")).await;
    world.me.replace_secret_value(id, 1, &eyrie_core::secret::SecretValue::new("another value").unwrap()).await.unwrap();
    let again = world.me.rerun_run(view.run.id, None).await.unwrap();
    let again = world.end_of(again.id).await;
    assert_eq!(again.run.state, RunState::Succeeded, "the same plan, the same value: {}", again.run.message);
    let anew = world.run(plan(id, "succeed")).await;
    assert_eq!(anew.run.message, "step \"babble\" failed: this is not the secret", "a new plan takes the new one");
    assert_eq!(states(&anew)[0].as_str(), "failed");
    assert_eq!(world.me.delete_secret(id).await.unwrap_err().kind(), ErrorKind::Conflict, "plans that are kept name it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_names_a_secret_of_others_is_refused_by_its_field() {
    let world = world(&Ground::new(Kind::Sqlite).await).await;
    let mine = secret(&world, "password", CANARY).await;
    let other = world.me.create_project(NewProject::new("other").unwrap()).await.unwrap();
    let new = || NewSecret::new("password", "something else").unwrap();
    let theirs = world.me.create_secret(Owner::Project(other.id), new()).await.unwrap().id;
    let shared = world.me.create_secret(Owner::Operators, new()).await.unwrap().id;
    let nobody = eyrie_core::id::SecretId::new();
    let mut refusals = Vec::new();
    for id in [theirs, shared, nobody] {
        let refused = world.me.run_plan(world.deployment.id, plan(id, "succeed")).await.unwrap_err();
        assert_eq!(refused.invalid().unwrap().field(), "plan.steps.babble.parameters.secret.$secret");
        refusals.push(refused.to_string());
        let pinned = json!({ "secret": SecretRef { id, version: 1 }.to_value() });
        let plan = Plan::builder().step("babble", "babble", |step| step.parameters(pinned)).build().unwrap();
        let refused = world.me.run_plan(world.deployment.id, plan).await.unwrap_err();
        assert_eq!(refused.invalid().unwrap().field(), "plan.steps.babble.parameters.secret.$secret");
        let settings = Settings::default().with("db", json!({ "password": naming(id) })).unwrap();
        let group = NewGroup { settings, ..NewGroup::new("g", "test").unwrap() };
        let refused = world.me.create_group(world.deployment.project_id, group).await.unwrap_err();
        assert_eq!(refused.invalid().unwrap().field(), "settings.db.$secret");
    }
    refusals.dedup();
    assert_eq!(refusals.len(), 1, "whether there is one elsewhere is not said: {refusals:?}");
    let gone = json!({ "secret": SecretRef { id: mine, version: 7 }.to_value() });
    let plan = Plan::builder().step("babble", "babble", |step| step.parameters(gone)).build().unwrap();
    assert_eq!(world.me.run_plan(world.deployment.id, plan).await.unwrap_err().kind(), ErrorKind::Conflict, "a value that is not there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_do_what_with_secrets() {
    let world = world(&Ground::new(Kind::Memory).await).await;
    let project = Owner::Project(world.deployment.project_id);
    let id = secret(&world, "password", CANARY).await;
    let shared = world.me.create_secret(Owner::Operators, NewSecret::new("shared", CANARY).unwrap()).await.unwrap().id;
    let value = eyrie_core::secret::SecretValue::new("another value").unwrap();
    for (role, reads, writes) in [(Role::User, false, false), (Role::Developer, true, false), (Role::Admin, true, true)] {
        let (_, who) = world.user(role.as_str(), role).await;
        let denied = |allowed: bool, answer: Option<ErrorKind>| assert_eq!(answer, (!allowed).then_some(ErrorKind::Denied), "{role}");
        denied(reads, who.secret(id).await.err().map(|error| error.kind()));
        denied(reads, who.secrets(project, PageRequest::default()).await.err().map(|error| error.kind()));
        denied(writes, who.create_secret(project, NewSecret::new(role.as_str(), CANARY).unwrap()).await.err().map(|error| error.kind()));
        if writes {
            who.replace_secret_value(id, 1, &value).await.unwrap();
        } else {
            denied(writes, who.replace_secret_value(id, 1, &value).await.err().map(|error| error.kind()));
            denied(writes, who.delete_secret(id).await.err().map(|error| error.kind()));
        }
        assert!(who.secret(shared).await.unwrap_err().is_not_found(), "nobody but an operator knows of it");
        assert!(who.delete_secret(shared).await.unwrap_err().is_not_found());
        assert_eq!(who.secrets(Owner::Operators, PageRequest::default()).await.unwrap_err().kind(), ErrorKind::Denied);
        assert_eq!(who.keyring_status().await.unwrap_err().kind(), ErrorKind::Denied);
        assert_eq!(who.rotate_keyring().await.unwrap_err().kind(), ErrorKind::Denied);
    }
    let view = world.me.secret(id).await.unwrap();
    assert_eq!((view.secret.value_version, view.values.len()), (2, 2));
    assert_clean("the view", &format!("{view:?}{}", serde_json::to_string(&view).unwrap()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_keyring_there_are_no_secrets() {
    let world = World::with(&Ground::new(Kind::Memory).await, quick(), babbling).await;
    let owner = Owner::Project(world.deployment.project_id);
    let refused = world.me.create_secret(owner, NewSecret::new("password", CANARY).unwrap()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    let view = world.run(Plan::builder().step("a", "echo", |step| step.parameters(json!("x"))).build().unwrap()).await;
    assert_eq!((view.run.state, view.run.kind), (RunState::Succeeded, RunKind::Deploy));
}
