//! The two workloads on duroxide, on its own provider for SQLite and on `duroxide-pg`.

mod durability;

use std::{sync::Arc, time::Duration};

use duroxide::{
    ActivityContext, Client, OrchestrationContext, OrchestrationRegistry, OrchestrationStatus,
    providers::{Provider, sqlite::SqliteProvider},
    runtime::{Runtime, RuntimeOptions, registry::ActivityRegistry},
};
use duroxide_pg::PostgresProvider;
use futures_util::{StreamExt, TryStreamExt, stream};
use workload::{Begun, Profile, REQUESTS, Request, Result};

/// Dispatchers of each kind, and how often they ask for work when there was none, with settings of ours: it comes with 2, and 100 ms. More
/// of them on one file meet "database is locked", and runs fail of it.
const ON_A_FILE: (usize, Duration) = (2, Duration::from_millis(10));
const ON_A_SERVER: (usize, Duration) = (16, Duration::from_millis(20));

#[tokio::main]
async fn main() -> Result<()> {
    let request = Request::from_arguments()?;
    let (store, durability, (dispatchers, poll)): (Arc<dyn Provider>, _, _) = if request.database.starts_with("sqlite:") {
        let store = SqliteProvider::new(&request.database, None).await?;
        let durability = durability::of_file(store.get_pool(), request.profile).await?;
        (Arc::new(store), durability, ON_A_FILE)
    } else {
        let store = PostgresProvider::new(&request.database).await?;
        let durability = durability::of_server(store.pool()).await?;
        (Arc::new(store), durability, ON_A_SERVER)
    };
    let options = match request.profile {
        Profile::Stock => RuntimeOptions::default(),
        Profile::Equal => RuntimeOptions {
            dispatcher_min_poll_interval: poll,
            orchestration_concurrency: dispatchers,
            worker_concurrency: dispatchers,
            ..RuntimeOptions::default()
        },
    };
    let settings = format!(
        "{} + {} dispatchers, polling every {} ms",
        options.orchestration_concurrency,
        options.worker_concurrency,
        options.dispatcher_min_poll_interval.as_millis()
    );
    let begun = Begun::default();
    let activities = {
        let begun = begun.clone();
        ActivityRegistry::builder().register("no-op", move |_: ActivityContext, _: String| {
            let begun = begun.clone();
            async move {
                begun.one_more();
                Ok(String::new())
            }
        })
    };
    let orchestrations = OrchestrationRegistry::builder().register("chain", |cx: OrchestrationContext, steps: String| async move {
        for _ in 0..steps.parse().unwrap_or(0) {
            cx.schedule_activity("no-op", "").await?;
        }
        Ok(String::new())
    });
    let _runtime = Runtime::start_with_options(Arc::clone(&store), activities.build(), orchestrations.build(), options).await;
    let client = Client::new(store);
    request.measure(&settings, &durability, &begun, run_all(&client, &request)).await?;
    // What is left of a workload that was given up is not waited for.
    std::process::exit(0)
}

async fn run_all(client: &Client, request: &Request) -> Result<()> {
    let steps = request.steps.to_string();
    let name = |n: usize| format!("run-{n}");
    let started = stream::iter(0..request.runs).map(|n| {
        let steps = steps.clone();
        async move { client.start_orchestration(name(n), "chain", steps).await }
    });
    started.buffer_unordered(REQUESTS).try_collect::<Vec<_>>().await?;
    // One after the other: a client waits by asking again and again.
    for n in 0..request.runs {
        match client.wait_for_orchestration(&name(n), request.limit).await? {
            OrchestrationStatus::Completed { .. } => {}
            other => return Err(format!("{} is {other:?}", name(n)).into()),
        }
    }
    Ok(())
}
