//! Workers, their leases, and taking over what they leave.

use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use super::fixtures::{
    Held, LONG, advance, at, cancel, chain, claimed, held_in, lease_lost, place, queued, record, report, start, steps, success, wide,
    worker,
};
use crate::{
    error::ErrorKind,
    id::WorkerId,
    model::{ReportedState, RunEventBody, RunKind, RunState},
    store::{Change, Fence, Store},
};

/// A lease that runs out soon, and a pause after which it certainly has.
const SHORT: Duration = Duration::from_millis(150);
const LONGER: Duration = Duration::from_millis(350);

/// A worker registers once and renews as long as its lease is good.
pub async fn register_and_renew(store: &dyn Store) {
    let worker = WorkerId::new();
    assert!(store.renew_worker(worker, LONG).await.unwrap_err().is_not_found());
    let lease = store.register_worker(worker, Duration::from_secs(60)).await.unwrap();
    assert_eq!(lease.worker, worker);
    assert_eq!(store.register_worker(worker, LONG).await.unwrap_err().kind(), ErrorKind::AlreadyExists);
    let renewed = store.renew_worker(worker, Duration::from_secs(120)).await.unwrap();
    let longer = renewed.until.duration_since(lease.until).as_secs();
    assert!((60..70).contains(&longer), "a renewal counts from now: {longer} s more");
    let shorter = store.renew_worker(worker, Duration::from_secs(30)).await.unwrap();
    assert!(shorter.until < renewed.until);
}

/// A lease that ran out is gone for good, and a renewal in time keeps it.
pub async fn expiry(store: &dyn Store) {
    let (late, prompt) = (WorkerId::new(), WorkerId::new());
    store.register_worker(late, SHORT).await.unwrap();
    store.register_worker(prompt, SHORT).await.unwrap();
    store.renew_worker(prompt, LONG).await.unwrap();
    sleep(LONGER).await;
    assert!(store.renew_worker(late, LONG).await.unwrap_err().is_not_found());
    assert!(store.claim(late, 1).await.unwrap_err().is_not_found());
    assert_eq!(store.register_worker(late, LONG).await.unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(store.renew_worker(prompt, LONG).await.unwrap().worker, prompt);
}

/// A lease that was given up is gone for good; giving it up again changes nothing.
pub async fn retire(store: &dyn Store) {
    let (gone, other) = (worker(store).await, worker(store).await);
    store.retire_worker(gone).await.unwrap();
    store.retire_worker(gone).await.unwrap();
    assert!(store.renew_worker(gone, LONG).await.unwrap_err().is_not_found());
    assert!(store.claim(gone, 1).await.unwrap_err().is_not_found());
    assert_eq!(store.claim(other, 1).await.unwrap().len(), 0);
}

/// A run whose holder's lease ran out is taken over: a later epoch, steps as they were left, the old holder fenced off.
pub async fn takeover_after_expiry(store: &dyn Store) {
    let shop = place(store, "shop").await;
    let (old, new) = (WorkerId::new(), worker(store).await);
    let run = queued(store, &shop, &wide(&["a", "b"])).await;
    store.register_worker(old, SHORT).await.unwrap();
    let claim = claimed(store, old).await;
    let held = Held { deployment: shop, fence: Fence { worker: old, epoch: claim.run.epoch }, run: claim.run };
    held.change(store, advance([success(1)], [], None)).await.unwrap();
    held.change(store, Change::KeepHandle { step: at(0), attempt: 1, handle: json!({ "pid": 42 }) }).await.unwrap();
    held.change(store, report(0, "done", ReportedState::Success)).await.unwrap();
    held.change(store, report(0, "open", ReportedState::Running)).await.unwrap();
    assert_eq!(store.claim(new, 1).await.unwrap().len(), 0, "the lease is still good");
    sleep(LONGER).await;

    assert!(store.poll(new).await.unwrap().claimable);
    let taken = claimed(store, new).await;
    assert_eq!((taken.run.id, taken.run.epoch, taken.run.worker_id, taken.run.state), (run.id, 2, Some(new), RunState::Running));
    assert_eq!(taken.run.started_at, held.run.started_at);
    assert!(taken.taken_over);
    assert_eq!(steps(store, run.id).await, ["a running 1", "b succeeded 1", "done succeeded 1", "open running 1"]);
    let names: Vec<_> = taken.steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "open"], "planned steps, and reported ones that are unfinished");
    assert_eq!(taken.steps[0].handle, Some(json!({ "pid": 42 })));
    assert_eq!(taken.events.len(), 1);
    assert_eq!((taken.events[0].seq, taken.events[0].epoch), (taken.run.last_seq, 2));
    assert!(matches!(&taken.events[0].body, RunEventBody::Run { state: RunState::Running, .. }));

    lease_lost(held.change(store, advance([success(0)], [], super::fixtures::succeeded())).await, 2);
    let holder = Held { fence: Fence { worker: new, epoch: 2 }, ..held };
    holder.change(store, advance([success(0)], [], super::fixtures::succeeded())).await.unwrap();
    assert_eq!(steps(store, run.id).await, ["a succeeded 1", "b succeeded 1", "done succeeded 1", "open succeeded 1"]);
}

/// What a worker still holds when it gives its lease up may be taken over at once, each time with a later epoch.
pub async fn takeover_after_retirement(store: &dyn Store) {
    let held = held_in(store, &place(store, "shop").await, RunKind::Deploy, &chain(&["a", "b"])).await;
    let mut holder = held.fence.worker;
    for epoch in 2..6 {
        store.retire_worker(holder).await.unwrap();
        holder = worker(store).await;
        let taken = claimed(store, holder).await;
        assert_eq!((taken.run.id, taken.run.epoch, taken.run.worker_id), (held.run.id, epoch, Some(holder)));
        lease_lost(held.change(store, advance([success(0)], [start(1)], None)).await, epoch);
    }
    assert_eq!(steps(store, held.run.id).await, ["a running 1", "b pending 0"]);
}

/// A run that was to be cancelled when its holder went away stays so under the next one.
pub async fn takeover_while_cancelling(store: &dyn Store) {
    let held = held_in(store, &place(store, "shop").await, RunKind::Deploy, &chain(&["a"])).await;
    record(store, cancel(held.run.id, "enough")).await.unwrap();
    store.retire_worker(held.fence.worker).await.unwrap();
    let next = worker(store).await;
    let taken = claimed(store, next).await;
    assert_eq!((taken.run.state, taken.run.epoch, taken.run.message.as_str()), (RunState::Cancelling, 2, "enough"));
    assert_eq!(store.poll(next).await.unwrap().cancelling, [held.run.id]);
}
