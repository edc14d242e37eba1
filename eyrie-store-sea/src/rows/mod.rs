//! Statements over many rows, and the transactions that carry them out: what the engine waits for.
//!
//! Each database gets the form that it is fastest with. SQLite carries a prepared statement out once a row, on a connection of
//! its own in the thread that commits ([`direct`](crate::direct)): crossing into another thread for each statement costs more
//! than the statement.

mod cell;
mod decode;
mod statement;
mod transaction;

pub(crate) use cell::{Cell, Rows};
pub(crate) use decode::{FromRow, RowRef, from_row};
pub(crate) use statement::{Kind, RowStatement};
pub(crate) use transaction::{RowTx, STATEMENT_TIME, rows_of};
