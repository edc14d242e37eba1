//! Telling other processes that something was written, and hearing it from them.

use std::{sync::Arc, time::Duration};

use sea_orm::{
    prelude::Uuid,
    sqlx::{self, PgPool, postgres::PgListener},
};
use tokio::{
    runtime::Handle,
    sync::{Notify, watch},
    task::AbortHandle,
};

const CHANNEL: &str = "eyrie_changes";
/// There is nothing in its transaction that would have to reach the disk.
const ANNOUNCE: &str = "SELECT pg_notify($1, $2) FROM set_config('synchronous_commit', 'off', true)";
/// Between two announcements of one process: what is written in the meantime is announced together.
const PAUSE: Duration = Duration::from_millis(5);
/// Between two tries to reach the server again.
const RETRY: Duration = Duration::from_millis(500);

/// Announces and listens until it is closed. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Announcer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    wrote: Arc<Notify>,
    changes: watch::Receiver<u64>,
    tasks: [AbortHandle; 2],
}

impl Announcer {
    /// Starts it on a runtime that is not the program's own.
    pub(crate) fn start(pool: PgPool, on: &Handle) -> Self {
        let wrote = Arc::new(Notify::new());
        let (heard, changes) = watch::channel(0);
        let me = Uuid::now_v7().to_string();
        let announce = on.spawn(announce(pool.clone(), Arc::clone(&wrote), me.clone())).abort_handle();
        let listen = on.spawn(listen(pool, heard, me)).abort_handle();
        Self(Arc::new(Inner { wrote, changes, tasks: [announce, listen] }))
    }

    /// Says that this process wrote something.
    pub(crate) fn announce(&self) {
        self.0.wrote.notify_one();
    }

    /// A receiver whose value changes after another process wrote, or when that may have been missed.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.0.changes.clone()
    }

    /// Stops both.
    pub(crate) fn close(&self) {
        for task in &self.0.tasks {
            task.abort();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn announce(pool: PgPool, wrote: Arc<Notify>, me: String) {
    loop {
        wrote.notified().await;
        let told = sqlx::query(ANNOUNCE).bind(CHANNEL).bind(&me).execute(&pool).await;
        if let Err(error) = told {
            // The others look for themselves every second.
            tracing::debug!(error = &error as &dyn std::error::Error, "a write could not be announced");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn listen(pool: PgPool, heard: watch::Sender<u64>, me: String) {
    loop {
        if let Err(error) = listen_once(&pool, &heard, &me).await {
            tracing::debug!(error = &error as &dyn std::error::Error, "the announcements of other processes cannot be heard now");
        }
        heard.send_modify(|count| *count += 1);
        tokio::time::sleep(RETRY).await;
    }
}

async fn listen_once(pool: &PgPool, heard: &watch::Sender<u64>, me: &str) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    heard.send_modify(|count| *count += 1);
    // None: the connection was lost, and with it what was said in between.
    while let Some(said) = listener.try_recv().await? {
        if said.payload() != me {
            heard.send_modify(|count| *count += 1);
        }
    }
    Ok(())
}
