//! A write transaction that carries out row statements.

use rusqlite::Connection;

use crate::{
    direct::DirectTx,
    error::Failure,
    rows::{FromRow, RowRef, RowStatement, Rows},
};

/// A write transaction. Dropped without [`commit`](Self::commit), it is rolled back.
#[derive(Debug)]
pub(crate) struct RowTx {
    direct: DirectTx,
}

impl RowTx {
    /// Over a transaction of SQLite's.
    pub(crate) fn new(direct: DirectTx) -> Self {
        Self { direct }
    }

    /// Carries the statement out for all rows; how many stored rows that touched.
    pub(crate) async fn execute(&mut self, statement: &RowStatement, rows: Rows) -> Result<u64, Failure> {
        if rows.is_empty() {
            return Ok(0);
        }
        debug_assert!(rows.iter().all(|row| row.len() == statement.width()), "{}", statement.one_row());
        let mut prepared = self.direct.connection()?.prepare_cached(statement.one_row())?;
        let mut touched = 0;
        for row in rows.iter() {
            touched += prepared.execute(rusqlite::params_from_iter(row))? as u64;
        }
        Ok(touched)
    }

    /// Reads what the statement finds for all rows.
    pub(crate) async fn read<M: FromRow>(&mut self, statement: &RowStatement, rows: Rows) -> Result<Vec<M>, Failure> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        rows_of(self.direct.connection()?, statement, &rows)
    }

    /// Makes everything durable.
    pub(crate) async fn commit(self) -> Result<(), Failure> {
        self.direct.commit()
    }
}

/// Reads what the statement finds for all rows, on a connection of SQLite's.
pub(crate) fn rows_of<M: FromRow>(connection: &Connection, statement: &RowStatement, rows: &Rows) -> Result<Vec<M>, Failure> {
    debug_assert!(rows.iter().all(|row| row.len() == statement.width()), "{}", statement.one_row());
    let mut all = Vec::with_capacity(rows.len());
    let mut prepared = connection.prepare_cached(statement.one_row())?;
    for row in rows.iter() {
        let mut found = prepared.query(rusqlite::params_from_iter(row))?;
        while let Some(row) = found.next()? {
            all.push(M::from_row(&mut RowRef::new(row))?);
        }
    }
    Ok(all)
}
