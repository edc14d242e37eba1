//! The queue as people read it: places, and the reasons for waiting.

use super::fixtures::{
    Held, advance, at, audit, cancel, chain, claimed, enqueue, failed, group, held_in, kept_deployment, kept_group, kept_project, now,
    outside, place, queued, record, resume, settle, worker,
};
use crate::{
    clock::later,
    id::RunId,
    model::{DeploymentGroup, Limited, MAX_RUNNING, Plan, Role, RunKind, RunState, Settings, Wait},
    store::{Change, End, Fence, InQueue, Page, PageRequest, QueueOf, Settlement, Store},
};

type Place = (RunId, Option<u32>, Option<RunId>, Option<Wait>);

fn shown(standing: InQueue) -> Place {
    (standing.run.id, standing.position, standing.behind, standing.wait)
}

async fn standing(store: &dyn Store, run: RunId) -> Option<Place> {
    store.in_queue(run).await.unwrap().map(shown)
}

/// All pages of that size.
async fn listed(store: &dyn Store, of: QueueOf, limit: u32) -> Vec<Place> {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let Page { items, next } = store.queue(of, None, PageRequest::first(limit).unwrap().after(cursor)).await.unwrap();
        all.extend(items.into_iter().map(shown));
        if next.is_none() {
            return all;
        }
        cursor = next;
    }
}

/// Who is under way stands first, then each behind the one before; a page shows the same as a look at one run.
pub async fn in_a_deployment(store: &dyn Store) {
    let shop = place(store, "shop").await;
    let held = held_in(store, &shop, RunKind::Deploy, &chain(&["a"])).await;
    let mut runs = vec![held.run.id];
    for _ in 0..3 {
        runs.push(queued(store, &shop, &chain(&["a"])).await.id);
    }
    let elsewhere = place(store, "elsewhere").await;
    queued(store, &elsewhere, &chain(&["a"])).await;
    let expected: Vec<Place> = vec![
        (runs[0], Some(1), None, None),
        (runs[1], Some(2), Some(runs[0]), Some(Wait::Turn)),
        (runs[2], Some(3), Some(runs[1]), Some(Wait::Turn)),
        (runs[3], Some(4), Some(runs[2]), Some(Wait::Turn)),
    ];
    for place in &expected {
        assert_eq!(standing(store, place.0).await.as_ref(), Some(place));
    }
    for limit in [1, 2, 100] {
        assert_eq!(listed(store, QueueOf::Deployment(shop.id), limit).await, expected, "pages of {limit}");
        assert_eq!(listed(store, QueueOf::Project(shop.project_id), limit).await, expected, "pages of {limit}");
    }
    record(store, cancel(runs[2], "no")).await.unwrap();
    assert_eq!(standing(store, runs[3]).await, Some((runs[3], Some(3), Some(runs[1]), Some(Wait::Turn))));
    assert_eq!(standing(store, runs[2]).await, None, "it has ended");
    let gone = PageRequest::default().after(Some(runs[2].uuid()));
    let behind = store.queue(QueueOf::Deployment(shop.id), None, gone).await.unwrap();
    assert_eq!(behind.items.len(), 1, "a page goes on behind a run that has ended");
    held.change(store, advance([settle(0, 1, Settlement::Failed)], [], failed("no"))).await.unwrap();
    assert_eq!(standing(store, runs[1]).await.and_then(|place| place.1), Some(1));
    // It was asked for before the others, but the turn was given.
    record(store, resume(runs[0], "again")).await.unwrap();
    let order = listed(store, QueueOf::Deployment(shop.id), 1).await;
    assert_eq!(
        order.iter().map(|place| (place.0, place.1, place.2)).collect::<Vec<_>>(),
        [(runs[1], Some(1), None), (runs[0], Some(2), Some(runs[1])), (runs[3], Some(3), Some(runs[0])),]
    );
    assert_eq!(standing(store, runs[0]).await, Some(order[1]));
}

/// The queues of a project's deployments, in the order of queueing.
pub async fn in_a_project(store: &dyn Store) {
    let group = kept_group(store, &kept_project(store, "project").await, "web").await;
    let (shop, blog) = (kept_deployment(store, &group, "shop").await, kept_deployment(store, &group, "blog").await);
    let mut runs = Vec::new();
    for place in [&shop, &blog, &shop, &blog, &shop] {
        runs.push(queued(store, place, &chain(&["a"])).await.id);
    }
    let other = place(store, "other").await;
    queued(store, &other, &chain(&["a"])).await;
    let of = QueueOf::Project(group.project_id);
    for limit in [1, 2, 3, 100] {
        let all: Vec<_> = listed(store, of, limit).await.into_iter().map(|place| (place.0, place.1, place.2)).collect();
        assert_eq!(
            all,
            [
                (runs[0], Some(1), None),
                (runs[1], Some(1), None),
                (runs[2], Some(2), Some(runs[0])),
                (runs[3], Some(2), Some(runs[1])),
                (runs[4], Some(3), Some(runs[2])),
            ]
        );
    }
    for run in &runs[..4] {
        record(store, cancel(*run, "no")).await.unwrap();
    }
    assert_eq!(listed(store, of, 1).await.iter().map(|place| (place.0, place.1)).collect::<Vec<_>>(), [(runs[4], Some(1))]);
}

/// What keeps a run waiting is named.
pub async fn reasons(store: &dyn Store) {
    let project = kept_project(store, "project").await;
    let settings = Settings::default().with(MAX_RUNNING, 1).unwrap();
    let narrow = DeploymentGroup { settings, ..group(&project, "narrow") };
    store.create_group(&narrow, &audit("group.create")).await.unwrap();
    let (one, two) = (kept_deployment(store, &narrow, "one").await, kept_deployment(store, &narrow, "two").await);
    let wait = async |run: RunId| store.in_queue(run).await.unwrap().unwrap().wait;
    let sign_off = Plan::builder().approval("a", Role::Developer, |step| step).build().unwrap();
    let first = queued(store, &one, &sign_off).await;
    assert_eq!(wait(first.id).await, Some(Wait::NoWorker));
    let retired = worker(store).await;
    assert_eq!(wait(first.id).await, Some(Wait::Worker));
    store.retire_worker(retired).await.unwrap();
    assert_eq!(wait(first.id).await, Some(Wait::NoWorker));

    let worker = worker(store).await;
    let claim = claimed(store, worker).await;
    assert_eq!(wait(first.id).await, None, "it is under way");
    let second = queued(store, &two, &chain(&["a"])).await;
    let full = Wait::Limit { of: Limited::Group(narrow.id), most: 1, under_way: 1 };
    assert_eq!(wait(second.id).await, Some(full));
    let held = Held { deployment: one, fence: Fence { worker, epoch: 1 }, run: claim.run };
    held.change(store, advance([], [], Some(End::Wait { message: "say".to_owned() }))).await.unwrap();
    assert_eq!((wait(first.id).await, wait(second.id).await), (Some(Wait::Approval), Some(Wait::Worker)));
    let approved = Change::Approve { step: at(0), approved: true, reason: String::new() };
    record(store, outside(first.id, approved, "run.approve")).await.unwrap();
    claimed(store, worker).await;
    let held = Held { fence: Fence { worker, epoch: 2 }, ..held };
    held.change(store, advance([], [], Some(End::Park { message: "decide".to_owned() }))).await.unwrap();
    assert_eq!(wait(first.id).await, Some(Wait::Parked));
    assert_eq!(held.now(store).await.state, RunState::Parked);
}

/// One whose time has not come has no place, and counts before nobody.
pub async fn not_due(store: &dyn Store) {
    let shop = place(store, "shop").await;
    let first = queued(store, &shop, &chain(&["a"])).await.id;
    let mut early = enqueue(&shop, RunKind::Deploy, &chain(&["a"]));
    let at = later(now(), std::time::Duration::from_secs(3600));
    early.run.row_mut().not_before = Some(at);
    store.enqueue(std::slice::from_ref(&early)).await.unwrap().remove(0).unwrap();
    let last = queued(store, &shop, &chain(&["a"])).await.id;
    let early = early.run.id;
    let expected: Vec<Place> = vec![
        (first, Some(1), None, Some(Wait::NoWorker)),
        (last, Some(2), Some(first), Some(Wait::Turn)),
        (early, None, None, Some(Wait::NotDue { at })),
    ];
    assert_eq!(standing(store, early).await.as_ref(), Some(&expected[2]));
    for limit in [1, 100] {
        assert_eq!(listed(store, QueueOf::Deployment(shop.id), limit).await, expected);
        assert_eq!(listed(store, QueueOf::Project(shop.project_id), limit).await, expected);
    }
}

/// What is not there is not found.
pub async fn unknown_is_not_found(store: &dyn Store) {
    let shop = place(store, "shop").await;
    assert!(store.in_queue(RunId::new()).await.unwrap_err().is_not_found());
    let of = QueueOf::Deployment(shop.id);
    assert_eq!(store.queue(of, None, PageRequest::default()).await.unwrap().items, []);
    let astray = PageRequest::default().after(Some(RunId::new().uuid()));
    assert!(store.queue(of, None, astray).await.unwrap_err().is_not_found());
}
