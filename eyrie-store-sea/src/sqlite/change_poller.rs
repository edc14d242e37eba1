//! Hearing that somebody wrote to the file: SQLite counts that in `data_version`.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use tokio::{
    runtime::Handle,
    sync::watch,
    task::AbortHandle,
    time::{MissedTickBehavior, interval},
};

/// Watches the file until it is dropped.
#[derive(Debug)]
pub(crate) struct ChangePoller {
    connection: DatabaseConnection,
    changes: watch::Receiver<u64>,
    task: AbortHandle,
}

impl ChangePoller {
    /// Looks at the file through `connection`, a pool of one that is used for nothing else.
    pub(crate) fn start(connection: DatabaseConnection, every: Duration, on: &Handle) -> Self {
        let (sender, changes) = watch::channel(0);
        let task = on.spawn(poll(connection.clone(), every, sender)).abort_handle();
        Self { connection, changes, task }
    }

    /// A receiver whose value changes after somebody wrote.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changes.clone()
    }

    /// Stops looking.
    pub(crate) async fn close(&self) {
        self.task.abort();
        if let Err(error) = self.connection.clone().close().await {
            tracing::debug!(error = &error as &dyn std::error::Error, "the watching connection did not close cleanly");
        }
    }
}

impl Drop for ChangePoller {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn poll(connection: DatabaseConnection, every: Duration, changes: watch::Sender<u64>) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = None;
    loop {
        ticks.tick().await;
        match data_version(&connection).await {
            Ok(version) if last == Some(version) => {}
            Ok(version) => {
                if last.replace(version).is_some() {
                    changes.send_modify(|value| *value += 1);
                }
            }
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "the file cannot be watched now");
                last = None;
                changes.send_modify(|value| *value += 1);
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

async fn data_version(connection: &DatabaseConnection) -> Result<i64, sea_orm::DbErr> {
    let statement = Statement::from_string(connection.get_database_backend(), "PRAGMA data_version");
    match connection.query_one_raw(statement).await? {
        Some(row) => row.try_get_by_index(0),
        None => Ok(0),
    }
}
