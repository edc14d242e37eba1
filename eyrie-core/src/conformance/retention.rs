//! Pruning: what goes, what stays however old it is, and what its readers hear.

use std::time::Duration;

use super::fixtures::{
    Held, LONG, advance, at, cancel, chain, claimed, enqueue, failed, held_in, kept_deployment, keyed, place, planned_release, queued,
    record, resume, settle, start, succeeded, whole,
};
use crate::{
    clock::Timestamp,
    error::Pruned,
    id::{DeploymentId, RunId},
    model::{Deployment, EventCursor, RunKind, RunState},
    store::{DeployedServiceFilter, End, Fence, ForgetRule, LogBound, LogChunk, PageRequest, Pruning, RunFilter, Settlement, Store},
};

/// Everything that has ended.
const ALL: ForgetRule = ForgetRule { age: Duration::ZERO, newest: 0 };

async fn ended(store: &dyn Store, deployment: &Deployment, kind: RunKind, end: Option<End>) -> RunId {
    let held = held_in(store, deployment, kind, &chain(&["a"])).await;
    let how = if matches!(end, Some(End::Fail { .. })) { Settlement::Failed } else { Settlement::Succeeded { output: None } };
    held.change(store, advance([settle(0, 1, how)], [], end)).await.unwrap();
    held.run.id
}

/// A failed run of one step: five events.
async fn broken(store: &dyn Store, deployment: &Deployment) -> RunId {
    ended(store, deployment, RunKind::Deploy, failed("no")).await
}

async fn logged(store: &dyn Store, run: RunId, text: &str) {
    let chunk = LogChunk { run_id: run, offset: 0, step: at(0), at: Timestamp::UNIX_EPOCH, text: text.to_owned() };
    store.append_log(&[chunk], LogBound::default()).await.unwrap();
}

/// Piece by piece until there is nothing more to do, as whoever prunes does it.
async fn forget(store: &dyn Store, deployment: DeploymentId, rule: ForgetRule, limit: u32) -> Pruning {
    let mut done = Pruning::default();
    loop {
        done += store.forget_runs(deployment, rule, limit).await.unwrap();
        if !done.more {
            break;
        }
    }
    loop {
        done += store.sweep(limit).await.unwrap();
        if !done.more {
            return done;
        }
    }
}

async fn runs(store: &dyn Store, deployment: &Deployment) -> Vec<RunId> {
    let filter = RunFilter { deployment: Some(deployment.id), ..RunFilter::default() };
    store.runs(filter, PageRequest::default()).await.unwrap().items.iter().map(|run| run.id).collect()
}

async fn first_kept(store: &dyn Store, run: RunId, after: u64) -> Option<Pruned> {
    store.run_events(run, after, 100).await.unwrap_err().pruned()
}

/// A trimmed run is as it was, but for its log and all of its events except the one that says how it ended. Who reads from before
/// hears where what is there begins.
pub async fn trimmed_runs_keep_their_end(store: &dyn Store) {
    let shop = place(store, "shop").await;
    let run = broken(store, &shop).await;
    logged(store, run, "one\n").await;
    logged(store, run, "two\n").await;
    let (before, steps) = (store.run(run).await.unwrap(), store.steps(run).await.unwrap());
    let events = store.run_events(run, 0, 100).await.unwrap();
    assert_eq!(store.trim_runs(shop.id, LONG, 100).await.unwrap(), Pruning::default(), "it is too young");
    assert_eq!(store.run_events(run, 0, 100).await.unwrap(), events);

    let trimmed = store.trim_runs(shop.id, Duration::ZERO, 100).await.unwrap();
    let last = before.last_seq;
    assert_eq!(trimmed, Pruning { runs: 1, events: last - 1, chunks: 2, ..Pruning::default() });
    assert_eq!((store.run(run).await.unwrap(), store.steps(run).await.unwrap()), (before, steps));
    for after in 0..last - 1 {
        assert_eq!(first_kept(store, run, after).await, Some(Pruned { first: last }), "behind {after}");
    }
    assert_eq!(store.run_events(run, last - 1, 100).await.unwrap(), events[events.len() - 1..]);
    assert_eq!(store.run_events(run, last, 100).await.unwrap(), []);
    let log = store.read_log(run, 2, 100).await.unwrap();
    assert_eq!((log.chunks.len(), log.end, log.text().as_str()), (0, 8, "[6 bytes of the log are no longer kept]\n"));
    assert_eq!(store.read_log(run, 8, 100).await.unwrap().text(), "");
    assert_eq!(store.trim_runs(shop.id, Duration::ZERO, 100).await.unwrap(), Pruning::default(), "it is trimmed once");
}

/// A run that has not ended is left alone, whatever it waits for.
pub async fn what_has_not_ended_is_left_alone(store: &dyn Store) {
    let shop = place(store, "shop").await;
    let held = held_in(store, &shop, RunKind::Deploy, &chain(&["a"])).await;
    logged(store, held.run.id, "one\n").await;
    let waiting = queued(store, &shop, &chain(&["a"])).await.id;
    let prune = async || {
        assert_eq!(store.trim_runs(shop.id, Duration::ZERO, 100).await.unwrap(), Pruning::default());
        assert_eq!(forget(store, shop.id, ALL, 100).await, Pruning::default());
    };
    prune().await;
    let park = End::Park { message: "look".to_owned() };
    held.change(store, advance([settle(0, 1, Settlement::Interrupted)], [], Some(park))).await.unwrap();
    prune().await;
    for run in [held.run.id, waiting] {
        whole(store, run).await;
    }
    assert_eq!(store.read_log(held.run.id, 0, 100).await.unwrap().text(), "one\n");
}

/// A piece is no larger than asked for, and says whether there is more.
pub async fn in_small_pieces(store: &dyn Store) {
    let shop = place(store, "shop").await;
    for _ in 0..4 {
        broken(store, &shop).await;
    }
    let (mut pieces, mut done) = (0, Pruning::default());
    loop {
        let piece = store.trim_runs(shop.id, Duration::ZERO, 3).await.unwrap();
        assert!(piece.events <= 3, "{piece:?}");
        done += piece;
        pieces += 1;
        if !piece.more {
            break;
        }
    }
    assert_eq!((done.runs, done.events), (4, 16));
    assert!(pieces >= 6, "{pieces}");
    let one = store.forget_runs(shop.id, ALL, 1).await.unwrap();
    assert_eq!((one.runs, one.more), (1, true));
    assert_eq!(forget(store, shop.id, ALL, 1).await.runs, 3);
    assert_eq!(runs(store, &shop).await, []);
}

/// A run that is resumed after it was trimmed goes on with the next number and offset, and is trimmed again after its next end.
pub async fn a_resumed_run_goes_on(store: &dyn Store) {
    let shop = place(store, "shop").await;
    let held = held_in(store, &shop, RunKind::Deploy, &chain(&["a"])).await;
    let run = held.run.id;
    held.change(store, advance([settle(0, 1, Settlement::Failed)], [], failed("no"))).await.unwrap();
    logged(store, run, "one\n").await;
    let last = held.now(store).await.last_seq;
    store.trim_runs(shop.id, Duration::ZERO, 100).await.unwrap();
    record(store, resume(run, "once more")).await.unwrap();
    assert_eq!(store.trim_runs(shop.id, Duration::ZERO, 100).await.unwrap(), Pruning::default(), "it has not ended");
    let worker = held.fence.worker;
    assert_eq!(claimed(store, worker).await.run.id, run);
    let held = Held { fence: Fence { worker, epoch: 2 }, ..held };
    held.change(store, advance([], [start(0)], None)).await.unwrap();
    held.change(store, advance([settle(0, 2, Settlement::Succeeded { output: None })], [], succeeded())).await.unwrap();
    logged(store, run, "two\n").await;

    let now = held.now(store).await;
    let events = store.run_events(run, last - 1, 100).await.unwrap();
    assert_eq!(events.iter().map(|event| event.seq).collect::<Vec<_>>(), (last..=now.last_seq).collect::<Vec<_>>());
    assert_eq!(first_kept(store, run, 0).await, Some(Pruned { first: last }));
    assert_eq!(store.read_log(run, 0, 100).await.unwrap().text(), "[4 bytes of the log are no longer kept]\ntwo\n");
    let trimmed = store.trim_runs(shop.id, Duration::ZERO, 100).await.unwrap();
    assert_eq!(trimmed, Pruning { runs: 1, events: now.last_seq - last, chunks: 1, ..Pruning::default() });
    assert_eq!(first_kept(store, run, last).await, Some(Pruned { first: now.last_seq }));
}

/// A forgotten run leaves nothing: its request key can be used for another, and its plan goes when nobody else needs it.
pub async fn forgotten_runs_leave_nothing(store: &dyn Store) {
    let shop = place(store, "shop").await;
    let plan = chain(&["only", "here"]);
    let (hash, _) = plan.encode().unwrap();
    let request = || keyed(enqueue(&shop, RunKind::Deploy, &plan), "push-7", 7);
    let run = store.enqueue(&[request()]).await.unwrap().remove(0).unwrap().run.id;
    record(store, cancel(run, "no")).await.unwrap();
    logged(store, run, "one\n").await;
    let other = queued(store, &shop, &plan).await.id;
    // The newest event of all may have to stay for a while: this is a later one.
    let forgotten = forget(store, shop.id, ALL, 100).await;
    assert_eq!((forgotten.runs, forgotten.steps, forgotten.chunks, forgotten.plans), (1, 2, 1, 0));
    assert!(store.run(run).await.unwrap_err().is_not_found());
    assert!(store.steps(run).await.unwrap_err().is_not_found());
    assert_eq!(store.run_events(run, 0, 100).await.unwrap(), []);
    assert_eq!(store.read_log(run, 0, 100).await.unwrap().text(), "");
    assert_eq!(runs(store, &shop).await, [other]);
    assert_eq!(store.plan(hash).await.unwrap(), plan, "another run needs it");
    let anew = store.enqueue(&[request()]).await.unwrap().remove(0).unwrap();
    assert!(anew.is_new, "the key went with its run");

    for run in [anew.run.id, other] {
        record(store, cancel(run, "no")).await.unwrap();
    }
    queued(store, &shop, &chain(&["a"])).await;
    assert_eq!(forget(store, shop.id, ALL, 100).await.plans, 1);
    assert!(store.plan(hash).await.unwrap_err().is_not_found());
}

/// Kept however old they are: so many of the newest, the newest success of each kind, and what deployed services are of. Releases
/// stay without their runs, with the plans that they were made by.
pub async fn what_is_never_forgotten(store: &dyn Store) {
    let shop = place(store, "shop").await;
    let blog = kept_deployment(store, &store.group(shop.group_id).await.unwrap(), "blog").await;
    let release = || Some(End::Succeed { release: Some(planned_release(true)) });
    let elsewhere = broken(store, &blog).await;
    let old = ended(store, &shop, RunKind::Deploy, release()).await;
    let current = ended(store, &shop, RunKind::Deploy, release()).await;
    let job = ended(store, &shop, RunKind::Deploy, Some(End::Succeed { release: Some(planned_release(false)) })).await;
    let backup = ended(store, &shop, RunKind::Backup, succeeded()).await;
    let stop = ended(store, &shop, RunKind::Stop, failed("no")).await;
    let newest = [broken(store, &shop).await, broken(store, &shop).await];
    let service = store
        .deployed_services(DeployedServiceFilter { deployment: Some(shop.id), ..DeployedServiceFilter::default() }, PageRequest::default());
    let service = service.await.unwrap().items.remove(0);
    assert_eq!(service.run_id, newest[1]);

    assert_eq!(forget(store, shop.id, ForgetRule { age: LONG, newest: 0 }, 100).await.runs, 0);
    assert_eq!(forget(store, shop.id, ForgetRule { age: Duration::ZERO, newest: 7 }, 100).await.runs, 0);
    let forgotten = forget(store, shop.id, ForgetRule { age: Duration::ZERO, newest: 2 }, 100).await;
    assert_eq!(forgotten.runs, 2, "the first release's run, and the stop that failed");
    assert_eq!(runs(store, &shop).await, [newest[1], newest[0], backup, job, current]);
    for gone in [old, stop] {
        assert!(store.run(gone).await.unwrap_err().is_not_found());
    }
    assert_eq!(runs(store, &blog).await, [elsewhere], "other deployments have their own policy");
    let releases = store.releases(shop.id, PageRequest::default()).await.unwrap().items;
    assert_eq!(releases.iter().map(|release| release.run_id).collect::<Vec<_>>(), [job, current, old]);
    for release in &releases {
        store.plan(release.plan_hash).await.unwrap();
    }
    assert_eq!(forget(store, shop.id, ALL, 100).await.runs, 1);
    assert_eq!(runs(store, &shop).await, [newest[1], backup, job, current]);
}

/// The feed goes on from any cursor it gave, and says so when something behind the cursor is gone for good.
pub async fn the_feed_tells(store: &dyn Store) {
    let shop = place(store, "shop").await;
    let blog = kept_deployment(store, &store.group(shop.group_id).await.unwrap(), "blog").await;
    let run = broken(store, &shop).await;
    let other = broken(store, &blog).await;
    let whole = store.feed(EventCursor::default(), 100).await.unwrap();
    assert_eq!((whole.items.len(), whole.floor), (10, EventCursor::default()));
    let trimmed = store.trim_runs(shop.id, Duration::ZERO, 100).await.unwrap();
    assert_eq!(trimmed.events, 4);
    let rest = store.feed(EventCursor::default(), 100).await.unwrap();
    assert_eq!(rest.items, whole.items[4..], "all that is still there");
    assert_eq!(rest.floor, whole.items[3].cursor);
    for (place, item) in whole.items.iter().enumerate() {
        let page = store.feed(item.cursor, 100).await.unwrap();
        assert_eq!(item.cursor < page.floor, place < 3, "the event at {place} stands before what was pruned");
        assert_eq!(page.items, whole.items[(place + 1).max(4)..]);
    }
    let end = store.feed_end().await.unwrap();
    assert_eq!(end, whole.items[9].cursor);
    store.trim_runs(blog.id, Duration::ZERO, 100).await.unwrap();
    let empty = store.feed(end, 100).await.unwrap();
    assert_eq!((empty.items.len(), empty.floor), (0, whole.items[8].cursor), "also where nothing stands behind the cursor");

    // The newest event's place is not given again.
    forget(store, blog.id, ALL, 100).await;
    assert!(store.run(other).await.unwrap_err().is_not_found());
    let next = queued(store, &shop, &chain(&["a"])).await;
    let behind = store.feed(end, 100).await.unwrap().items;
    assert_eq!(behind.iter().map(|item| (item.event.run_id, item.event.seq)).collect::<Vec<_>>(), [(next.id, 1)]);
    forget(store, blog.id, ALL, 100).await;
    let kept = store.feed(EventCursor::default(), 100).await.unwrap();
    assert_eq!(kept.items.iter().map(|item| item.event.run_id).collect::<Vec<_>>(), [run, next.id]);
    assert_eq!(kept.floor, end);
}

/// A run that is resumed while it would be forgotten is gone or whole.
pub async fn forgetting_races_resuming(store: &dyn Store) {
    let shop = place(store, "shop").await;
    for _ in 0..10 {
        let run = broken(store, &shop).await;
        let (forgotten, resumed) =
            futures_util::future::join(forget(store, shop.id, ALL, 10), store.record(&[resume(run, "once more")])).await;
        match resumed.unwrap().remove(0) {
            Ok(recorded) => {
                assert_eq!((recorded.run_state, forgotten.runs), (RunState::Queued, 0));
                assert_eq!(store.steps(run).await.unwrap().len(), 1);
                record(store, cancel(run, "no")).await.unwrap();
                assert_eq!(forget(store, shop.id, ALL, 10).await.runs, 1);
            }
            Err(refused) => assert_eq!((refused.to_string().as_str(), forgotten.runs), ("there is no such run", 1)),
        }
        assert!(store.run(run).await.unwrap_err().is_not_found());
    }
}

/// A run that is queued while the last other one of its plan is forgotten has its plan.
pub async fn forgetting_races_queueing(store: &dyn Store) {
    let shop = place(store, "shop").await;
    let blog = kept_deployment(store, &store.group(shop.group_id).await.unwrap(), "blog").await;
    for round in 0..10 {
        let plan = chain(&[&format!("round-{round}")]);
        let first = queued(store, &shop, &plan).await;
        record(store, cancel(first.id, "no")).await.unwrap();
        // A later event, so that nothing of the first has to wait.
        let filler = queued(store, &blog, &chain(&["a"])).await;
        let (_, second) = futures_util::future::join(forget(store, shop.id, ALL, 10), queued(store, &blog, &plan)).await;
        assert_eq!(store.plan(second.plan_hash).await.unwrap(), plan);
        for run in [filler.id, second.id] {
            record(store, cancel(run, "no")).await.unwrap();
        }
    }
}

/// Several that prune at the same time do everything once.
pub async fn several_at_once(store: &dyn Store) {
    let shop = place(store, "shop").await;
    for _ in 0..6 {
        broken(store, &shop).await;
    }
    queued(store, &shop, &chain(&["a"])).await;
    let one = async || {
        let mut done = Pruning::default();
        for _ in 0..20 {
            done += store.trim_runs(shop.id, Duration::ZERO, 4).await.unwrap();
        }
        done
    };
    let mut all = futures_util::future::join_all([one(), one(), one()]).await;
    // What one had in hand the others passed over, perhaps to the last.
    all.push(one().await);
    let sum = |count: fn(&Pruning) -> u64| all.iter().map(count).sum::<u64>();
    assert_eq!((sum(|done| done.runs), sum(|done| done.events)), (6, 24));
    let mut all = futures_util::future::join_all((0..3).map(|_| forget(store, shop.id, ALL, 2))).await;
    all.push(forget(store, shop.id, ALL, 2).await);
    assert_eq!(all.iter().map(|done| done.runs).sum::<u64>(), 6);
}
