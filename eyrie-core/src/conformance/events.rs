//! Reading what happened.

use super::fixtures::{advance, at, cancel, chain, held, kept_deployment, place, queued, record, start, succeeded, success};
use crate::{
    id::RunId,
    model::{EventCursor, RunEvent, RunState},
    store::{Change, FeedPage, Store},
};

/// Events of a run are numbered from one without gaps and read in pages.
pub async fn run_events(store: &dyn Store) {
    let held = held(store, "shop", &chain(&["a", "b"])).await;
    held.change(store, advance([success(0)], [start(1)], None)).await.unwrap();
    held.change(store, Change::Progress { step: at(1), message: "half".to_owned() }).await.unwrap();
    held.change(store, advance([success(1)], [], succeeded())).await.unwrap();
    let all = store.run_events(held.run.id, 0, 100).await.unwrap();
    assert_eq!(all.iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert!(all.iter().all(|event| event.run_id == held.run.id && event.project_id == held.run.project_id));
    assert!(all.is_sorted_by_key(|event| (event.at, event.epoch)), "times and epochs never go back");
    assert_eq!(held.now(store).await.last_seq, 8);
    assert_eq!(all.iter().map(RunEvent::is_final).collect::<Vec<_>>(), [false, false, false, false, false, false, false, true]);
    assert_eq!(store.run_events(held.run.id, 0, 3).await.unwrap(), all[..3]);
    assert_eq!(store.run_events(held.run.id, 3, 3).await.unwrap(), all[3..6]);
    assert_eq!(store.run_events(held.run.id, 6, 3).await.unwrap(), all[6..]);
    assert_eq!(store.run_events(held.run.id, 8, 3).await.unwrap(), []);
    assert_eq!(store.run_events(held.run.id, 1_000_000, 3).await.unwrap(), []);
    assert_eq!(store.run_events(RunId::new(), 0, 3).await.unwrap(), []);
}

/// Everything in the feed from the cursor on, read by twos, repeats left out.
async fn follow(store: &dyn Store, mut cursor: EventCursor) -> (Vec<(RunId, u64)>, EventCursor) {
    let mut seen = Vec::new();
    loop {
        let items = store.feed(cursor, 2).await.unwrap().items;
        let Some(last) = items.last() else { return (seen, cursor) };
        assert!(items.len() <= 2);
        assert!(last.cursor > cursor, "the feed goes on");
        cursor = last.cursor;
        for item in items {
            let place = (item.event.run_id, item.event.seq);
            if !seen.contains(&place) {
                seen.push(place);
            }
        }
    }
}

/// The feed holds every event of every run, each run's in order, and goes on from any cursor it gave.
pub async fn feed(store: &dyn Store) {
    let shop = place(store, "shop").await;
    assert_eq!(store.feed(EventCursor::default(), 10).await.unwrap(), FeedPage::default());
    let blog = kept_deployment(store, &store.group(shop.group_id).await.unwrap(), "blog").await;
    let plan = chain(&["a"]);
    let (one, two) = (queued(store, &shop, &plan).await.id, queued(store, &blog, &plan).await.id);
    let (seen, cursor) = follow(store, EventCursor::default()).await;
    assert_eq!(seen, [(one, 1), (two, 1)]);
    assert_eq!(store.feed(store.feed_end().await.unwrap(), 10).await.unwrap().items, [], "nothing stands behind the end");

    record(store, cancel(two, "no")).await.unwrap();
    record(store, cancel(one, "no")).await.unwrap();
    let behind: Vec<_> = follow(store, cursor).await.0.into_iter().filter(|place| !seen.contains(place)).collect();
    assert_eq!(behind, [(two, 2), (two, 3), (one, 2), (one, 3)]);
    assert_eq!(follow(store, EventCursor::default()).await.0, [vec![(one, 1), (two, 1)], behind].concat());
    let item = store.feed(EventCursor::default(), 1).await.unwrap().items.remove(0);
    assert_eq!(item.event, store.run_events(one, 0, 1).await.unwrap()[0]);
    assert_eq!(item.cursor.to_string().parse::<EventCursor>().unwrap(), item.cursor);
}

/// A reader that follows while others write misses nothing.
pub async fn feed_beside_writers(store: &dyn Store) {
    let shop = place(store, "shop").await;
    let group = store.group(shop.group_id).await.unwrap();
    let mut deployments = Vec::new();
    for place in 0..8 {
        deployments.push(kept_deployment(store, &group, &format!("d{place}")).await);
    }
    let plan = chain(&["a"]);
    let cursor = store.feed_end().await.unwrap();
    let writers = futures_util::future::join_all(deployments.iter().map(async |deployment| {
        let run = queued(store, deployment, &plan).await;
        tokio::task::yield_now().await;
        assert_eq!(record(store, cancel(run.id, "no")).await.unwrap().run_state, RunState::Cancelled);
        run.id
    }));
    let reader = async {
        let (mut seen, mut cursor) = (std::collections::BTreeSet::new(), cursor);
        for _ in 0..10_000 {
            for item in store.feed(cursor, 3).await.unwrap().items {
                seen.insert((item.event.run_id, item.event.seq));
                cursor = item.cursor;
            }
            if seen.len() == 24 {
                break;
            }
            tokio::task::yield_now().await;
        }
        seen
    };
    let (runs, seen) = futures_util::future::join(writers, reader).await;
    let expected: std::collections::BTreeSet<_> = runs.into_iter().flat_map(|run| [(run, 1), (run, 2), (run, 3)]).collect();
    assert_eq!(seen, expected);
}
