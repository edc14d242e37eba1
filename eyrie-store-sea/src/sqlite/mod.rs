//! Embedded SQLite: one file, one writer at a time, several processes on one machine.

mod change_poller;
mod connect;
mod direct;
mod gate;
mod worker_lock;
mod writer;

/// What every connection is set to.
const SETTINGS: [(&str, &str); 2] = [("cache_size", "-16384"), ("temp_store", "MEMORY")];
/// What those that write are set to besides.
const WRITE_SETTINGS: [(&str, &str); 2] = [("wal_autocheckpoint", "4000"), ("journal_size_limit", "67108864")];

pub(crate) use change_poller::ChangePoller;
pub(crate) use connect::{Connections, connect};
pub(crate) use direct::{DirectReader, DirectTx};
pub(crate) use gate::Turn;
pub(crate) use worker_lock::WorkerLocks;
pub(crate) use writer::SqliteWriter;
