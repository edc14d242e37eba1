//! How fast commands become durable. `cargo test --test throughput -- --ignored --nocapture`
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod fixture;

use std::time::Instant;

use eyrie_core::{
    model::{Plan, RunState},
    store::RunStore,
};
use eyrie_store_sea::SeaStore;
use fixture::{advance, deployments, request, url, worker};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn commands_per_second() {
    const STEPS: usize = 10;
    let folder = tempfile::tempdir().unwrap();
    let store = SeaStore::open(&url(&folder)).await.unwrap();
    let all = deployments(&store, 200).await;
    let worker = worker(&store).await;
    for _ in 0..3 {
        let requests: Vec<_> = all.iter().map(|deployment| request(deployment, STEPS)).collect();
        let plan = Plan::decode(&requests[0].plan_json).unwrap();
        let begun = Instant::now();
        store.enqueue(&requests).await.unwrap();
        println!("enqueue {} runs x {STEPS} steps: {:?}", all.len(), begun.elapsed());
        let begun = Instant::now();
        let claims = store.claim(worker, 1000).await.unwrap();
        println!("claim {} runs: {:?}", claims.len(), begun.elapsed());
        let begun = Instant::now();
        for place in 0..STEPS {
            let commands: Vec<_> = claims.iter().map(|claim| advance(claim, u32::try_from(place).unwrap(), &plan)).collect();
            store.record(&commands).await.unwrap();
        }
        let (commands, spent) = (claims.len() * STEPS, begun.elapsed());
        let rows = claims.len() * (STEPS * 5 - 1);
        println!(
            "record in batches of {}: {:.0} commands/s, {:.0} rows/s",
            claims.len(),
            commands as f64 / spent.as_secs_f64(),
            rows as f64 / spent.as_secs_f64()
        );
        assert_eq!(store.run(claims[0].run.id).await.unwrap().state, RunState::Succeeded);
        let begun = Instant::now();
        for _ in 0..200 {
            store.poll(worker).await.unwrap();
        }
        println!("poll: {:?}", begun.elapsed() / 200);
    }
    // One command at a time: what a single run sees.
    let one = request(&all[0], 50);
    let plan = Plan::decode(&one.plan_json).unwrap();
    store.enqueue(&[one]).await.unwrap();
    let claims = store.claim(worker, 1).await.unwrap();
    let begun = Instant::now();
    for place in 0..50 {
        store.record(&[advance(&claims[0], place, &plan)]).await.unwrap();
    }
    println!("record one command: {:?}", begun.elapsed() / 50);
}
