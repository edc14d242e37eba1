//! SQLite's own connections, for what the engine waits for.
//!
//! SQLx hands each statement to a thread and back. Here a whole transaction, or a whole answer, is one hand-over.

mod connection;
mod reader;
mod statements;
mod writer;

pub(crate) use connection::SHORT_WAIT;
pub(crate) use reader::DirectReader;
pub(crate) use writer::{DirectTx, DirectWriter};
