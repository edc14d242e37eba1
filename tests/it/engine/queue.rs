//! The queue: the newest run of a kind takes the place of those that wait, limits hold over all workers, and anybody can read why a
//! run waits.

use std::time::Duration;

use eyrie_core::{
    Acting, ErrorKind,
    id::{RunId, TokenId},
    model::{
        DeploymentPatch, GroupPatch, Limited, MAX_RUNNING, Plan, Principal, ProjectPatch, QUEUE_POLICY, RunState, Settings, TokenBinding,
        TokenCapabilities, TokenKind, Wait,
    },
    name::Origin,
    store::{PageRequest, QueueOf, RunFilter},
};
use eyrie_tests::world::{Ground, Kind, World, deployment, quick};
use serde_json::{Value, json};

use super::on_every_store;

on_every_store! {
    only_the_newest_waits;
    a_limit_holds_over_two_workers;
    a_full_group_holds_up_no_other;
    a_place_in_words;
    settings_are_refused_by_name;
}

fn gate() -> Plan {
    Plan::builder().step("a", "gate", |s| s).build().unwrap()
}

fn setting(key: &str, value: impl Into<Value>) -> Settings {
    Settings::default().with(key, value).unwrap()
}

async fn limit_project(world: &World, most: impl Into<Value>) {
    let project = world.me.project(world.deployment.project_id).await.unwrap();
    let patch = ProjectPatch { settings: Some(setting(MAX_RUNNING, most)), ..ProjectPatch::default() };
    world.me.update_project(project.id, project.version, patch).await.unwrap();
}

async fn only_the_newest_waits(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let patch = DeploymentPatch { settings: Some(setting(QUEUE_POLICY, "coalesce_latest")), ..DeploymentPatch::default() };
    world.me.update_deployment(world.deployment.id, 1, patch).await.unwrap();
    let running = world.start(gate()).await;
    world.gate.wait_begun(1).await;
    let waiting = world.start(gate()).await;
    let mut stream = world.me.follow_run(waiting, 1).await.unwrap();
    let newest = world.start(gate()).await;
    let heard = async {
        let mut last = None;
        while let Some(event) = stream.next().await.unwrap() {
            last = Some(event);
        }
        last.unwrap()
    };
    let heard = tokio::time::timeout(Duration::from_secs(20), heard).await.expect("whoever follows hears of its end");
    assert!(heard.is_final());
    let view = world.me.run(waiting).await.unwrap();
    assert_eq!((view.run.state, view.run.message.clone()), (RunState::Cancelled, format!("superseded by run {newest}")));
    world.gate.permits.add_permits(2);
    for run in [running, newest] {
        assert_eq!(world.end_of(run).await.run.state, RunState::Succeeded);
    }
}

/// How many of the project's runs are being executed, as one look shows it.
async fn running(me: &Acting, world: &World) -> usize {
    let filter = RunFilter { project: Some(world.deployment.project_id), state: Some(RunState::Running), ..RunFilter::default() };
    me.runs(filter, PageRequest::default()).await.unwrap().items.len()
}

async fn a_limit_holds_over_two_workers(kind: Kind) {
    let ground = Ground::new(kind).await;
    let one = World::on(&ground, quick()).await;
    limit_project(&one, 2).await;
    let two = World::on(&ground.another().await, quick()).await;
    let mut runs = Vec::new();
    for number in 0..6 {
        let place = deployment(&one.me, &format!("d{number}")).await;
        for _ in 0..2 {
            runs.push(one.me.run_plan(place.id, gate()).await.unwrap().id);
        }
    }
    while running(&one.me, &one).await < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let full = Wait::Limit { of: Limited::Project(one.deployment.project_id), most: 2, under_way: 2 };
    let mut waits = Vec::new();
    for run in runs.iter().step_by(2) {
        waits.extend(one.me.queue_place(*run).await.unwrap().wait);
    }
    assert_eq!(waits, [full; 4], "two of the six that have their deployment's turn were let through");
    let (gates, eyries) = ([&one.gate, &two.gate], [&one, &two]);
    gates.iter().for_each(|gate| gate.permits.add_permits(runs.len()));
    let ended = async {
        for run in &runs {
            assert_eq!(one.end_of(*run).await.run.state, RunState::Succeeded);
        }
    };
    let watched = async {
        loop {
            for world in eyries {
                let held = running(&world.me, world).await;
                assert!(held <= 2, "{held} at once");
            }
            // A store in memory never waits: without a pause nobody else would have a turn.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        () = ended => {}
        () = watched => {}
    }
}

async fn a_full_group_holds_up_no_other(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let group = world.me.group(world.deployment.group_id).await.unwrap();
    let patch = |most: Value| GroupPatch { settings: Some(setting(MAX_RUNNING, most)), ..GroupPatch::default() };
    world.me.update_group(group.id, group.version, patch(json!(0))).await.unwrap();
    let held_back = world.start(gate()).await;
    let beside = eyrie_core::model::NewGroup::new("beside", "test").unwrap();
    let beside = world.me.create_group(group.project_id, beside).await.unwrap();
    let free = eyrie_core::model::NewDeployment::new("free").unwrap();
    let free = world.me.create_deployment(beside.id, free).await.unwrap();
    world.gate.permits.add_permits(2);
    let run = world.me.run_plan(free.id, gate()).await.unwrap().id;
    assert_eq!(world.end_of(run).await.run.state, RunState::Succeeded);
    let place = world.me.queue_place(held_back).await.unwrap();
    assert_eq!(place.to_string(), "first, waits because 0 runs of its group are under way, and 0 may be");
    world.me.update_group(group.id, group.version + 1, patch(Value::Null)).await.unwrap();
    assert_eq!(world.end_of(held_back).await.run.state, RunState::Succeeded);
}

async fn a_place_in_words(kind: Kind) {
    let ground = Ground::new(kind).await;
    let idle = World::without_worker(&ground).await;
    let runs = [idle.start(gate()).await, idle.start(gate()).await, idle.start(gate()).await];
    let words = async |me: &Acting, run: RunId| me.queue_place(run).await.unwrap().to_string();
    assert_eq!(words(&idle.me, runs[0]).await, "first, waits, and no worker is there");
    let world = World::on(&ground, quick()).await;
    world.gate.wait_begun(1).await;
    assert_eq!(words(&world.me, runs[0]).await, "under way");
    assert_eq!(words(&world.me, runs[2]).await, format!("third, behind run {}", runs[1]));
    // Whoever may see this run and no other is not told which one stands before it.
    let narrow = world.eyrie.acting_as(Principal::Token {
        id: TokenId::new(),
        kind: TokenKind::Service,
        binding: TokenBinding::Run(runs[2]),
        capabilities: TokenCapabilities::usual(),
        created_by: None,
        origin: Origin::new("test").unwrap(),
    });
    assert_eq!(words(&narrow, runs[2]).await, "third, behind another run");
    assert_eq!(narrow.queue_place(runs[1]).await.unwrap_err().kind(), ErrorKind::NotFound);
    let of = QueueOf::Deployment(world.deployment.id);
    assert_eq!(narrow.queue(of, PageRequest::default()).await.unwrap_err().kind(), ErrorKind::NotFound);
    let listed = world.me.queue(of, PageRequest::default()).await.unwrap().items;
    let listed: Vec<_> = listed.into_iter().map(|queued| (queued.run.id, queued.queue.to_string())).collect();
    let behind = |place: &str, run: RunId| format!("{place}, behind run {run}");
    let expected = [(runs[0], "under way".to_owned()), (runs[1], behind("second", runs[0])), (runs[2], behind("third", runs[1]))];
    assert_eq!(listed, expected);
    world.gate.permits.add_permits(3);
    world.end_of(runs[2]).await;
    assert_eq!(words(&world.me, runs[2]).await, "has ended");
    assert_eq!(world.me.queue(of, PageRequest::default()).await.unwrap().items, []);
}

async fn settings_are_refused_by_name(kind: Kind) {
    let world = World::without_worker(&Ground::new(kind).await).await;
    let limit = setting(MAX_RUNNING, 3);
    let patch = DeploymentPatch { settings: Some(limit.clone()), ..DeploymentPatch::default() };
    let refused = world.me.update_deployment(world.deployment.id, 1, patch).await.unwrap_err();
    assert_eq!(refused.invalid().unwrap().field(), "settings.max_running");
    let new = eyrie_core::model::NewScope { settings: limit, ..eyrie_core::model::NewScope::new("production").unwrap() };
    let refused = world.me.create_scope(world.deployment.group_id, new).await.unwrap_err();
    assert_eq!(refused.invalid().unwrap().field(), "settings.max_running");
    assert_eq!(world.me.deployment(world.deployment.id).await.unwrap().deployment.version, 1);
}
