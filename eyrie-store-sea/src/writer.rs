//! Write transactions, whatever the database.

use std::{future::Future, ops::Deref};

use eyrie_core::{Result, Timestamp};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, prelude::Uuid};

#[cfg(feature = "postgres")]
use crate::postgres::{Ending, PostgresWriter};
use crate::{
    error::Failure,
    rows::RowTx,
    sqlite::{SqliteWriter, Turn},
    store::now,
};

/// Whose turn comes first where only one can write. Within a class it is first come, first served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// What keeps runs going: claims, commands, new runs, leases.
    Engine,
    /// What people ask for.
    Request,
    /// What can wait: run logs, refusals.
    Background,
}

/// Runs write transactions. Each comes to its end also when the caller goes away.
#[derive(Debug, Clone)]
pub(crate) enum Writer {
    /// To a file.
    Sqlite(SqliteWriter),
    /// To a server.
    #[cfg(feature = "postgres")]
    Postgres(PostgresWriter),
}

impl Writer {
    /// Runs `work`, which waits for nothing but its statements, in a transaction of rows that it commits itself. It may be run
    /// again, from the beginning, when others were in its way.
    pub(crate) async fn rows<T, F, Work>(&self, class: Class, work: F) -> Result<T, Failure>
    where
        F: Fn(RowTx) -> Work + Send + Sync + 'static,
        Work: Future<Output = Result<T, Failure>> + Send,
        T: Send + 'static,
    {
        match self {
            Self::Sqlite(writer) => writer.rows(class, work).await,
            #[cfg(feature = "postgres")]
            Self::Postgres(writer) => writer.rows(work).await,
        }
    }

    /// Runs `work` in a transaction that it commits itself, with the error as the ports want it. It may be run again, from the
    /// beginning, when others were in its way.
    pub(crate) async fn write<T, F, Work>(&self, class: Class, operation: &'static str, work: F) -> Result<T>
    where
        F: FnOnce(WriteTx) -> Work + Clone + Send + Sync + 'static,
        Work: Future<Output = Result<T, Failure>> + Send,
        T: Send + 'static,
    {
        let done = match self {
            Self::Sqlite(writer) => writer.write(class, work).await,
            #[cfg(feature = "postgres")]
            Self::Postgres(writer) => writer.write(class, work).await,
        };
        done.map_err(|failure| failure.into_error(operation))
    }

    /// Lets the transactions that are under way end, and closes the connections.
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(writer) => writer.close().await,
            #[cfg(feature = "postgres")]
            Self::Postgres(writer) => writer.close().await,
        }
    }
}

/// A write transaction. Dropped without [`commit`](Self::commit), it is rolled back.
#[derive(Debug)]
pub(crate) struct WriteTx {
    transaction: DatabaseTransaction,
    held: Held,
}

/// What a transaction holds until it is over.
#[derive(Debug)]
pub(crate) enum Held {
    /// The turn to write.
    Turn(#[allow(dead_code, reason = "held, not looked at")] Turn),
    /// What its end needs.
    #[cfg(feature = "postgres")]
    Ending(Ending),
}

impl WriteTx {
    /// Over a transaction that has begun.
    pub(crate) fn new(transaction: DatabaseTransaction, held: Held) -> Self {
        Self { transaction, held }
    }

    /// The database's time when the transaction began.
    pub(crate) fn now(&self) -> Timestamp {
        match &self.held {
            Held::Turn(_) => now(),
            #[cfg(feature = "postgres")]
            Held::Ending(ending) => ending.now(),
        }
    }

    /// The transaction keeps this audit entry, by which its end can be told when its commit gets no answer.
    pub(crate) fn prove_by(&self, entry: Uuid) {
        match &self.held {
            Held::Turn(_) => {
                let _ = entry;
            }
            #[cfg(feature = "postgres")]
            Held::Ending(ending) => ending.prove_by(entry),
        }
    }

    /// Keeps others from adding to the table until the transaction is over, where several can write at the same time.
    pub(crate) async fn alone(&self, table: &'static str) -> Result<(), Failure> {
        if self.transaction.get_database_backend() == DbBackend::Postgres {
            self.transaction.execute_unprepared(&format!("LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE")).await?;
        }
        Ok(())
    }

    /// Makes everything durable.
    pub(crate) async fn commit(self) -> Result<(), Failure> {
        let Self { transaction, held } = self;
        let done = transaction.commit().await.map_err(|error| Failure::Commit(error.into()));
        match held {
            Held::Turn(turn) => {
                drop(turn);
                done
            }
            #[cfg(feature = "postgres")]
            Held::Ending(ending) => ending.of(done).await,
        }
    }
}

impl Deref for WriteTx {
    type Target = DatabaseTransaction;

    fn deref(&self) -> &DatabaseTransaction {
        &self.transaction
    }
}
