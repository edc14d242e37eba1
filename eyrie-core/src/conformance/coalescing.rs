//! Coalescing: the newest run of a kind takes the place of those that wait and have never begun.

use std::time::Duration;

use serde_json::{Value, json};

use super::fixtures::{
    Held, advance, at, audit, cancel, chain, claimed, deployment, enqueue, failed, held_in, kept_group, kept_project, keyed, now, queued,
    queued_as, record, resume, scope, settle, steps, succeeded, success, worker,
};
use crate::{
    clock::later,
    id::RunId,
    model::{Deployment, Plan, QUEUE_POLICY, QueuePolicy, Role, RunEventBody, RunKind, RunState, Settings},
    store::{End, Enqueued, Fence, Settlement, Store},
};

fn policy(value: impl Into<Value>) -> Settings {
    Settings::default().with(QUEUE_POLICY, value).unwrap()
}

/// A deployment whose own settings say that its runs coalesce.
async fn coalescing(store: &dyn Store, slug: &str) -> Deployment {
    let group = kept_group(store, &kept_project(store, slug).await, "web").await;
    let made = Deployment { settings: policy("coalesce_latest"), ..deployment(&group, slug) };
    store.create_deployment(&made, &audit("deployment.create")).await.unwrap();
    made
}

async fn asked(store: &dyn Store, deployment: &Deployment, kind: RunKind) -> Enqueued {
    store.enqueue(&[enqueue(deployment, kind, &chain(&["a"]))]).await.unwrap().remove(0).unwrap()
}

async fn state(store: &dyn Store, run: RunId) -> (RunState, String) {
    let run = store.run(run).await.unwrap();
    (run.state, run.message.clone())
}

fn superseded(by: RunId) -> (RunState, String) {
    (RunState::Cancelled, format!("superseded by run {by}"))
}

fn waits() -> (RunState, String) {
    (RunState::Queued, String::new())
}

/// What waits is cancelled by the next of its kind, with its steps and events; the turn goes to who is next.
pub async fn the_newest_takes_the_place(store: &dyn Store) {
    let shop = coalescing(store, "shop").await;
    let first = asked(store, &shop, RunKind::Deploy).await;
    let backup = asked(store, &shop, RunKind::Backup).await;
    assert!(first.run.ready && !backup.run.ready && first.superseded.is_empty() && backup.superseded.is_empty());
    let last = asked(store, &shop, RunKind::Deploy).await;
    assert_eq!(last.run, store.run(last.run.id).await.unwrap());
    assert_eq!(state(store, first.run.id).await, superseded(last.run.id));
    assert_eq!(steps(store, first.run.id).await, ["a skipped 0"]);
    let ended = store.run(first.run.id).await.unwrap();
    assert!(ended.finished_at.is_some() && ended.started_at.is_none() && !ended.ready);
    let told: Vec<_> = last.superseded.iter().map(|event| (**event).clone()).collect();
    assert_eq!(told, store.run_events(first.run.id, 1, 10).await.unwrap(), "subscribers are told what is kept");
    let end = RunEventBody::Run { state: RunState::Cancelled, message: format!("superseded by run {}", last.run.id) };
    assert_eq!(told.last().map(|event| &event.body), Some(&end));
    assert_eq!(state(store, backup.run.id).await, waits(), "another kind stays");
    assert!(store.run(backup.run.id).await.unwrap().ready, "the turn goes on");
    assert!(!last.run.ready);
    let worker = worker(store).await;
    assert_eq!(claimed(store, worker).await.run.id, backup.run.id);
    assert!(store.claim(worker, 10).await.unwrap().is_empty());
}

/// Of several that are queued together the last one stays, and each answer says how its run is afterwards.
pub async fn in_one_batch(store: &dyn Store) {
    let shop = coalescing(store, "shop").await;
    let waiting = asked(store, &shop, RunKind::Deploy).await.run.id;
    let plan = chain(&["a"]);
    let batch = [RunKind::Deploy, RunKind::Stop, RunKind::Deploy].map(|kind| enqueue(&shop, kind, &plan));
    let ids: Vec<_> = batch.iter().map(|one| one.run.id).collect();
    let answers: Vec<_> = store.enqueue(&batch).await.unwrap().into_iter().map(Result::unwrap).collect();
    for answer in &answers {
        assert!(answer.is_new);
        assert_eq!(answer.run, store.run(answer.run.id).await.unwrap());
    }
    assert_eq!([state(store, waiting).await, state(store, ids[0]).await], [superseded(ids[2]), superseded(ids[2])]);
    assert_eq!([state(store, ids[1]).await, state(store, ids[2]).await], [waits(), waits()]);
    let mut told: Vec<_> = answers[2].superseded.iter().map(|event| event.run_id).collect();
    told.sort_unstable();
    told.dedup();
    assert_eq!(told, [waiting, ids[0]]);
    assert!(answers[0].superseded.is_empty() && answers[1].superseded.is_empty());
    assert_eq!([answers[1].run.ready, answers[2].run.ready].iter().filter(|ready| **ready).count(), 1, "one has the turn");
}

/// What is being executed, waits for an approval, was set aside, or was resumed, stays.
pub async fn what_has_begun_stays(store: &dyn Store) {
    let shop = coalescing(store, "shop").await;
    let running = held_in(store, &shop, RunKind::Deploy, &chain(&["a"])).await;
    let one = queued(store, &shop, &chain(&["a"])).await.id;
    let two = queued(store, &shop, &chain(&["a"])).await.id;
    assert_eq!(running.now(store).await, running.run, "it is not touched");
    assert_eq!(state(store, one).await, superseded(two));
    running.change(store, advance([settle(0, 1, Settlement::Failed)], [], failed("no"))).await.unwrap();
    record(store, resume(running.run.id, "again")).await.unwrap();
    let three = queued(store, &shop, &chain(&["a"])).await.id;
    assert_eq!(state(store, two).await, superseded(three), "it had the turn, but had not begun");
    assert_eq!(running.now(store).await.state, RunState::Queued, "it was resumed");
    let again = claimed(store, running.fence.worker).await;
    assert_eq!(again.run.id, running.run.id);
    let held = Held { fence: Fence { epoch: 2, ..running.fence }, ..running };
    held.change(store, advance([], [], Some(End::Park { message: "decide".to_owned() }))).await.unwrap();
    let four = queued(store, &shop, &chain(&["a"])).await.id;
    assert_eq!(held.now(store).await.state, RunState::Parked);
    record(store, cancel(held.run.id, "no")).await.unwrap();

    assert_eq!(claimed(store, held.fence.worker).await.run.id, four);
    let last = Held { run: store.run(four).await.unwrap(), fence: Fence { epoch: 1, ..held.fence }, ..held };
    last.change(store, advance([success(0)], [], succeeded())).await.unwrap();
    let sign_off = Plan::builder().approval("a", Role::Developer, |step| step).build().unwrap();
    let waiting = held_in(store, &shop, RunKind::Deploy, &sign_off).await;
    waiting.change(store, advance([], [], Some(End::Wait { message: "say".to_owned() }))).await.unwrap();
    queued(store, &shop, &chain(&["a"])).await;
    assert_eq!(waiting.now(store).await.state, RunState::Waiting);
}

/// The nearest level that says anything counts; where none does, what the run brings along.
pub async fn the_nearest_level_counts(store: &dyn Store) {
    let with = |settings: &Option<Value>| settings.clone().map_or_else(Settings::default, policy);
    let latest = || Some(json!("coalesce_latest"));
    for (number, (project, group, of_scope, own, default, coalesces)) in [
        (None, None, None, None, QueuePolicy::Serial, false),
        (None, None, None, None, QueuePolicy::CoalesceLatest, true),
        (latest(), None, None, None, QueuePolicy::Serial, true),
        (latest(), Some(Value::Null), None, None, QueuePolicy::CoalesceLatest, false),
        (latest(), Some(json!("serial")), latest(), None, QueuePolicy::Serial, true),
        (None, latest(), latest(), Some(json!("serial")), QueuePolicy::Serial, false),
        (None, None, Some(json!("serial")), latest(), QueuePolicy::Serial, true),
    ]
    .into_iter()
    .enumerate()
    {
        let slug = format!("p{number}");
        let made = crate::model::Project { settings: with(&project), ..super::fixtures::project(&slug) };
        store.create_project(&made, &audit("project.create")).await.unwrap();
        let of_project = crate::model::DeploymentGroup { settings: with(&group), ..super::fixtures::group(&made, "web") };
        store.create_group(&of_project, &audit("group.create")).await.unwrap();
        let production = crate::model::Scope { settings: with(&of_scope), ..scope(&of_project, "production") };
        store.create_scope(&production, &audit("scope.create")).await.unwrap();
        let shop = Deployment { settings: with(&own), scope_id: Some(production.id), ..deployment(&of_project, "shop") };
        store.create_deployment(&shop, &audit("deployment.create")).await.unwrap();
        let request = || crate::store::Enqueue { default_policy: default, ..enqueue(&shop, RunKind::Deploy, &chain(&["a"])) };
        let first = store.enqueue(&[request()]).await.unwrap().remove(0).unwrap();
        store.enqueue(&[request()]).await.unwrap().remove(0).unwrap();
        let is_superseded = store.run(first.run.id).await.unwrap().state == RunState::Cancelled;
        assert_eq!(is_superseded, coalesces, "case {number}");
    }
}

/// A changed setting counts from the next run on.
pub async fn a_changed_setting_counts(store: &dyn Store) {
    let shop = coalescing(store, "shop").await;
    let serial = Deployment { settings: Settings::default(), ..shop.clone() };
    store.update_deployment(&serial, &audit("deployment.update")).await.unwrap();
    let runs = [queued(store, &shop, &chain(&["a"])).await.id, queued(store, &shop, &chain(&["a"])).await.id];
    assert_eq!(state(store, runs[0]).await, waits());
    store.update_deployment(&Deployment { version: 2, ..shop.clone() }, &audit("deployment.update")).await.unwrap();
    let last = queued_as(store, &shop, RunKind::Deploy, &chain(&["a"])).await.id;
    for run in runs {
        assert_eq!(state(store, run).await, superseded(last), "all that wait make way");
    }
}

/// A repeated key answers with its run, also when that was superseded, and supersedes nothing.
pub async fn repeated_keys(store: &dyn Store) {
    let shop = coalescing(store, "shop").await;
    let plan = chain(&["a"]);
    let request = || keyed(enqueue(&shop, RunKind::Deploy, &plan), "key", 1);
    let first = store.enqueue(&[request()]).await.unwrap().remove(0).unwrap().run.id;
    let newest = queued(store, &shop, &plan).await.id;
    let again = store.enqueue(&[request()]).await.unwrap().remove(0).unwrap();
    assert_eq!((again.run.id, again.run.state, again.is_new), (first, RunState::Cancelled, false));
    assert_eq!(state(store, newest).await, waits());
    let both = store.enqueue(&[request(), enqueue(&shop, RunKind::Deploy, &plan)]).await.unwrap();
    let both: Vec<_> = both.into_iter().map(|answer| answer.unwrap().run.id).collect();
    assert_eq!((both[0], state(store, newest).await), (first, superseded(both[1])));
    // Taking its place is no end that could be undone or resumed.
    assert!(record(store, resume(first, "no")).await.is_err());
    assert_eq!(store.steps(first).await.unwrap()[0].index, at(0));
}

/// A run whose time has not come takes no place, and keeps its own until it stands in the queue.
pub async fn a_time_to_wait_for(store: &dyn Store) {
    let shop = coalescing(store, "shop").await;
    let first = asked(store, &shop, RunKind::Deploy).await.run.id;
    let mut early = enqueue(&shop, RunKind::Deploy, &chain(&["a"]));
    early.run.row_mut().not_before = Some(later(now(), Duration::from_millis(300)));
    let told = store.enqueue(std::slice::from_ref(&early)).await.unwrap().remove(0).unwrap();
    assert!(told.superseded.is_empty() && told.run.deferred);
    assert_eq!(state(store, first).await, waits());
    let next = asked(store, &shop, RunKind::Deploy).await.run.id;
    assert_eq!([state(store, first).await, state(store, early.run.id).await], [superseded(next), waits()]);
    tokio::time::sleep(Duration::from_millis(350)).await;
    let worker = worker(store).await;
    assert_eq!(claimed(store, worker).await.run.id, next, "a claim lets the other in, behind it");
    let last = asked(store, &shop, RunKind::Deploy).await.run.id;
    assert_eq!(state(store, early.run.id).await, superseded(last));
}
