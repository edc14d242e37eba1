//! A thread of the store's own: what people ask for is written there, and the file is watched from there, so that a program
//! which blocks its runtime can neither hold a transaction open nor stop hearing of changes.

use eyrie_core::{Error, ErrorKind, Result};
use tokio::runtime::{Builder, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};

/// The thread, which ends when this is dropped.
#[derive(Debug)]
pub(crate) struct OwnThread {
    runtime: Handle,
    _end: DropGuard,
}

impl OwnThread {
    /// Starts the thread.
    pub(crate) fn start() -> Result<Self> {
        let failed = |error| Error::new(ErrorKind::Unavailable, "open store", "the store's thread could not be made").with_source(error);
        let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let (handle, end) = (runtime.handle().clone(), CancellationToken::new());
        let ended = end.clone();
        let main = move || {
            runtime.block_on(ended.cancelled());
            runtime.shutdown_background();
        };
        std::thread::Builder::new().name("eyrie-store".to_owned()).spawn(main).map_err(failed)?;
        Ok(Self { runtime: handle, _end: end.drop_guard() })
    }

    /// The runtime on that thread.
    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }
}
