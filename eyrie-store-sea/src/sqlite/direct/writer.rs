//! The thread that commits what the engine waits for.

use std::{
    fmt,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    pin::pin,
    sync::{Arc, Mutex, PoisonError, mpsc},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use eyrie_core::{Error, ErrorKind, Result};
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::{error::Failure, options::Options, rows::RowTx, sqlite::direct::connection::open_writer};

type Job = Box<dyn FnOnce() + Send>;

/// The way to the thread. The thread ends when this is dropped.
#[derive(Debug)]
pub(crate) struct DirectWriter {
    jobs: mpsc::Sender<Job>,
    home: Arc<Home>,
}

/// Where the connection is between transactions.
struct Home {
    path: PathBuf,
    options: Options,
    idle: Mutex<Idle>,
}

enum Idle {
    Connection(Connection),
    /// In use, or given up; opened anew when needed.
    None,
    Closed,
}

impl fmt::Debug for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Home").field("path", &self.path).finish_non_exhaustive()
    }
}

impl DirectWriter {
    /// Starts the thread. The connection is opened with its first transaction.
    pub(crate) fn start(path: &Path, options: &Options) -> Result<Self> {
        let failed = |error| Error::new(ErrorKind::Unavailable, "open store", "the store's thread could not be made").with_source(error);
        let (jobs, work) = mpsc::channel::<Job>();
        let main = move || {
            while let Ok(job) = work.recv() {
                // Who waits for the job hears of a panic by its answer's end; the transaction is rolled back by its drop.
                drop(catch_unwind(AssertUnwindSafe(job)));
            }
        };
        std::thread::Builder::new().name("eyrie-commit".to_owned()).spawn(main).map_err(failed)?;
        let home = Home { path: path.to_owned(), options: options.clone(), idle: Mutex::new(Idle::None) };
        Ok(Self { jobs, home: Arc::new(home) })
    }

    /// Runs `work` in a transaction that it commits itself. `held` is dropped when the transaction is over. It comes to its end
    /// also when the caller goes away.
    pub(crate) async fn run<T, F, Work, Held>(&self, held: Held, work: F) -> Result<T, Failure>
    where
        F: FnOnce(RowTx) -> Work + Send + 'static,
        Work: Future<Output = Result<T, Failure>>,
        T: Send + 'static,
        Held: Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let home = Arc::clone(&self.home);
        let job = move || {
            let done = DirectTx::begin(home).and_then(|tx| at_once(work(RowTx::Sqlite(tx))));
            drop(held);
            drop(answer.send(done));
        };
        let stopped = || Error::new(ErrorKind::OutcomeUnknown, "write", "the write was stopped").into();
        if self.jobs.send(Box::new(job)).is_err() {
            return Err(stopped());
        }
        answered.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Closes the connection for good, once the transaction that is under way has ended.
    pub(crate) async fn close(&self) {
        let (answer, answered) = oneshot::channel::<()>();
        let home = Arc::clone(&self.home);
        let job = move || {
            home.put(Idle::Closed);
            drop(answer);
        };
        if self.jobs.send(Box::new(job)).is_ok() {
            drop(answered.await);
        }
    }
}

/// The outcome of work that never waits: on this connection every statement is carried out before it returns.
fn at_once<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    match pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => Err(Error::new(ErrorKind::Internal, "write", "a transaction waited for something else").into()),
    }
}

impl Home {
    fn put(&self, idle: Idle) {
        *self.idle.lock().unwrap_or_else(PoisonError::into_inner) = idle;
    }

    fn take(&self) -> Result<Connection, Failure> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *idle, Idle::None) {
            Idle::Connection(connection) => Ok(connection),
            Idle::None => Ok(open_writer(&self.path, &self.options)?),
            Idle::Closed => {
                *idle = Idle::Closed;
                Err(Error::new(ErrorKind::Unavailable, "write", "the store was closed").into())
            }
        }
    }
}

/// A transaction that holds the write lock. Dropped without [`commit`](Self::commit), it is rolled back.
pub(crate) struct DirectTx {
    home: Arc<Home>,
    connection: Option<Connection>,
}

impl fmt::Debug for DirectTx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectTx").field("home", &self.home).finish_non_exhaustive()
    }
}

impl DirectTx {
    /// Waits for other processes up to the time that the store was opened with.
    fn begin(home: Arc<Home>) -> Result<Self, Failure> {
        let connection = home.take()?;
        let patience = home.options.busy_timeout;
        let tx = Self { home, connection: Some(connection) };
        let begun = Instant::now();
        loop {
            match tx.run("BEGIN IMMEDIATE").map_err(Failure::from) {
                Ok(()) => return Ok(tx),
                Err(failure) if failure.is_busy() && begun.elapsed() < patience => std::thread::sleep(Duration::from_millis(1)),
                Err(failure) => return Err(failure),
            }
        }
    }

    /// The connection that the transaction is on.
    pub(crate) fn connection(&self) -> Result<&Connection, Failure> {
        self.connection.as_ref().ok_or_else(|| Error::new(ErrorKind::Internal, "write", "the transaction is over").into())
    }

    fn run(&self, sql: &str) -> rusqlite::Result<()> {
        match &self.connection {
            Some(connection) => connection.prepare_cached(sql)?.execute([]).map(drop),
            None => Ok(()),
        }
    }

    /// Makes everything durable.
    pub(crate) fn commit(self) -> Result<(), Failure> {
        self.run("COMMIT").map_err(|error| Failure::Commit(error.into()))
    }
}

impl Drop for DirectTx {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        // After some errors SQLite ends a transaction by itself.
        let is_over = connection.is_autocommit() || connection.execute_batch("ROLLBACK").is_ok();
        self.home.put(if is_over { Idle::Connection(connection) } else { Idle::None });
    }
}
