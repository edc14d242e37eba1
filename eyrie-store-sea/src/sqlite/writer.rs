//! Writing to the file: a queue in front of the connections for writing, and transactions that always come to an end.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use eyrie_core::{Error, ErrorKind};
use sea_orm::{DatabaseConnection, SqliteTransactionMode, TransactionOptions, TransactionTrait};
use tokio::runtime::Handle;

use crate::{
    error::Failure,
    rows::RowTx,
    sqlite::{direct::DirectWriter, gate::Gate},
    writer::{Class, Held, WriteTx},
};

/// Hands out the connections for writing, one transaction at a time.
#[derive(Debug, Clone)]
pub(crate) struct SqliteWriter {
    connection: DatabaseConnection,
    direct: Arc<DirectWriter>,
    gate: Arc<Gate>,
    patience: Duration,
    own: Handle,
}

impl SqliteWriter {
    /// A writer over a pool of one connection and a direct one, which waits for other processes up to `patience`; `own` is the
    /// store's own runtime.
    pub(crate) fn new(connection: DatabaseConnection, direct: DirectWriter, patience: Duration, own: Handle) -> Self {
        Self { connection, direct: Arc::new(direct), gate: Arc::new(Gate::default()), patience, own }
    }

    /// Runs `work` in a transaction of rows.
    pub(crate) async fn rows<T, F, Work>(&self, class: Class, work: F) -> Result<T, Failure>
    where
        F: FnOnce(RowTx) -> Work + Send + 'static,
        Work: Future<Output = Result<T, Failure>>,
        T: Send + 'static,
    {
        let turn = Gate::enter(&self.gate, class).await;
        self.direct.run(turn, work).await
    }

    /// Runs `work` in a transaction.
    pub(crate) async fn write<T, F, Work>(&self, class: Class, work: F) -> Result<T, Failure>
    where
        F: FnOnce(WriteTx) -> Work + Send + 'static,
        Work: Future<Output = Result<T, Failure>> + Send,
        T: Send + 'static,
    {
        let writer = self.clone();
        // The engine writes from a thread of its own already; whoever else calls may block its runtime at any time.
        let runtime = if class == Class::Engine { Handle::current() } else { self.own.clone() };
        let task = runtime.spawn(async move {
            let transaction = writer.begin(class).await?;
            work(transaction).await
        });
        task.await
            .unwrap_or_else(|error| Err(Error::new(ErrorKind::OutcomeUnknown, "write", "the write was stopped").with_source(error).into()))
    }

    /// Waits for its turn in this process, then for other processes.
    async fn begin(&self, class: Class) -> Result<WriteTx, Failure> {
        let turn = Gate::enter(&self.gate, class).await;
        let options =
            TransactionOptions { sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate), ..TransactionOptions::default() };
        let begun = Instant::now();
        loop {
            match self.connection.begin_with_options(options).await.map_err(Failure::from) {
                Ok(transaction) => return Ok(WriteTx::new(transaction, Held::Turn(turn))),
                Err(failure) if failure.is_busy() && begun.elapsed() < self.patience => tokio::time::sleep(Duration::from_millis(1)).await,
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Lets the transaction that is under way end, and closes the connection.
    pub(crate) async fn close(&self) {
        let _turn = Gate::enter(&self.gate, Class::Engine).await;
        self.direct.close().await;
        if let Err(error) = self.connection.clone().close().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "the database connection did not close cleanly");
        }
    }
}
