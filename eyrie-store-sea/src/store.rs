//! The store itself.

use std::{fmt, future::Future, sync::Arc};

use eyrie_core::{Clock, Error, Result, SystemClock, Timestamp};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};

use crate::{
    change_poller::ChangePoller,
    connect::{Connections, connect},
    direct::DirectReader,
    error::Failure,
    options::Options,
    own_thread::OwnThread,
    rows::{FromRow, RowStatement, RowTx, Rows, rows_of},
    worker_lock::WorkerLocks,
    writer::{Class, WriteTx, Writer},
};

/// A store in a SQLite file. Clones share their connections.
#[derive(Clone)]
pub struct SeaStore {
    shared: Arc<Shared>,
}

struct Shared {
    url: String,
    read: DatabaseConnection,
    direct_read: DirectReader,
    writer: Writer,
    locks: Arc<WorkerLocks>,
    changes: ChangePoller,
    _thread: OwnThread,
}

impl fmt::Debug for SeaStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SeaStore").field("url", &self.shared.url).finish_non_exhaustive()
    }
}

impl SeaStore {
    /// Opens the database at `url` (`sqlite:PATH`). A file that is not there is made, readable by its owner only.
    ///
    /// # Errors
    /// `Invalid` for an address that names no file in an existing folder; `Incompatible` for a file that is no SQLite database, or
    /// one of another or a newer program (nothing is written to it then); `Unavailable` when the file cannot be opened.
    pub async fn open(url: &str) -> Result<Self> {
        Self::open_with(Options::new(url)).await
    }

    /// Like [`open`](Self::open), with options.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub async fn open_with(options: Options) -> Result<Self> {
        let Connections { path, read, write, direct_write, direct_read, watch } = Box::pin(connect(&options)).await?;
        let thread = OwnThread::start()?;
        let shared = Shared {
            read,
            direct_read,
            writer: Writer::new(write, direct_write, options.busy_timeout, thread.runtime().clone()),
            locks: Arc::new(WorkerLocks::beside(&path)),
            changes: ChangePoller::start(watch, options.change_interval, thread.runtime()),
            url: options.url,
            _thread: thread,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Lets go of the file: waits for the write that is under way, ends the workers' locks, and closes all connections. What is
    /// asked of the store afterwards fails with `Unavailable`.
    pub async fn close(&self) {
        self.shared.changes.close().await;
        self.shared.locks.let_all_go();
        if let Err(error) = self.shared.read.clone().close().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "the reading connections did not close cleanly");
        }
        self.shared.direct_read.close().await;
        self.shared.writer.close().await;
    }

    /// What commits wait for, read back from the database's write connection: `off`, `normal`, `full` or `extra`.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn synchronous(&self) -> Result<&'static str> {
        let read = |tx: WriteTx| async move {
            let statement = Statement::from_string(tx.get_database_backend(), "PRAGMA synchronous");
            let row = tx.query_one_raw(statement).await?.ok_or_else(|| Failure::missing("setting"))?;
            Ok(row.try_get_by_index::<i64>(0)?)
        };
        let level = self.write(Class::Request, "synchronous", read).await?;
        Ok(match level {
            0 => "off",
            1 => "normal",
            2 => "full",
            _ => "extra",
        })
    }

    /// The connections for reading.
    pub(crate) fn read(&self) -> &DatabaseConnection {
        &self.shared.read
    }

    pub(crate) fn writer(&self) -> &Writer {
        &self.shared.writer
    }

    pub(crate) fn locks(&self) -> &Arc<WorkerLocks> {
        &self.shared.locks
    }

    pub(crate) fn changes_of_file(&self) -> &ChangePoller {
        &self.shared.changes
    }

    /// What the statement finds for one row.
    pub(crate) async fn read_rows<M, T>(&self, what: &'static str, statement: &'static RowStatement, row: Rows) -> Result<Vec<T>>
    where
        M: FromRow,
        T: TryFrom<M> + Send + 'static,
        Failure: From<T::Error>,
    {
        let read = move |connection: &rusqlite::Connection| {
            rows_of::<M>(connection, statement, &row)?.into_iter().map(|row| Ok(T::try_from(row)?)).collect()
        };
        self.shared.direct_read.read(read).await.map_err(|failure| failure.into_error(what))
    }

    /// The one thing that the statement finds for one row.
    pub(crate) async fn read_row<M, T>(&self, what: &'static str, statement: &'static RowStatement, row: Rows) -> Result<T>
    where
        M: FromRow,
        T: TryFrom<M> + Send + 'static,
        Failure: From<T::Error>,
    {
        self.read_rows(what, statement, row).await?.pop().ok_or_else(|| Error::not_found(what))
    }

    /// Runs `work` in a transaction of rows that it commits itself.
    pub(crate) async fn rows<T, F, Work>(&self, class: Class, operation: &'static str, work: F) -> Result<T>
    where
        F: FnOnce(RowTx) -> Work + Send + 'static,
        Work: Future<Output = Result<T, Failure>>,
        T: Send + 'static,
    {
        self.shared.writer.rows(class, work).await.map_err(|failure| failure.into_error(operation))
    }

    /// Runs `work` in a write transaction that it commits itself.
    pub(crate) async fn write<T, F, Work>(&self, class: Class, operation: &'static str, work: F) -> Result<T>
    where
        F: FnOnce(WriteTx) -> Work + Send + 'static,
        Work: Future<Output = Result<T, Failure>> + Send,
        T: Send + 'static,
    {
        self.shared.writer.write(class, operation, work).await
    }
}

/// The time now. SQLite has no clock of its own: it is this machine's.
pub(crate) fn now() -> Timestamp {
    SystemClock.now()
}
