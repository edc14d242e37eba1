//! Threads that read.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, mpsc},
};

use eyrie_core::{Error, ErrorKind, Result};
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::{error::Failure, options::Options, sqlite::direct::connection::open_reader};

/// How many read at the same time.
const THREADS: usize = 2;

type Job = Box<dyn FnOnce(&Source, &mut Option<Connection>) + Send>;

/// The way to the threads. They end when this is dropped or closed.
pub(crate) struct DirectReader {
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    ended: tokio::sync::Mutex<tokio::sync::mpsc::Receiver<()>>,
}

/// Where connections come from.
#[derive(Debug)]
struct Source {
    path: PathBuf,
    options: Options,
}

impl fmt::Debug for DirectReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectReader").finish_non_exhaustive()
    }
}

impl DirectReader {
    /// Starts the threads. Each opens its connection when it is first needed.
    pub(crate) fn start(path: &Path, options: &Options) -> Result<Self> {
        let failed = |error| Error::new(ErrorKind::Unavailable, "open store", "the store's thread could not be made").with_source(error);
        let source = Arc::new(Source { path: path.to_owned(), options: options.clone() });
        let (jobs, work) = mpsc::channel::<Job>();
        let work = Arc::new(Mutex::new(work));
        let (alive, ended) = tokio::sync::mpsc::channel(1);
        for _ in 0..THREADS {
            let (work, source, alive) = (Arc::clone(&work), Arc::clone(&source), alive.clone());
            let main = move || {
                let mut connection = None;
                loop {
                    let next = work.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok(job) = next else { break };
                    if catch_unwind(AssertUnwindSafe(|| job(&source, &mut connection))).is_err() {
                        connection = None;
                    }
                }
                drop(connection);
                drop(alive);
            };
            std::thread::Builder::new().name("eyrie-read".to_owned()).spawn(main).map_err(failed)?;
        }
        Ok(Self { jobs: Mutex::new(Some(jobs)), ended: tokio::sync::Mutex::new(ended) })
    }

    /// Reads something.
    pub(crate) async fn read<T, F>(&self, work: F) -> Result<T, Failure>
    where
        F: FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
        T: Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job = move |source: &Source, connection: &mut Option<Connection>| {
            let open = match connection.take() {
                Some(open) => Ok(open),
                None => open_reader(&source.path, &source.options).map_err(Failure::from),
            };
            let done = open.and_then(|open| work(connection.insert(open)));
            drop(answer.send(done));
        };
        let sent = match &*self.jobs.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(jobs) => jobs.send(Box::new(job)).is_ok(),
            None => false,
        };
        let closed = || Error::new(ErrorKind::Unavailable, "read", "the store was closed").into();
        if sent { answered.await.unwrap_or_else(|_| Err(closed())) } else { Err(closed()) }
    }

    /// Lets the threads end, once they have answered what they were asked.
    pub(crate) async fn close(&self) {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take();
        while self.ended.lock().await.recv().await.is_some() {}
    }
}
