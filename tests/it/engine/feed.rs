//! Subscribers hear each event exactly once and in order, wherever they begin.

use std::time::Duration;

use eyrie_core::model::{Plan, RunState};
use eyrie_tests::world::{Ground, Kind, World, quick};

use super::on_every_store;

on_every_store! {
    a_late_subscriber_resumes_by_seq;
    another_process_sees_the_same_stream;
    the_feed_across_runs_misses_nothing;
}

fn chain(length: usize) -> Plan {
    (0..length)
        .fold(Plan::builder(), |plan, n| plan.step(format!("s{n}"), "echo", |s| if n == 0 { s } else { s.needs([format!("s{}", n - 1)]) }))
        .build()
        .unwrap()
}

async fn a_late_subscriber_resumes_by_seq(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let run = world.start(chain(30)).await;
    let live = world.events_of(run).await;
    assert_eq!(live.len(), 1 + 1 + 60 + 1, "queued, running, two a step, succeeded");
    for after in [0, 1, 17, 62] {
        let mut stream = world.me.follow_run(run, after).await.unwrap();
        let mut seen = Vec::new();
        while let Some(event) = stream.next().await.unwrap() {
            seen.push(event);
        }
        assert_eq!(seen, live[after as usize..]);
    }
}

async fn another_process_sees_the_same_stream(kind: Kind) {
    let ground = Ground::new(kind).await;
    let world = World::on(&ground, quick()).await;
    let other = World::without_worker(&ground.another().await).await;
    let run = other.start(chain(20)).await;
    let (here, there) = tokio::join!(world.events_of(run), other.events_of(run));
    assert_eq!(here, there);
    assert_eq!(here.len(), 43);
}

async fn the_feed_across_runs_misses_nothing(kind: Kind) {
    let world = World::on(&Ground::new(kind).await, quick()).await;
    let mut feed = world.me.follow_runs(None).await.unwrap();
    let runs = [world.start(chain(3)).await, world.start(chain(3)).await];
    let mut seen = std::collections::BTreeSet::new();
    let all = async {
        while seen.len() < 2 * 9 {
            let item = feed.next().await.unwrap();
            seen.insert((item.event.run_id, item.event.seq));
        }
    };
    tokio::time::timeout(Duration::from_secs(20), all).await.unwrap();
    for run in runs {
        assert_eq!(world.end_of(run).await.run.state, RunState::Succeeded);
        assert!((1..=9).all(|seq| seen.contains(&(run, seq))), "{seen:?}");
    }
}
