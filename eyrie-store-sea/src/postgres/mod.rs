//! PostgreSQL: several machines on one database.

mod announcer;
mod connect;
mod rows;
mod writer;

pub(crate) use announcer::Announcer;
pub(crate) use connect::{Connections, connect, is_postgres, synchronous};
pub(crate) use rows::PgTx;
pub(crate) use writer::{Ending, PostgresWriter};
