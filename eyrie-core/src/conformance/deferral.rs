//! Runs that are not to begin before a time.

use std::time::Duration;

use super::fixtures::{
    Held, LONG, advance, cancel, chain, claimed, enqueue, keyed, now, place, queued, record, steps, succeeded, success, worker,
};
use crate::{
    clock::{Timestamp, later},
    id::WorkerId,
    model::{Deployment, Run, RunKind, RunRow, RunState},
    store::{Enqueue, Fence, Store},
};

/// How far ahead the times of runs are that a case waits for.
const SOON: Duration = Duration::from_millis(500);

/// A run that is not to begin before that time.
fn not_before(deployment: &Deployment, at: Timestamp) -> Enqueue {
    let mut enqueue = enqueue(deployment, RunKind::Deploy, &chain(&["a"]));
    enqueue.run = Run::from_row(RunRow { not_before: Some(at), ..enqueue.run.row().clone() });
    enqueue
}

async fn queued_for(store: &dyn Store, deployment: &Deployment, at: Timestamp) -> Run {
    store.enqueue(&[not_before(deployment, at)]).await.unwrap().remove(0).unwrap().run
}

/// Waits until a poll says that a time has come.
async fn until_due(store: &dyn Store, worker: WorkerId) {
    while store.poll(worker).await.unwrap().next_due.is_none_or(|time_left| !time_left.is_zero()) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Until its time a run holds nobody up and is given to nobody; it can be cancelled like any that waits.
pub async fn others_pass_it(store: &dyn Store) {
    let shop = place(store, "shop").await;
    let worker = worker(store).await;
    let at = later(now(), LONG);
    let waits = queued_for(store, &shop, at).await;
    assert_eq!(store.run(waits.id).await.unwrap(), waits);
    assert_eq!((waits.not_before, waits.queued_at, waits.deferred, waits.ready), (Some(at), at, true, false));
    let poll = store.poll(worker).await.unwrap();
    assert!(!poll.claimable && poll.next_due.is_some_and(|left| left > LONG / 2 && left <= LONG), "{poll:?}");
    assert_eq!(store.claim(worker, 10).await.unwrap().len(), 0);
    let passes = queued(store, &shop, &chain(&["a"])).await;
    assert!(passes.ready);
    assert_eq!(claimed(store, worker).await.run.id, passes.id);
    let held = Held { deployment: shop.clone(), fence: Fence { worker, epoch: 1 }, run: passes };
    held.change(store, advance([success(0)], [], succeeded())).await.unwrap();
    assert_eq!(*store.run(waits.id).await.unwrap().row(), *waits.row(), "the turn is not handed to a run whose time has not come");
    record(store, cancel(waits.id, "no")).await.unwrap();
    let cancelled = store.run(waits.id).await.unwrap();
    assert_eq!((cancelled.state, cancelled.deferred, cancelled.not_before), (RunState::Cancelled, false, Some(at)));
    assert_eq!(steps(store, waits.id).await, ["a skipped 0"]);
    assert_eq!(store.poll(worker).await.unwrap().next_due, None);
}

/// A time that has passed means now.
pub async fn a_time_that_has_passed(store: &dyn Store) {
    let shop = place(store, "shop").await;
    let past = now();
    tokio::time::sleep(Duration::from_millis(2)).await;
    let run = queued_for(store, &shop, past).await;
    assert!(run.ready && !run.deferred && run.queued_at > past);
    assert_eq!(run.not_before, Some(past));
}

/// Once its time has come, a run stands behind whoever waits by then, and before whoever comes later; of several the earliest is
/// first, whichever was asked for first.
pub async fn its_time_is_its_place(store: &dyn Store) {
    let shop = place(store, "shop").await;
    let (one, two) = (worker(store).await, worker(store).await);
    let current = queued(store, &shop, &chain(&["a"])).await;
    let soon = later(now(), SOON);
    let second = queued_for(store, &shop, later(soon, Duration::from_millis(1))).await;
    let first = queued_for(store, &shop, soon).await;
    let before = queued(store, &shop, &chain(&["a"])).await;
    assert_eq!(claimed(store, one).await.run.id, current.id);
    until_due(store, one).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let after = queued(store, &shop, &chain(&["a"])).await;
    assert_eq!(store.claim(two, 10).await.unwrap().len(), 0, "the deployment's turn is taken");
    let poll = store.poll(two).await.unwrap();
    assert!(!poll.claimable && poll.next_due.is_none(), "they are in the queue now: {poll:?}");
    let mut order = vec![current.id];
    loop {
        let fence = Fence { worker: one, epoch: 1 };
        let run = store.run(*order.last().unwrap()).await.unwrap();
        let held = Held { deployment: shop.clone(), fence, run };
        held.change(store, advance([success(0)], [], succeeded())).await.unwrap();
        match store.claim(one, 10).await.unwrap().as_slice() {
            [next] => order.push(next.run.id),
            claims => {
                assert_eq!(claims.len(), 0);
                break;
            }
        }
    }
    let mut expected = [&before, &first, &second, &after];
    expected.sort_by_key(|run| run.queued_at);
    assert_eq!(order[1..], expected.map(|run| run.id));
    assert!(first.queued_at < second.queued_at && second.queued_at < after.queued_at);
}

/// Several workers that claim when a time comes give one the run; who would queue it twice is told of the one there is.
pub async fn due_for_several_workers(store: &dyn Store) {
    let shop = place(store, "shop").await;
    let request = keyed(not_before(&shop, later(now(), SOON)), "key", 1);
    let first = store.enqueue(std::slice::from_ref(&request)).await.unwrap().remove(0).unwrap();
    let again = store.enqueue(std::slice::from_ref(&request)).await.unwrap().remove(0).unwrap();
    assert_eq!((again.run, again.is_new), (first.run.clone(), false));
    let mut workers = Vec::new();
    for _ in 0..4 {
        workers.push(worker(store).await);
    }
    until_due(store, workers[0]).await;
    let answers = futures_util::future::join_all(workers.iter().map(|worker| store.claim(*worker, 2))).await;
    let claims: Vec<_> = answers.into_iter().flat_map(Result::unwrap).collect();
    assert_eq!(claims.iter().map(|claim| claim.run.id).collect::<Vec<_>>(), [first.run.id]);
    assert!(!claims[0].run.deferred && claims[0].steps[0].attempt == 1);
}
