//! The store itself.

use std::{fmt, future::Future, sync::Arc};

use eyrie_core::{Clock, Error, Result, SystemClock, Timestamp};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use tokio::sync::watch;

#[cfg(feature = "postgres")]
use crate::postgres::{self, Announcer, PostgresWriter};
use crate::{
    error::Failure,
    options::Options,
    own_thread::OwnThread,
    rows::{FromRow, RowStatement, RowTx, Rows, rows_of},
    run::HeldRuns,
    sqlite::{self, ChangePoller, DirectReader, SqliteWriter, WorkerLocks},
    writer::{Class, WriteTx, Writer},
};

/// A store in a SQLite file or a PostgreSQL database. Clones share their connections.
#[derive(Clone)]
pub struct SeaStore {
    shared: Arc<Shared>,
}

struct Shared {
    place: String,
    read: DatabaseConnection,
    row_reader: RowReader,
    writer: Writer,
    locks: Arc<WorkerLocks>,
    held: Arc<HeldRuns>,
    changes: Changes,
    _thread: OwnThread,
}

/// What reads rows for the engine.
enum RowReader {
    Sqlite(DirectReader),
    #[cfg(feature = "postgres")]
    Postgres(PostgresWriter),
}

/// What hears that others wrote.
enum Changes {
    Sqlite(ChangePoller),
    #[cfg(feature = "postgres")]
    Postgres(Announcer),
}

impl fmt::Debug for SeaStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SeaStore").field("place", &self.shared.place).finish_non_exhaustive()
    }
}

impl SeaStore {
    /// Opens the database at `url`: `sqlite:PATH`, or with the feature `postgres` `postgres://USER:PASSWORD@HOST/DATABASE`. A file
    /// that is not there is made, readable by its owner only; a PostgreSQL database must be there, and gets its tables.
    ///
    /// # Errors
    /// `Invalid` for an address that names no file in an existing folder, or no database that exists; `Denied` when the server
    /// refuses the user, or the user may do too little; `Incompatible` for a file that is no SQLite database, a server older than
    /// PostgreSQL 13, or a database of another or a newer program (nothing is written to it then); `Unavailable` when the file
    /// cannot be opened or the server cannot be reached.
    pub async fn open(url: &str) -> Result<Self> {
        Self::open_with(Options::new(url)).await
    }

    /// Like [`open`](Self::open), with options.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub async fn open_with(options: Options) -> Result<Self> {
        #[cfg(feature = "postgres")]
        if postgres::is_postgres(&options.url) {
            return Box::pin(Self::open_postgres(options)).await;
        }
        let sqlite::Connections { path, read, write, direct_write, direct_read, watch } = Box::pin(sqlite::connect(&options)).await?;
        let thread = OwnThread::start()?;
        let shared = Shared {
            place: options.url,
            read,
            row_reader: RowReader::Sqlite(direct_read),
            writer: Writer::Sqlite(SqliteWriter::new(write, direct_write, options.busy_timeout, thread.runtime().clone())),
            locks: Arc::new(WorkerLocks::beside(&path)),
            held: Arc::default(),
            changes: Changes::Sqlite(ChangePoller::start(watch, options.change_interval, thread.runtime())),
            _thread: thread,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    #[cfg(feature = "postgres")]
    async fn open_postgres(options: Options) -> Result<Self> {
        let connections = postgres::connect(&options).await?;
        let thread = OwnThread::start()?;
        let announcer = Announcer::start(connections.engine.clone(), thread.runtime());
        let writer = PostgresWriter::new(&connections, announcer.clone(), options.busy_timeout, thread.runtime().clone());
        let postgres::Connections { read, place, .. } = connections;
        let shared = Shared {
            place,
            read,
            row_reader: RowReader::Postgres(writer.clone()),
            writer: Writer::Postgres(writer),
            locks: Arc::new(WorkerLocks::none()),
            held: Arc::default(),
            changes: Changes::Postgres(announcer),
            _thread: thread,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Lets go of the database: waits for the write that is under way, ends the workers' locks, and closes all connections. What is
    /// asked of the store afterwards fails with `Unavailable`.
    pub async fn close(&self) {
        match &self.shared.changes {
            Changes::Sqlite(poller) => poller.close().await,
            #[cfg(feature = "postgres")]
            Changes::Postgres(announcer) => announcer.close(),
        }
        self.shared.locks.let_all_go();
        if let Err(error) = self.shared.read.clone().close().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "the reading connections did not close cleanly");
        }
        match &self.shared.row_reader {
            RowReader::Sqlite(reader) => reader.close().await,
            #[cfg(feature = "postgres")]
            RowReader::Postgres(_) => {}
        }
        self.shared.writer.close().await;
    }

    /// What commits wait for, read back from the database's write connection. SQLite: `off`, `normal`, `full` or `extra`.
    /// PostgreSQL: `off` (also when the server does not use fsync), `local`, `remote_write`, `on` or `remote_apply`.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn synchronous(&self) -> Result<&'static str> {
        #[cfg(feature = "postgres")]
        if self.is_server() {
            return postgres::synchronous(self.read().get_postgres_connection_pool())
                .await
                .map_err(|failure| failure.into_error("synchronous"));
        }
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

    /// What is known of the runs that workers of this process hold.
    pub(crate) fn held(&self) -> &Arc<HeldRuns> {
        &self.shared.held
    }

    /// A receiver whose value changes when somebody else may have written.
    pub(crate) fn heard(&self) -> watch::Receiver<u64> {
        match &self.shared.changes {
            Changes::Sqlite(poller) => poller.subscribe(),
            #[cfg(feature = "postgres")]
            Changes::Postgres(announcer) => announcer.subscribe(),
        }
    }

    /// Whether the database is a server.
    pub(crate) fn is_server(&self) -> bool {
        !matches!(self.shared.row_reader, RowReader::Sqlite(_))
    }

    /// What the statement finds for one row.
    pub(crate) async fn read_rows<M, T>(&self, what: &'static str, statement: &'static RowStatement, row: Rows) -> Result<Vec<T>>
    where
        M: FromRow,
        T: TryFrom<M> + Send + 'static,
        Failure: From<T::Error>,
    {
        let converted = |rows: Vec<M>| rows.into_iter().map(|row| Ok(T::try_from(row)?)).collect::<Result<Vec<T>, Failure>>();
        let read = match &self.shared.row_reader {
            RowReader::Sqlite(reader) => reader.read(move |connection| converted(rows_of(connection, statement, &row)?)).await,
            #[cfg(feature = "postgres")]
            RowReader::Postgres(reader) => reader.read(statement, row).await.and_then(converted),
        };
        read.map_err(|failure| failure.into_error(what))
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
        F: Fn(RowTx) -> Work + Send + Sync + 'static,
        Work: Future<Output = Result<T, Failure>> + Send,
        T: Send + 'static,
    {
        self.shared.writer.rows(class, work).await.map_err(|failure| failure.into_error(operation))
    }

    /// Runs `work` in a write transaction that it commits itself; again, from the beginning, when others were in its way.
    pub(crate) async fn write<T, F, Work>(&self, class: Class, operation: &'static str, work: F) -> Result<T>
    where
        F: FnOnce(WriteTx) -> Work + Clone + Send + Sync + 'static,
        Work: Future<Output = Result<T, Failure>> + Send,
        T: Send + 'static,
    {
        self.shared.writer.write(class, operation, work).await
    }
}

/// The time now, for a file: SQLite has no clock of its own, so it is this machine's.
pub(crate) fn now() -> Timestamp {
    SystemClock.now()
}
