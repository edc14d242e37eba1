//! The queue: runs come in, and are given to workers.

use super::fixtures::{
    Held, advance, audited, cancel, chain, claimed, deployment, enqueue, failed, held_in, kept_deployment, kept_group, kept_project, keyed,
    place, queued, queued_as, record, resume, steps, succeeded, success, wide, worker,
};
use crate::{
    error::{Error, ErrorKind},
    id::{DeploymentId, RunId, WorkerId},
    model::{Deployment, Plan, PlanHash, RunEventBody, RunKind, RunRow, RunState, StepState},
    store::{Change, End, Fence, PageRequest, Poll, RunFilter, Store},
};

/// Some deployments of one group.
async fn places(store: &dyn Store, slugs: &[&str]) -> Vec<Deployment> {
    let group = kept_group(store, &kept_project(store, "project").await, "web").await;
    let mut all = Vec::new();
    for slug in slugs {
        all.push(kept_deployment(store, &group, slug).await);
    }
    all
}

/// A queued run is read back as it was handed over, with its steps, its plan and its first event.
pub async fn kept_and_found(store: &dyn Store) {
    let shop = place(store, "shop").await;
    let plan = wide(&["a", "b"]);
    let given = enqueue(&shop, RunKind::Restore, &plan);
    let answers = store.enqueue(std::slice::from_ref(&given)).await.unwrap();
    let enqueued = answers.into_iter().next().unwrap().unwrap();
    let run = store.run(given.run.id).await.unwrap();
    assert!(enqueued.is_new);
    assert_eq!(run, enqueued.run);
    assert_eq!(*run.row(), RunRow { ready: true, last_seq: 1, queued_at: run.queued_at, ..given.run.row().clone() });
    assert_eq!(store.steps(run.id).await.unwrap(), given.steps);
    assert_eq!(store.plan(run.plan_hash).await.unwrap(), plan);
    let events = store.run_events(run.id, 0, 10).await.unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].seq, events[0].epoch, events[0].at, events[0].project_id), (1, 0, run.queued_at, shop.project_id));
    assert_eq!(events[0].body, RunEventBody::Run { state: RunState::Queued, message: String::new() });
    assert_eq!(audited(store, &given.audit).await, [given.audit.clone()]);
}

/// What was never queued is not found.
pub async fn unknown_is_not_found(store: &dyn Store) {
    assert!(store.run(RunId::new()).await.unwrap_err().is_not_found());
    assert!(store.steps(RunId::new()).await.unwrap_err().is_not_found());
    assert!(store.plan(PlanHash::from_bytes([9; 32])).await.unwrap_err().is_not_found());
    let shop = place(store, "shop").await;
    let astray = enqueue(&Deployment { id: DeploymentId::new(), ..shop }, RunKind::Deploy, &chain(&["a"]));
    let answer = store.enqueue(std::slice::from_ref(&astray)).await.and_then(|mut answers| answers.remove(0));
    assert_eq!(answer.map(|enqueued| enqueued.run.id).map_err(|error: Error| error.kind()), Err(ErrorKind::NotFound));
    assert!(store.run(astray.run.id).await.unwrap_err().is_not_found());
    assert_eq!(audited(store, &astray.audit).await, []);
}

/// A key makes one run; the same key with other content is refused, and what stands beside it is queued all the same.
pub async fn request_keys(store: &dyn Store) {
    let all = places(store, &["shop", "blog"]).await;
    let plan = chain(&["a"]);
    let make = |place: usize, key, content| keyed(enqueue(&all[place], RunKind::Deploy, &plan), key, content);
    let first = make(0, "k1", 1);
    let answers = store.enqueue(std::slice::from_ref(&first)).await.unwrap();
    assert!(answers[0].as_ref().unwrap().is_new);

    let batch = [make(0, "k1", 1), make(1, "k1", 2), make(1, "k2", 1), make(1, "k2", 1), enqueue(&all[1], RunKind::Deploy, &plan)];
    let answers = store.enqueue(&batch).await.unwrap();
    let told: Vec<_> = answers.iter().map(|answer| answer.as_ref().map(|done| (done.run.id, done.is_new)).map_err(Error::kind)).collect();
    let expected = [
        Ok((first.run.id, false)),
        Err(ErrorKind::Conflict),
        Ok((batch[2].run.id, true)),
        Ok((batch[2].run.id, false)),
        Ok((batch[4].run.id, true)),
    ];
    assert_eq!(told, expected);
    for lost in [&batch[0], &batch[1], &batch[3]] {
        assert!(store.run(lost.run.id).await.unwrap_err().is_not_found());
    }
    record(store, cancel(first.run.id, "no")).await.unwrap();
    let late = store.enqueue(&[make(0, "k1", 1)]).await.unwrap();
    let late = late[0].as_ref().unwrap();
    assert_eq!(
        (late.run.id, late.run.state, late.is_new),
        (first.run.id, RunState::Cancelled, false),
        "a key stands for its run as it is now"
    );
}

/// Of the same request made several times at once, one makes a run.
pub async fn request_keys_in_a_race(store: &dyn Store) {
    let shop = place(store, "shop").await;
    let plan = chain(&["a"]);
    let requests: Vec<_> = (0..8).map(|_| [keyed(enqueue(&shop, RunKind::Deploy, &plan), "key", 1)]).collect();
    let answers = futures_util::future::join_all(requests.iter().map(|request| store.enqueue(request))).await;
    let done: Vec<_> = answers.into_iter().map(|answer| answer.unwrap().remove(0).unwrap()).collect();
    assert_eq!(done.iter().filter(|done| done.is_new).count(), 1);
    assert!(done.iter().all(|one| one.run.id == done[0].run.id));
    assert_eq!(store.runs(RunFilter::default(), PageRequest::default()).await.unwrap().items.len(), 1);
}

/// Plans of the same hash are kept once and found from every run that has it.
pub async fn equal_plans_are_shared(store: &dyn Store) {
    let all = places(store, &["shop", "blog"]).await;
    let plan: Plan = chain(&["a", "b"]);
    let (one, two) = (queued(store, &all[0], &plan).await, queued(store, &all[1], &plan).await);
    assert_eq!(one.plan_hash, two.plan_hash);
    assert_eq!(store.plan(one.plan_hash).await.unwrap(), plan);
}

/// Runs are listed newest first, in pages; the filter's fields must all fit.
pub async fn listed(store: &dyn Store) {
    let group = kept_group(store, &kept_project(store, "project").await, "web").await;
    let service = super::fixtures::service(&store.project(group.project_id).await.unwrap(), "shop");
    store.create_service(&service, &super::fixtures::audit("service.create")).await.unwrap();
    let shop = Deployment { service_id: Some(service.id), ..deployment(&group, "shop") };
    store.create_deployment(&shop, &super::fixtures::audit("deployment.create")).await.unwrap();
    let elsewhere = place(store, "elsewhere").await;
    let mut runs = Vec::new();
    for deployment in [&shop, &elsewhere, &shop] {
        runs.insert(0, queued(store, deployment, &chain(&["a"])).await.id);
    }
    record(store, cancel(runs[0], "no")).await.unwrap();
    let any = RunFilter::default();
    for (filter, expected) in [
        (any, vec![0, 1, 2]),
        (RunFilter { project: Some(elsewhere.project_id), ..any }, vec![1]),
        (RunFilter { deployment: Some(shop.id), ..any }, vec![0, 2]),
        (RunFilter { service: Some(service.id), ..any }, vec![0, 2]),
        (RunFilter { state: Some(RunState::Queued), ..any }, vec![1, 2]),
        (RunFilter { service: Some(service.id), state: Some(RunState::Cancelled), ..any }, vec![0]),
        (RunFilter { service: Some(service.id), project: Some(elsewhere.project_id), ..any }, vec![]),
    ] {
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let page = store.runs(filter, PageRequest::first(1).unwrap().after(cursor)).await.unwrap();
            seen.extend(page.items.iter().map(|run| run.id));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, expected.into_iter().map(|place: usize| runs[place]).collect::<Vec<_>>(), "{filter:?}");
    }
}

/// A first claim gives a later epoch and the holder, and the run's first steps are running.
pub async fn claim_starts_the_run(store: &dyn Store) {
    let shop = place(store, "shop").await;
    let plan = Plan::builder()
        .step("a", "x", |step| step.timeout_seconds(60))
        .step("b", "x", |step| step)
        .step("c", "x", |step| step)
        .step("d", "x", |step| step.needs(["a"]))
        .max_parallel(2)
        .build()
        .unwrap();
    let run = queued(store, &shop, &plan).await;
    let worker = worker(store).await;
    let claim = claimed(store, worker).await;
    assert_eq!(claim.run, store.run(run.id).await.unwrap());
    assert_eq!((claim.run.state, claim.run.worker_id, claim.run.epoch, claim.run.ready), (RunState::Running, Some(worker), 1, false));
    assert!(claim.run.started_at.is_some());
    assert!(!claim.taken_over);
    assert_eq!(claim.steps, store.steps(run.id).await.unwrap());
    assert_eq!(steps(store, run.id).await, ["a running 1", "b running 1", "c pending 0", "d pending 0"]);
    let limits: Vec<_> = claim.steps.iter().map(|step| Some(step.deadline_at?.duration_since(step.started_at?).as_secs())).collect();
    assert_eq!(limits, [Some(60), None, None, None]);
    assert_eq!(claim.events, store.run_events(run.id, 1, 10).await.unwrap());
    assert_eq!(claim.events.iter().map(|event| (event.seq, event.epoch)).collect::<Vec<_>>(), [(2, 1), (3, 1), (4, 1)]);
    assert_eq!(claim.events[0].body, RunEventBody::Run { state: RunState::Running, message: String::new() });
    assert!(
        matches!(&claim.events[2].body, RunEventBody::Step { name, state: StepState::Running, attempt: 1, .. } if name.as_str() == "b")
    );
    assert_eq!(store.claim(worker, 10).await.unwrap().len(), 0, "a held run is not given again");
}

/// Queued runs are given oldest first, at most as many as asked for.
pub async fn claim_order_and_limit(store: &dyn Store) {
    let all = places(store, &["z", "y", "x", "w"]).await;
    let mut runs = Vec::new();
    for place in &all {
        runs.push(queued(store, place, &chain(&["a"])).await.id);
    }
    let worker = worker(store).await;
    assert_eq!(store.claim(worker, 0).await.unwrap().len(), 0);
    let ids = |claims: Vec<crate::store::Claim>| claims.into_iter().map(|claim| claim.run.id).collect::<Vec<_>>();
    assert_eq!(ids(store.claim(worker, 3).await.unwrap()), runs[..3]);
    assert_eq!(ids(store.claim(worker, 3).await.unwrap()), runs[3..]);
}

/// A project with a long queue keeps another one's first run from no place that becomes free.
pub async fn fair_between_projects(store: &dyn Store) {
    let mut runs = Vec::new();
    for (slug, count) in [("large", 9), ("small", 2)] {
        let group = kept_group(store, &kept_project(store, slug).await, "web").await;
        let mut of_project = Vec::new();
        for number in 0..count {
            let place = kept_deployment(store, &group, &format!("d{number}")).await;
            of_project.push(queued(store, &place, &chain(&["a"])).await.id);
        }
        runs.push(of_project);
    }
    let (large, small) = (&runs[0], &runs[1]);
    let worker = worker(store).await;
    let claim = async |limit| -> Vec<RunId> { store.claim(worker, limit).await.unwrap().into_iter().map(|claim| claim.run.id).collect() };
    // Nobody has any under way: who waits longer goes first, and then the other.
    assert_eq!(claim(1).await, [large[0]]);
    assert_eq!(claim(1).await, [small[0]]);
    // Evenly, the oldest of each, in the order of their queueing; what one leaves goes to the other.
    assert_eq!(claim(3).await, [large[1], large[2], small[1]]);
    assert_eq!(claim(10).await, large[3..]);
    assert!(claim(10).await.is_empty());
}

/// What was left by its holder is given before what is queued, however old that is.
pub async fn abandoned_runs_come_first(store: &dyn Store) {
    let all = places(store, &["a", "b"]).await;
    let held = held_in(store, &all[0], RunKind::Deploy, &chain(&["s"])).await;
    let waiting = queued(store, &all[1], &chain(&["s"])).await;
    store.retire_worker(held.fence.worker).await.unwrap();
    let next = worker(store).await;
    assert_eq!(claimed(store, next).await.run.id, held.run.id);
    assert_eq!(claimed(store, next).await.run.id, waiting.id);
}

/// One run of a deployment is held at a time; the next one's turn comes when the one before has ended, however it ended.
pub async fn serial_per_deployment(store: &dyn Store) {
    let shop = place(store, "shop").await;
    let plan = chain(&["a"]);
    let mut runs = Vec::new();
    for _ in 0..5 {
        runs.push(queued(store, &shop, &plan).await);
    }
    assert_eq!(runs.iter().map(|run| run.ready).collect::<Vec<_>>(), [true, false, false, false, false]);
    let worker = worker(store).await;
    for (place, run) in runs.iter().enumerate() {
        let claims = store.claim(worker, 10).await.unwrap();
        assert_eq!(claims.iter().map(|claim| claim.run.id).collect::<Vec<_>>(), [run.id]);
        assert!(!store.poll(worker).await.unwrap().claimable);
        let held = Held { deployment: shop.clone(), fence: Fence { worker, epoch: 1 }, run: claims[0].run.clone() };
        let end = match place {
            0 => advance([success(0)], [], succeeded()),
            1 => advance([super::fixtures::settle(0, 1, crate::store::Settlement::Failed)], [], failed("no")),
            2 => {
                record(store, cancel(run.id, "no")).await.unwrap();
                advance(
                    [super::fixtures::settle(0, 1, crate::store::Settlement::Cancelled)],
                    [],
                    Some(End::Cancel { message: String::new() }),
                )
            }
            _ => advance([success(0)], [], succeeded()),
        };
        held.change(store, end).await.unwrap();
        if let Some(next) = runs.get(place + 1) {
            assert!(store.run(next.id).await.unwrap().ready, "the end of run {place} gives the turn to the next");
        }
    }
}

/// A cancel in the queue passes the turn on only when it was that run's turn.
pub async fn cancel_in_the_queue(store: &dyn Store) {
    let shop = place(store, "shop").await;
    let plan = chain(&["a"]);
    let (one, two, three, four) = (
        queued(store, &shop, &plan).await.id,
        queued(store, &shop, &plan).await.id,
        queued(store, &shop, &plan).await.id,
        queued(store, &shop, &plan).await.id,
    );
    let ready = async || {
        let mut ready = Vec::new();
        for id in [one, two, three, four] {
            ready.push(store.run(id).await.unwrap().ready);
        }
        ready
    };
    record(store, cancel(two, "no")).await.unwrap();
    assert_eq!(ready().await, [true, false, false, false]);
    record(store, cancel(one, "no")).await.unwrap();
    assert_eq!(ready().await, [false, false, true, false]);
    let worker = worker(store).await;
    assert_eq!(claimed(store, worker).await.run.id, three);
    record(store, cancel(four, "no")).await.unwrap();
    assert_eq!(ready().await, [false; 4]);
    assert_eq!(steps(store, four).await, ["a skipped 0"]);
    let late = queued(store, &shop, &plan).await;
    assert!(!late.ready, "a run is held");
}

/// A parked run keeps its place: the next one waits until it has ended.
pub async fn parked_runs_keep_their_turn(store: &dyn Store) {
    let shop = place(store, "shop").await;
    let plan = chain(&["a"]);
    let held = held_in(store, &shop, RunKind::Deploy, &plan).await;
    let next = queued(store, &shop, &plan).await;
    held.change(store, advance([], [], Some(End::Park { message: "decide".to_owned() }))).await.unwrap();
    assert!(!store.run(next.id).await.unwrap().ready);
    assert_eq!(store.claim(held.fence.worker, 10).await.unwrap().len(), 0);
    record(store, resume(held.run.id, "go on")).await.unwrap();
    assert_eq!(claimed(store, held.fence.worker).await.run.id, held.run.id);
    let again = Held { fence: Fence { epoch: 2, ..held.fence }, ..held.clone() };
    again.change(store, advance([], [], Some(End::Park { message: "decide".to_owned() }))).await.unwrap();
    record(store, cancel(held.run.id, "no")).await.unwrap();
    assert_eq!(claimed(store, held.fence.worker).await.run.id, next.id);
}

/// A poll tells what there is to do, and changes nothing.
pub async fn poll(store: &dyn Store) {
    let all = places(store, &["shop", "blog"]).await;
    let (one, two) = (worker(store).await, worker(store).await);
    assert_eq!(store.poll(one).await.unwrap(), Poll::default());
    let run = queued(store, &all[0], &chain(&["a"])).await;
    assert_eq!(store.poll(one).await.unwrap(), Poll { claimable: true, ..Poll::default() });
    assert_eq!(store.run(run.id).await.unwrap(), run);
    claimed(store, one).await;
    assert_eq!(store.poll(two).await.unwrap(), Poll::default());
    record(store, cancel(run.id, "no")).await.unwrap();
    assert_eq!(store.poll(one).await.unwrap(), Poll { cancelling: vec![run.id], ..Poll::default() });
    assert_eq!(store.poll(two).await.unwrap(), Poll::default(), "only the holder is told");
    store.retire_worker(one).await.unwrap();
    assert_eq!(store.poll(two).await.unwrap(), Poll { claimable: true, ..Poll::default() });
    claimed(store, two).await;
    assert_eq!(store.poll(two).await.unwrap(), Poll { cancelling: vec![run.id], ..Poll::default() });
}

/// Only a worker with a lease is given anything.
pub async fn claim_needs_a_lease(store: &dyn Store) {
    let shop = place(store, "shop").await;
    let run = queued_as(store, &shop, RunKind::Probe, &chain(&["a"])).await;
    assert!(store.claim(WorkerId::new(), 1).await.unwrap_err().is_not_found());
    let retired = worker(store).await;
    store.retire_worker(retired).await.unwrap();
    assert!(store.claim(retired, 1).await.unwrap_err().is_not_found());
    assert_eq!(store.run(run.id).await.unwrap(), run);
}

/// Of several workers that claim at once, one gets the run.
pub async fn claims_in_a_race(store: &dyn Store) {
    let all = places(store, &["a", "b", "c"]).await;
    for place in &all {
        queued(store, place, &chain(&["s"])).await;
        queued(store, place, &chain(&["s"])).await;
    }
    let mut workers = Vec::new();
    for _ in 0..6 {
        workers.push(worker(store).await);
    }
    let answers = futures_util::future::join_all(workers.iter().map(|worker| store.claim(*worker, 2))).await;
    let mut held: Vec<_> = answers.into_iter().flat_map(|answer| answer.unwrap()).map(|claim| claim.run.deployment_id).collect();
    held.sort_unstable();
    assert_eq!(held, all.iter().map(|place| place.id).collect::<Vec<_>>(), "each deployment has exactly one held run");
}

/// A command to a run that does not exist is refused as missing.
pub async fn commands_to_nowhere(store: &dyn Store) {
    let answer = record(store, crate::store::Command::unfenced(RunId::new(), Change::RequestCancel { reason: String::new() })).await;
    assert!(matches!(answer, Err(crate::store::RecordError::Missing(_))), "{answer:?}");
}
