//! Embedded SQLite: one file, one writer at a time, several processes on one machine.

mod change_poller;
mod connect;
mod direct;
mod gate;
mod worker_lock;
mod writer;

pub(crate) use change_poller::ChangePoller;
pub(crate) use connect::{Connections, connect};
pub(crate) use direct::{DirectReader, DirectTx};
pub(crate) use gate::Turn;
pub(crate) use worker_lock::WorkerLocks;
pub(crate) use writer::SqliteWriter;
