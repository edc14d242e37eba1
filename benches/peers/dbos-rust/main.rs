//! The two workloads on DBOS Transact for Rust, on PostgreSQL.

use dbos::{Config, DBOS, WorkflowRef};
use futures_util::{StreamExt, TryStreamExt, stream};
use sqlx::{Connection, PgConnection};
use workload::{Begun, Profile, REQUESTS, Request, Result};

/// Connections with settings of ours; it comes with 10.
const CONNECTIONS: u32 = 20;

#[tokio::main]
async fn main() -> Result<()> {
    let request = Request::from_arguments()?;
    let config = Config { app_version: Some("1".to_owned()), ..Config::new("bench", &request.database) };
    let config = match request.profile {
        Profile::Stock => config,
        Profile::Equal => Config { max_connections: CONNECTIONS, ..config },
    };
    let settings = format!("pool of {}", config.max_connections);
    let dbos = DBOS::new(config);
    let begun = Begun::default();
    let chain = {
        let begun = begun.clone();
        dbos.register_workflow("chain", move |steps: usize| {
            let begun = begun.clone();
            async move {
                for _ in 0..steps {
                    dbos::step("no-op", || async {
                        begun.one_more();
                        dbos::Result::Ok(())
                    })
                    .await?;
                }
                dbos::Result::Ok(())
            }
        })?
    };
    dbos.launch().await?;
    let durability = durability(&request.database).await?;
    request.measure(&settings, &durability, &begun, run_all(&chain, request.runs, request.steps)).await?;
    // What is left of a workload that was given up is not waited for.
    std::process::exit(0)
}

async fn run_all(chain: &WorkflowRef<usize, ()>, runs: usize, steps: usize) -> Result<()> {
    let started = stream::iter(0..runs).map(|_| chain.start(steps));
    let handles: Vec<_> = started.buffer_unordered(REQUESTS).try_collect().await?;
    for handle in handles {
        handle.result().await?;
    }
    Ok(())
}

/// What a connection of the same user to the same database is told. The pool of DBOS is its own, and it sets neither.
async fn durability(database: &str) -> Result<String> {
    let mut connection = PgConnection::connect(database).await?;
    let read = "SELECT 'fsync=' || current_setting('fsync') || ' synchronous_commit=' || current_setting('synchronous_commit')";
    Ok(sqlx::query_scalar(read).fetch_one(&mut connection).await?)
}
