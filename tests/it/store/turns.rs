//! Turns in a queue that is written to from several sides at the same moment.

use std::{sync::Arc, time::Duration};

use eyrie_core::{
    conformance::{
        commands::{Held, advance, held, record, success},
        fixtures::{LONG, chain, claimed, enqueue, queued},
    },
    id::WorkerId,
    model::{RunKind, RunState},
    store::{End, RunStore, WorkerStore},
};
use eyrie_store_sea::SeaStore;
use eyrie_tests::{postgres::Server, scripts::wait_until};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, Statement, TransactionOptions, TransactionTrait};

/// A database, and what keeps rows of it from its store.
struct Contended {
    store: Arc<SeaStore>,
    url: String,
    db: DatabaseConnection,
}

impl Contended {
    async fn new() -> Self {
        let url = Server::shared_by_all().database().await;
        let store = Arc::new(SeaStore::open(&url).await.expect("the store opens"));
        Self { store, db: Database::connect(&url).await.expect("the server answers"), url }
    }

    async fn lock(&self, rows: &str) -> DatabaseTransaction {
        let other = self.db.begin_with_options(TransactionOptions::default()).await.expect("a transaction");
        other.execute_unprepared(&format!("SELECT id FROM {rows} FOR UPDATE")).await.expect("the rows are locked");
        other
    }

    /// Until so many of the store's connections wait for rows.
    async fn waiting(&self, count: i64) {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        wait_until(Duration::from_secs(20), "somebody waits for the rows", async || {
            let row = self.db.query_one_raw(Statement::from_string(self.db.get_database_backend(), waiting)).await;
            row.expect("the server answers").expect("a count").try_get_by_index::<i64>(0).expect("a count") == count
        })
        .await;
    }

    async fn end(&self, held: &Held) -> tokio::task::JoinHandle<()> {
        let (store, command) = (Arc::clone(&self.store), held.command(advance([success(0)], [], Some(End::Succeed { release: None }))));
        tokio::spawn(async move { assert_eq!(record(&*store, command).await.expect("it is recorded").run_state, RunState::Succeeded) })
    }

    async fn queue(&self, held: &Held) -> tokio::task::JoinHandle<bool> {
        let (store, run) = (Arc::clone(&self.store), enqueue(&held.deployment, RunKind::Deploy, &chain(&["a"])));
        tokio::spawn(async move { store.enqueue(&[run]).await.expect("it is queued").remove(0).expect("it is queued").run.ready })
    }
}

/// The end began when the new run was not there yet, and gets to the queue when it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_ends_sees_who_was_queued_meanwhile() {
    let contended = Contended::new().await;
    let held = held(&*contended.store, "one", &chain(&["a"])).await;
    let other = contended.lock("deployments").await;
    let queueing = contended.queue(&held).await;
    contended.waiting(1).await;
    let ending = contended.end(&held).await;
    contended.waiting(2).await;
    other.commit().await.expect("the transaction commits");
    assert!(!queueing.await.expect("the task ends well"), "it was queued behind the first");
    ending.await.expect("the task ends well");
    assert_eq!(claimed(&*contended.store, held.fence.worker).await.run.deployment_id, held.deployment.id);
}

/// The queueing began when the first run had the turn, and gets to the queue when nobody has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_queues_sees_who_ended_meanwhile() {
    let contended = Contended::new().await;
    let held = held(&*contended.store, "one", &chain(&["a"])).await;
    let other = contended.lock("deployments").await;
    let ending = contended.end(&held).await;
    contended.waiting(1).await;
    let queueing = contended.queue(&held).await;
    contended.waiting(2).await;
    other.commit().await.expect("the transaction commits");
    ending.await.expect("the task ends well");
    assert!(queueing.await.expect("the task ends well"), "it has the turn");
    assert_eq!(claimed(&*contended.store, held.fence.worker).await.run.deployment_id, held.deployment.id);
}

/// Both read that it may begin, and one of them gets it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_who_claim_a_run_at_the_same_moment_one_gets_it() {
    let contended = Contended::new().await;
    let first = held(&*contended.store, "one", &chain(&["a"])).await;
    first.change(&*contended.store, advance([success(0)], [], Some(End::Succeed { release: None }))).await.expect("it ends");
    let run = queued(&*contended.store, &first.deployment, &chain(&["a"])).await.id;
    let other = contended.lock("runs").await;
    let mut claims = Vec::new();
    for count in 1..=2 {
        let store = SeaStore::open(&contended.url).await.expect("the store opens");
        let worker = WorkerId::new();
        store.register_worker(worker, LONG).await.expect("a lease");
        claims.push(tokio::spawn(async move { store.claim(worker, 10).await.expect("the store answers") }));
        contended.waiting(count).await;
    }
    other.commit().await.expect("the transaction commits");
    let mut given = Vec::new();
    for claim in claims {
        given.extend(claim.await.expect("the task ends well").into_iter().map(|claim| (claim.run.id, claim.run.epoch)));
    }
    assert_eq!(given, [(run, 1)]);
}
