//! PostgreSQL: several machines on one database.

/// The database's time, and the id of the transaction, by which its end can be looked up.
macro_rules! stamp {
    () => {
        "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::int8, pg_current_xact_id()::text"
    };
}

mod announcer;
mod clock;
mod connect;
mod rows;
mod statements;
mod writer;

pub(crate) use announcer::Announcer;
pub(crate) use connect::{Connections, connect, is_postgres, synchronous};
pub(crate) use rows::PgTx;
pub(crate) use writer::{Ending, PostgresWriter};
