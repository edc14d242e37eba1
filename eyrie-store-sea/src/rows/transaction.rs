//! A write transaction that carries out row statements.

use std::time::Duration;

use eyrie_core::{Timestamp, store::Statements};
use rusqlite::Connection;

#[cfg(feature = "postgres")]
use crate::postgres::PgTx;
use crate::{
    error::Failure,
    rows::{FromRow, RowRef, RowStatement, Rows},
    sqlite::DirectTx,
    store::now,
};

/// How long the statements of one step may take: everybody else's transitions wait behind them.
pub(crate) const STATEMENT_TIME: Duration = Duration::from_secs(2);

/// A write transaction. Dropped without [`commit`](Self::commit), it is rolled back.
#[derive(Debug)]
pub(crate) enum RowTx {
    /// On a file: no statement waits.
    Sqlite(DirectTx),
    /// On a server.
    #[cfg(feature = "postgres")]
    Postgres(PgTx),
}

impl RowTx {
    /// The database's time when the transaction began.
    pub(crate) fn now(&self) -> Timestamp {
        match self {
            Self::Sqlite(_) => now(),
            #[cfg(feature = "postgres")]
            Self::Postgres(tx) => tx.now(),
        }
    }

    /// Whether others may write while this transaction does.
    pub(crate) fn has_rivals(&self) -> bool {
        !matches!(self, Self::Sqlite(_))
    }

    /// Carries out a statement that only matters where several transactions write at the same time: it locks rows.
    pub(crate) async fn lock(&mut self, statement: &'static RowStatement, rows: Rows) -> Result<(), Failure> {
        match self {
            Self::Sqlite(_) => drop((statement, rows)),
            #[cfg(feature = "postgres")]
            Self::Postgres(tx) => drop(tx.execute(statement, &rows).await?),
        }
        Ok(())
    }

    /// Carries the statement out for all rows; how many stored rows that touched.
    pub(crate) async fn execute(&mut self, statement: &'static RowStatement, rows: Rows) -> Result<u64, Failure> {
        if rows.is_empty() {
            return Ok(0);
        }
        debug_assert!(rows.iter().all(|row| row.len() == statement.width()), "{statement:?}");
        match self {
            Self::Sqlite(direct) => {
                let mut prepared = direct.connection()?.prepare_cached(statement.one_row())?;
                let mut touched = 0;
                for row in rows.iter() {
                    touched += prepared.execute(rusqlite::params_from_iter(row))? as u64;
                }
                Ok(touched)
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(tx) => tx.execute(statement, &rows).await,
        }
    }

    /// Carries several statements out, none of which depends on another; how many stored rows each touched.
    pub(crate) async fn execute_together<const N: usize>(&mut self, all: [(&'static RowStatement, Rows); N]) -> Result<[u64; N], Failure> {
        let mut touched = [0; N];
        let some = all.into_iter().enumerate().filter(|(_, (_, rows))| !rows.is_empty());
        match self {
            Self::Sqlite(_) => {
                for (place, (statement, rows)) in some {
                    touched[place] = Box::pin(self.execute(statement, rows)).await?;
                }
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(tx) => {
                let (places, some): (Vec<_>, Vec<_>) = some.unzip();
                if !some.is_empty() {
                    for (place, count) in places.into_iter().zip(tx.execute_together(&some).await?) {
                        touched[place] = count;
                    }
                }
            }
        }
        Ok(touched)
    }

    /// Reads what the statement finds for all rows.
    pub(crate) async fn read<M: FromRow>(&mut self, statement: &'static RowStatement, rows: Rows) -> Result<Vec<M>, Failure> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        match self {
            Self::Sqlite(direct) => rows_of(direct.connection()?, statement, &rows),
            #[cfg(feature = "postgres")]
            Self::Postgres(tx) => tx.read(statement, &rows).await,
        }
    }

    /// Carries out the statements of a step, in order. The inner error: none of them left anything, and why.
    pub(crate) async fn carry_out(&mut self, statements: &Statements) -> Result<Result<(), String>, Failure> {
        match self {
            Self::Sqlite(direct) => direct.carry_out(statements),
            #[cfg(feature = "postgres")]
            Self::Postgres(tx) => tx.carry_out(statements).await,
        }
    }

    /// Takes everything back, and lets go of what was locked.
    pub(crate) async fn roll_back(self) -> Result<(), Failure> {
        match self {
            Self::Sqlite(direct) => drop(direct),
            #[cfg(feature = "postgres")]
            Self::Postgres(tx) => tx.roll_back().await?,
        }
        Ok(())
    }

    /// Makes everything durable.
    pub(crate) async fn commit(self) -> Result<(), Failure> {
        match self {
            Self::Sqlite(direct) => direct.commit(),
            #[cfg(feature = "postgres")]
            Self::Postgres(tx) => tx.commit().await,
        }
    }
}

/// Reads what the statement finds for all rows, on a connection of SQLite's.
pub(crate) fn rows_of<M: FromRow>(connection: &Connection, statement: &RowStatement, rows: &Rows) -> Result<Vec<M>, Failure> {
    debug_assert!(rows.iter().all(|row| row.len() == statement.width()), "{statement:?}");
    let mut all = Vec::with_capacity(rows.len());
    let mut prepared = connection.prepare_cached(statement.one_row())?;
    for row in rows.iter() {
        let mut found = prepared.query(rusqlite::params_from_iter(row))?;
        while let Some(row) = found.next()? {
            all.push(M::from_row(&mut RowRef::sqlite(row))?);
        }
    }
    Ok(all)
}
