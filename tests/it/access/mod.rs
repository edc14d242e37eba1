//! Who may do what through the library, on every store: roles with overrides, tokens, runs at their claim, lists and the feed.

use std::{collections::BTreeMap, time::Duration};

use eyrie_core::{
    Acting, ErrorKind,
    access::{AccessLevel, Permission},
    id::{RunId, TokenId, UserId},
    model::{
        Deployment, Grant, NewDeployment, NewGroup, OverrideAt, Plan, Principal, Role, RunState, TokenBinding, TokenCapabilities, TokenKind,
    },
    name::Origin,
    platform::{NewUser, Place},
    store::{DeploymentFilter, PageRequest, QueueOf, RunFilter},
};
use eyrie_tests::world::{Ground, Kind, World, quick};

mod tokens;

use crate::engine::on_every_store;

on_every_store! {
    everybody_against_every_permission;
    a_queued_run_is_refused_at_its_claim_once_it_is_hidden;
    lists_are_full_and_show_what_may_be_read;
    the_feed_follows_the_overrides;
    a_token_sees_what_its_creator_sees;
}

fn echo() -> Plan {
    Plan::builder().step("a", "echo", |step| step).build().unwrap()
}

/// An account, acting.
async fn account(world: &World, name: &str, operator: bool) -> (UserId, Acting) {
    let user = world.me.create_user(NewUser { name: name.parse().unwrap(), password: None, operator }).await.unwrap();
    let origin = Origin::new("test").unwrap();
    (user.id, world.eyrie.acting_as(Principal::User { id: user.id, name: user.name, session: None, origin }))
}

/// Another deployment, in a group of its own.
async fn elsewhere(world: &World, slug: &str) -> Deployment {
    let group = world.me.create_group(world.deployment.project_id, NewGroup::new(slug, "test").unwrap()).await.unwrap();
    world.me.create_deployment(group.id, NewDeployment::new(slug).unwrap()).await.unwrap()
}

fn token(world: &World, kind: TokenKind, binding: TokenBinding, created_by: Option<UserId>) -> Acting {
    let origin = Origin::new("test").unwrap();
    world.eyrie.acting_as(Principal::Token {
        id: TokenId::new(),
        kind,
        binding,
        capabilities: TokenCapabilities::usual(),
        created_by,
        origin,
    })
}

/// Each permission at each level, asked for by everybody: the same answers on every store, and those in the file.
async fn everybody_against_every_permission(kind: Kind) {
    let world = World::without_worker(&Ground::new(kind).await).await;
    let deployment = &world.deployment;
    let (project, group) = (deployment.project_id, deployment.group_id);
    let mut subjects: Vec<(&str, Acting)> = Vec::new();
    for (name, role) in [("user", Role::User), ("developer", Role::Developer), ("admin", Role::Admin)] {
        subjects.push((name, world.user(name, role).await.1));
    }
    subjects.push(("outsider", account(&world, "outsider", false).await.1));
    subjects.push(("operator", account(&world, "operator", true).await.1));
    let (hidden, acting) = world.user("group-none", Role::Admin).await;
    world.me.set_override(OverrideAt::Group(group), hidden, Grant::None).await.unwrap();
    subjects.push(("group-none", acting));
    let (raised, acting) = world.user("raised", Role::User).await;
    world.me.set_override(OverrideAt::Group(group), raised, Grant::None).await.unwrap();
    world.me.set_override(OverrideAt::Deployment(deployment.id), raised, Grant::Developer).await.unwrap();
    subjects.push(("raised", acting));
    let run = world.start(echo()).await;
    let bindings = [
        ("project-token", TokenKind::Service, TokenBinding::Project(project)),
        ("deployment-token", TokenKind::Service, TokenBinding::Deployment(deployment.id)),
        ("run-token", TokenKind::Run, TokenBinding::Run(run)),
    ];
    for (name, kind, binding) in bindings {
        subjects.push((name, token(&world, kind, binding, None)));
    }
    let (owner, acting) = account(&world, "owner", false).await;
    world.me.transfer_project(project, Some(owner)).await.unwrap();
    subjects.push(("owner", acting.clone()));
    let mut answers = BTreeMap::new();
    for (name, acting) in &subjects {
        ask(acting, name, deployment, &mut answers).await;
    }
    world.me.set_user_disabled(owner, true).await.unwrap();
    ask(&acting, "disabled-owner", deployment, &mut answers).await;

    let mut table = String::new();
    for ((level, permission), told) in answers {
        table.push_str(&format!("{level} {permission}\n"));
        for (answer, names) in told {
            table.push_str(&format!("  {answer}: {}\n", names.join(" ")));
        }
    }
    if std::env::var_os("EYRIE_WRITE_GOLDEN").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/it/access/matrix.txt"), &table).unwrap();
        return;
    }
    assert_eq!(table, include_str!("matrix.txt"), "EYRIE_WRITE_GOLDEN=1 writes it anew");
}

type Answers<'a> = BTreeMap<(AccessLevel, Permission), BTreeMap<&'static str, Vec<&'a str>>>;

async fn ask<'a>(acting: &Acting, name: &'a str, deployment: &Deployment, answers: &mut Answers<'a>) {
    for level in AccessLevel::ALL {
        let place = match level {
            AccessLevel::Project => Place::Project(deployment.project_id),
            AccessLevel::Group => Place::Group(deployment.group_id),
            AccessLevel::Deployment => Place::Deployment(deployment.id),
        };
        for permission in Permission::ALL.iter().filter(|permission| permission.levels().contains(level)) {
            let answer = match acting.explain(None, *permission, place).await {
                Ok(told) if told.allowed => "allowed",
                Ok(_) => "refused",
                Err(error) if error.is_not_found() => "missing",
                // Its rights are for its run alone; it can ask about nothing.
                Err(error) if error.kind() == ErrorKind::Denied => "refused",
                Err(error) => panic!("{name} {permission}: {error}"),
            };
            answers.entry((*level, *permission)).or_default().entry(answer).or_default().push(name);
        }
    }
}

async fn a_queued_run_is_refused_at_its_claim_once_it_is_hidden(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let (dora, acting) = world.user("dora", Role::Developer).await;
    let gate = Plan::builder().step("a", "gate", |step| step).build().unwrap();
    let before = world.start(gate).await;
    world.gate.wait_begun(1).await;
    let at = OverrideAt::Deployment(world.deployment.id);
    let run = acting.run_plan(world.deployment.id, echo()).await.unwrap().id;
    world.me.set_override(at, dora, Grant::User).await.unwrap();
    world.gate.permits.add_permits(1);
    world.end_of(before).await;
    let view = world.end_of(run).await;
    assert_eq!(view.run.state, RunState::Failed, "{}", view.run.message);
    assert!(view.run.message.contains("dora may no longer start runs here"), "{}", view.run.message);
    assert_eq!(acting.run_plan(world.deployment.id, echo()).await.unwrap_err().kind(), ErrorKind::Denied);
    world.me.set_override(at, dora, Grant::None).await.unwrap();
    assert!(acting.run_plan(world.deployment.id, echo()).await.unwrap_err().is_not_found());
    assert!(acting.run(run).await.unwrap_err().is_not_found());
    world.me.remove_override(at, dora).await.unwrap();
    acting.run_plan(world.deployment.id, echo()).await.unwrap();
}

async fn lists_are_full_and_show_what_may_be_read(kind: Kind) {
    let world = World::without_worker(&Ground::new(kind).await).await;
    let project = world.deployment.project_id;
    let hidden = elsewhere(&world, "hidden").await;
    let second = world.me.create_deployment(hidden.group_id, NewDeployment::new("second").unwrap()).await.unwrap();
    let third = elsewhere(&world, "third").await;
    let (dora, acting) = world.user("dora", Role::User).await;
    world.me.set_override(OverrideAt::Group(hidden.group_id), dora, Grant::None).await.unwrap();
    world.me.set_override(OverrideAt::Deployment(second.id), dora, Grant::User).await.unwrap();
    for deployment in [&world.deployment, &hidden, &second, &third] {
        world.me.run_plan(deployment.id, echo()).await.unwrap();
    }
    let seen = [world.deployment.id, second.id, third.id];
    let two = PageRequest::first(2).unwrap();
    let filter = DeploymentFilter { project: Some(project), ..DeploymentFilter::default() };
    // Who reads is not for the asker to say.
    for reader in [None, Some(UserId::new())] {
        let first = acting.deployments(DeploymentFilter { reader, ..filter }, two).await.unwrap();
        let rest = acting.deployments(DeploymentFilter { reader, ..filter }, two.after(first.next)).await.unwrap();
        assert_eq!(first.items.len(), 2, "a page is full");
        let listed: Vec<_> = first.items.iter().chain(&rest.items).map(|deployment| deployment.id).collect();
        assert_eq!((listed, rest.next), (seen.to_vec(), None));
    }
    let runs = acting.runs(RunFilter { project: Some(project), ..RunFilter::default() }, PageRequest::default()).await.unwrap();
    assert_eq!(runs.items.iter().rev().map(|run| run.deployment_id).collect::<Vec<_>>(), seen);
    let queue = acting.queue(QueueOf::Project(project), PageRequest::default()).await.unwrap();
    assert_eq!(queue.items.iter().map(|queued| queued.run.deployment_id).collect::<Vec<_>>(), seen);
    let groups = acting.groups(project, PageRequest::default()).await.unwrap().items;
    assert_eq!(groups.iter().map(|group| group.id).collect::<Vec<_>>(), [world.deployment.group_id, third.group_id]);
    let of_group = DeploymentFilter { group: Some(hidden.group_id), ..DeploymentFilter::default() };
    assert!(acting.deployments(of_group, two).await.unwrap_err().is_not_found());
    assert!(acting.scopes(hidden.group_id, two).await.unwrap_err().is_not_found());
    assert!(acting.schedules(hidden.id, two).await.unwrap_err().is_not_found());
    assert!(acting.releases(hidden.id, two).await.unwrap_err().is_not_found());
    assert_eq!(acting.releases(second.id, two).await.unwrap().items, []);
    world.me.transfer_project(project, Some(dora)).await.unwrap();
    assert_eq!(acting.deployments(filter, PageRequest::default()).await.unwrap().items.len(), 4, "an owner sees all of it");
}

async fn the_feed_follows_the_overrides(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let other = elsewhere(&world, "other").await;
    let (dora, acting) = world.user("dora", Role::User).await;
    let (_, outsider) = account(&world, "outsider", false).await;
    world.me.set_override(OverrideAt::Group(other.group_id), dora, Grant::None).await.unwrap();
    let (mut feed, mut nothing) = (acting.follow_runs(None).await.unwrap(), outsider.follow_runs(None).await.unwrap());
    let start = async |deployment: &Deployment| world.me.run_plan(deployment.id, echo()).await.unwrap().id;
    let hidden = start(&other).await;
    world.end_of(hidden).await;
    let seen = start(&world.deployment).await;
    world.end_of(seen).await;
    let next = async |feed: &mut eyrie_core::platform::RunsStream| -> Option<RunId> {
        let next = tokio::time::timeout(Duration::from_secs(5), feed.next()).await.ok()?;
        Some(next.unwrap().event.run_id)
    };
    for _ in 0..5 {
        assert_eq!(next(&mut feed).await, Some(seen));
    }
    // The rights are looked at again within two seconds.
    world.me.set_override(OverrideAt::Deployment(other.id), dora, Grant::User).await.unwrap();
    world.me.set_override(OverrideAt::Deployment(world.deployment.id), dora, Grant::None).await.unwrap();
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let (hidden, seen) = (start(&world.deployment).await, start(&other).await);
    world.end_of(hidden).await;
    world.end_of(seen).await;
    for _ in 0..5 {
        assert_eq!(next(&mut feed).await, Some(seen));
    }
    let all = tokio::time::timeout(Duration::from_millis(500), nothing.next()).await;
    assert!(all.is_err(), "an outsider hears of nothing");
}

async fn a_token_sees_what_its_creator_sees(kind: Kind) {
    let world = World::without_worker(&Ground::new(kind).await).await;
    let other = elsewhere(&world, "other").await;
    let project = world.deployment.project_id;
    let (ada, _) = world.user("ada", Role::Admin).await;
    let of_project = token(&world, TokenKind::Service, TokenBinding::Project(project), Some(ada));
    let of_deployment = token(&world, TokenKind::Service, TokenBinding::Deployment(other.id), Some(ada));
    let filter = RunFilter { project: Some(project), ..RunFilter::default() };
    let (here, there) = (world.start(echo()).await, of_project.run_plan(other.id, echo()).await.unwrap().id);
    let listed = async || of_project.runs(filter, PageRequest::default()).await.unwrap().items.len();
    assert_eq!(listed().await, 2);
    world.me.set_override(OverrideAt::Group(other.group_id), ada, Grant::None).await.unwrap();
    assert_eq!(listed().await, 1);
    assert!(of_project.run(there).await.unwrap_err().is_not_found());
    assert!(of_deployment.run(there).await.unwrap_err().is_not_found());
    of_project.run(here).await.unwrap();
    world.me.set_override(OverrideAt::Deployment(other.id), ada, Grant::User).await.unwrap();
    of_deployment.run(there).await.unwrap();
    assert_eq!(of_deployment.run_plan(other.id, echo()).await.unwrap_err().kind(), ErrorKind::Denied, "lowered, it starts nothing");
    world.me.set_user_disabled(ada, true).await.unwrap();
    assert!(of_deployment.run(there).await.unwrap_err().is_not_found());
}
