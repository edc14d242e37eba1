//! What has ended is pruned while other runs go on, and nobody is left in the dark about it.

use std::{collections::BTreeSet, time::Duration};

use eyrie_core::{
    ErrorKind,
    engine::WorkerOptions,
    error::Pruned,
    id::{DeploymentId, RunId},
    model::{DeploymentPatch, EventCursor, Plan, ProjectPatch, RunState, Settings},
    platform::RunStream,
    store::LogBound,
};
use eyrie_tests::world::{Ground, Kind, World, deployment, quick};
use serde_json::json;

use super::on_every_store;

on_every_store! {
    nothing_active_is_lost;
    a_late_subscriber_hears_where_to_begin;
    a_subscriber_hears_that_the_run_is_gone;
    a_resumed_run_continues_its_numbers;
    the_feed_says_what_it_misses;
    the_policy_is_inherited;
    a_long_log_keeps_its_ends;
}

/// Prunes whatever ended a lease ago, all the time.
fn pruning() -> WorkerOptions {
    WorkerOptions { prune_every: Some(Duration::from_millis(20)), ..quick() }
}

/// Nothing is kept for long: no history, and no run but those that must be.
fn nothing() -> Settings {
    Settings::default()
        .with("run_delete_after_seconds", 0)
        .unwrap()
        .with("run_keep_newest", 0)
        .unwrap()
        .with("run_history_delete_after_seconds", 0)
        .unwrap()
}

/// Runs are kept, and their history is not.
fn no_history() -> Settings {
    Settings::default().with("run_history_delete_after_seconds", 0).unwrap()
}

async fn set(world: &World, id: DeploymentId, settings: Settings) {
    let version = world.me.deployment(id).await.unwrap().deployment.version;
    let patch = DeploymentPatch { settings: Some(settings), ..DeploymentPatch::default() };
    world.me.update_deployment(id, version, patch).await.unwrap();
}

fn chatty(lines: u32) -> Plan {
    Plan::builder().step("talk", "chatty", |s| s.parameters(json!(lines))).build().unwrap()
}

fn waiting() -> Plan {
    Plan::builder().step("before", "chatty", |s| s.parameters(json!(3))).step("wait", "gate", |s| s.needs(["before"])).build().unwrap()
}

/// Waits until the run's history is gone.
async fn trimmed(world: &World, run: RunId) -> u64 {
    let gone = async {
        loop {
            let mut stream = world.me.follow_run(run, 0).await.unwrap();
            match stream.next().await {
                Err(error) => return error.pruned().unwrap().first,
                Ok(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), gone).await.expect("the run is never trimmed")
}

async fn rest_of(stream: &mut RunStream) -> Vec<u64> {
    let mut seqs = Vec::new();
    while let Some(event) = stream.next().await.unwrap() {
        seqs.push(event.seq);
    }
    seqs
}

/// Runs end and are pruned to nothing, while another one waits, is followed, and has every event in the end. Whoever listens all the
/// time, to a run or to all, hears everything.
async fn nothing_active_is_lost(kind: Kind) {
    let options = WorkerOptions { lease: Duration::from_secs(3), ..pruning() };
    let world = World::on(&Ground::new(kind).await, options).await;
    let busy = deployment(&world.me, "busy").await.id;
    for id in [world.deployment.id, busy] {
        set(&world, id, nothing()).await;
    }
    let mut feed = world.me.follow_runs(Some(EventCursor::default())).await.unwrap();
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let listening = tokio::spawn(async move {
        loop {
            let event = feed.next().await.expect("the feed misses nothing").event;
            told.send((event.run_id, event.seq)).unwrap();
        }
    });
    let active = world.start(waiting()).await;
    world.gate.wait_begun(1).await;
    let mut follower = world.me.follow_run(active, 0).await.unwrap();

    let (mut runs, mut expected) = (Vec::new(), BTreeSet::new());
    for _ in 0..8 {
        let run = world.me.run_plan(busy, chatty(5)).await.unwrap().id;
        let seqs = rest_of(&mut world.me.follow_run(run, 0).await.unwrap()).await;
        assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>());
        expected.extend(seqs.into_iter().map(|seq| (run, seq)));
        runs.push(run);
    }
    let newest = runs.pop().unwrap();
    let forgotten = async {
        for run in runs {
            while world.me.run(run).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), forgotten).await.expect("the runs are never forgotten");
    assert_eq!(world.me.run(newest).await.unwrap().run.state, RunState::Succeeded, "the newest success stays");

    world.gate.permits.add_permits(1);
    let seqs = rest_of(&mut follower).await;
    let view = world.me.run(active).await.unwrap();
    assert_eq!((view.run.state, &seqs), (RunState::Succeeded, &(1..=view.run.last_seq).collect::<Vec<_>>()));
    expected.extend(seqs.into_iter().map(|seq| (active, seq)));
    let mut fed = BTreeSet::new();
    let all = async {
        while !fed.is_superset(&expected) {
            fed.insert(heard.recv().await.expect("the feed goes on"));
        }
    };
    tokio::time::timeout(Duration::from_secs(30), all).await.expect("the feed never had everything");
    listening.abort();
}

/// Whoever comes too late hears it once, and goes on with what is there, to the end.
async fn a_late_subscriber_hears_where_to_begin(kind: Kind) {
    let ground = Ground::new(kind).await;
    let world = World::on(&ground, pruning()).await;
    set(&world, world.deployment.id, no_history()).await;
    let view = world.run(chatty(4)).await;
    let (run, last) = (view.run.id, view.run.last_seq);
    assert_eq!(trimmed(&world, run).await, last);
    assert_eq!(world.me.run(run).await.unwrap(), view, "but for its history the run is as it was");
    let other = World::without_worker(&ground.another().await).await;
    for after in [0, 1, last - 2] {
        let mut stream = other.me.follow_run(run, after).await.unwrap();
        let error = stream.next().await.unwrap_err();
        assert_eq!(error.pruned(), Some(Pruned { first: last }), "{error}");
        assert_eq!(rest_of(&mut stream).await, [last]);
    }
    let mut stream = other.me.follow_run(run, last - 1).await.unwrap();
    assert_eq!(rest_of(&mut stream).await, [last], "who has seen what is gone hears nothing of it");
    let log = other.me.run_log(run, 0, 1 << 20).await.unwrap();
    assert!(log.chunks.is_empty() && log.text().contains("no longer kept"), "{}", log.text());
}

/// Its stream would never end: nothing more happens to the run, and its end cannot be read.
async fn a_subscriber_hears_that_the_run_is_gone(kind: Kind) {
    let ground = Ground::new(kind).await;
    let world = World::on(&ground, pruning()).await;
    set(&world, world.deployment.id, nothing()).await;
    let run = world.start(waiting()).await;
    world.gate.wait_begun(1).await;
    let other = World::without_worker(&ground.another().await).await;
    let mut stream = other.me.follow_run(run, 0).await.unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap().seq, 1);
    world.gate.permits.add_permits(1);
    world.end_of(run).await;
    world.run(chatty(1)).await;
    let gone = async {
        while world.me.run(run).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        loop {
            match stream.next().await {
                Err(error) if error.pruned().is_none() => return assert_eq!(error.kind(), ErrorKind::NotFound),
                // The end was still to be read: a database is swept later.
                Ok(None) => return,
                _ => {}
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), gone).await.expect("the stream never ends");
}

async fn a_resumed_run_continues_its_numbers(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, pruning()).await;
    set(&world, world.deployment.id, no_history()).await;
    let plan = Plan::builder().step("a", "ledger", |s| s.parameters(json!({ "broken": true }))).build().unwrap();
    let failed = world.run(plan).await;
    let (run, last) = (failed.run.id, failed.run.last_seq);
    assert_eq!((failed.run.state, trimmed(&world, run).await), (RunState::Failed, last));
    world.ledger.mended.store(true, std::sync::atomic::Ordering::SeqCst);
    let mut stream = world.me.follow_run(run, last).await.unwrap();
    world.me.resume_run(run, "once more").await.unwrap();
    let mut seqs = Vec::new();
    while let Some(event) = stream.next().await.unwrap() {
        seqs.push(event.seq);
        if event.is_final() {
            break;
        }
    }
    let view = world.me.run(run).await.unwrap();
    assert_eq!((view.run.state, seqs), (RunState::Succeeded, (last + 1..=view.run.last_seq).collect::<Vec<_>>()));
}

async fn the_feed_says_what_it_misses(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, pruning()).await;
    let run = world.run(chatty(3)).await.run;
    let mut feed = world.me.follow_runs(Some(EventCursor::default())).await.unwrap();
    let first = feed.next().await.unwrap();
    assert_eq!(first.event.seq, 1);
    set(&world, world.deployment.id, no_history()).await;
    trimmed(&world, run.id).await;
    let mut late = world.me.follow_runs(Some(first.cursor)).await.unwrap();
    assert!(late.next().await.unwrap_err().pruned().is_some());
    let item = late.next().await.unwrap();
    assert_eq!((item.event.run_id, item.event.seq), (run.id, run.last_seq), "what is there follows");
    // Whoever has seen all that is gone hears nothing of it.
    let mut seen = world.me.follow_runs(Some(item.cursor)).await.unwrap();
    let next = world.start(chatty(1)).await;
    assert_eq!(seen.next().await.unwrap().event.run_id, next);
}

/// What a project says holds for its deployments, but for the one that says otherwise.
async fn the_policy_is_inherited(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, pruning()).await;
    let keeps = deployment(&world.me, "keeps").await.id;
    set(&world, keeps, Settings::default().with("run_history_delete_after_seconds", serde_json::Value::Null).unwrap()).await;
    let project = world.me.project(world.deployment.project_id).await.unwrap();
    let patch = ProjectPatch { settings: Some(no_history()), ..ProjectPatch::default() };
    world.me.update_project(project.id, project.version, patch).await.unwrap();
    let kept = world.me.run_plan(keeps, chatty(2)).await.unwrap().id;
    let kept = world.end_of(kept).await.run;
    let run = world.run(chatty(2)).await.run.id;
    trimmed(&world, run).await;
    assert_eq!(world.events_of(kept.id).await.len() as u64, kept.last_seq);
}

async fn a_long_log_keeps_its_ends(kind: Kind) {
    let options = WorkerOptions { max_log: LogBound::new(LogBound::MIN).unwrap(), ..quick() };
    let world = World::on(&Ground::new(kind).await, options).await;
    let run = world.run(chatty(60_000)).await.run.id;
    let (mut text, mut from) = (String::new(), 0);
    loop {
        let piece = world.me.run_log(run, from, 1 << 20).await.unwrap();
        if piece.end == from {
            break;
        }
        text.push_str(&piece.text());
        from = piece.end;
    }
    assert_eq!(from, (1..=60_000).map(|n| format!("line {n}\n").len() as u64).sum::<u64>(), "offsets are what was written");
    assert!(text.len() as u64 <= LogBound::MIN + 100, "{} bytes", text.len());
    assert!(text.starts_with("line 1\nline 2\n") && text.ends_with("line 59999\nline 60000\n"));
    assert_eq!(text.matches("bytes of the log are no longer kept]\n").count(), 1);
}
