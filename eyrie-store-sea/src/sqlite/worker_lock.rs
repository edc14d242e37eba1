//! Locks that die with their process: how one process on this machine knows at once that another one's worker is gone.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use eyrie_core::{Error, ErrorKind, Result, id::WorkerId};

/// How often a poll looks at other workers' locks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How old a file must be before nobody can be about to lock it.
const SETTLED: Duration = Duration::from_secs(10);

/// A folder with one locked file per worker.
#[derive(Debug)]
pub(crate) struct WorkerLocks {
    /// None: nothing is locked, and a worker is dead when its lease is over.
    folder: Option<PathBuf>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The locks that this store holds.
    own: HashMap<WorkerId, File>,
    looked_at: Option<Instant>,
    /// Found dead at the last look.
    dead: HashSet<WorkerId>,
}

impl WorkerLocks {
    /// The locks beside the database at `path`.
    pub(crate) fn beside(path: &Path) -> Self {
        let mut folder = path.as_os_str().to_owned();
        folder.push(".workers");
        Self { folder: Some(folder.into()), state: Mutex::default() }
    }

    /// No locks, for a database that other machines use too.
    #[cfg(feature = "postgres")]
    pub(crate) fn none() -> Self {
        Self { folder: None, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self, worker: WorkerId) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(format!("{worker}.lock")))
    }

    /// Holds a lock for the worker until it is let go or this process ends.
    pub(crate) fn hold(&self, worker: WorkerId) -> Result<()> {
        let (Some(folder), Some(path)) = (&self.folder, self.file(worker)) else { return Ok(()) };
        let made = make_folder(folder).and_then(|()| {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            options.open(&path)
        });
        let file = match made {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(Error::new(ErrorKind::AlreadyExists, "register worker", "a worker of that id exists already"));
            }
            Err(error) => return Err(unusable(error)),
        };
        match file.try_lock() {
            Ok(()) => {
                self.state().own.insert(worker, file);
                Ok(())
            }
            // A file system without locks: other processes then wait for the lease to run out.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
                let _ = fs::remove_file(path);
                Ok(())
            }
            Err(TryLockError::Error(error)) => Err(unusable(error)),
            Err(TryLockError::WouldBlock) => {
                Err(Error::new(ErrorKind::Unavailable, "register worker", "the worker's lock was taken by somebody else"))
            }
        }
    }

    /// Lets the worker's lock go.
    pub(crate) fn let_go(&self, worker: WorkerId) {
        if let Some(file) = self.state().own.remove(&worker) {
            self.remove(worker);
            drop(file);
        }
    }

    /// Lets all locks go.
    pub(crate) fn let_all_go(&self) {
        let own: Vec<_> = self.state().own.keys().copied().collect();
        for worker in own {
            self.let_go(worker);
        }
    }

    /// Which of these workers belonged to a process that is no more.
    pub(crate) fn dead_of(&self, workers: &[WorkerId]) -> Vec<WorkerId> {
        let mut state = self.state();
        let dead: Vec<_> = workers.iter().copied().filter(|worker| !state.own.contains_key(worker) && self.is_dead(*worker)).collect();
        state.dead.extend(&dead);
        dead
    }

    /// Like [`dead_of`](Self::dead_of), but looks only now and then and answers from memory in between.
    pub(crate) fn dead_of_lately(&self, workers: &[WorkerId]) -> bool {
        {
            let mut state = self.state();
            if state.looked_at.is_some_and(|at| at.elapsed() < LOOK_EVERY) {
                return workers.iter().any(|worker| state.dead.contains(worker));
            }
            state.looked_at = Some(Instant::now());
            state.dead.clear();
        }
        !self.dead_of(workers).is_empty()
    }

    /// Workers whose processes are no more, by the files that they left. Files that were just made are passed over: their
    /// makers may not have come to lock them yet.
    pub(crate) fn abandoned(&self) -> Vec<WorkerId> {
        let Some(Ok(files)) = self.folder.as_ref().map(fs::read_dir) else { return Vec::new() };
        let is_settled = |file: &fs::DirEntry| {
            let changed = file.metadata().and_then(|data| data.modified()).ok();
            changed.and_then(|at| at.elapsed().ok()).is_some_and(|age| age > SETTLED)
        };
        let settled = files.flatten().filter(is_settled);
        let workers = settled.filter_map(|file| file.file_name().to_str()?.strip_suffix(".lock")?.parse().ok());
        self.dead_of(&workers.collect::<Vec<_>>())
    }

    /// Takes away what dead workers left.
    pub(crate) fn bury(&self, dead: &[WorkerId]) {
        for worker in dead {
            self.remove(*worker);
        }
    }

    fn remove(&self, worker: WorkerId) {
        if let Some(file) = self.file(worker) {
            let _ = fs::remove_file(file);
        }
    }

    fn is_dead(&self, worker: WorkerId) -> bool {
        // The lock that this takes is let go again at once, when the file is closed.
        let Some(file) = self.file(worker) else { return false };
        OpenOptions::new().read(true).write(true).open(file).is_ok_and(|file| file.try_lock().is_ok())
    }
}

impl Drop for WorkerLocks {
    fn drop(&mut self) {
        self.let_all_go();
    }
}

fn make_folder(path: &Path) -> io::Result<()> {
    let mut folder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o700);
    match folder.create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

fn unusable(error: io::Error) -> Error {
    let kind = if error.kind() == io::ErrorKind::StorageFull { ErrorKind::StorageFull } else { ErrorKind::Unavailable };
    Error::new(kind, "register worker", "the worker's lock beside the database cannot be made").with_source(error)
}
