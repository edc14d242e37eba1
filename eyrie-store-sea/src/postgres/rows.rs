//! Row statements on the server: all rows of a statement at once, as one array a column.

use eyrie_core::Timestamp;
use sea_orm::{
    prelude::Uuid,
    sqlx::{
        self, PgPool, Postgres, Transaction,
        postgres::{PgArguments, PgRow},
        query::Query,
    },
};

use crate::{
    error::Failure,
    postgres::Ending,
    rows::{Cell, FromRow, Kind, RowRef, RowStatement, Rows},
};

/// A transaction of rows.
#[derive(Debug)]
pub(crate) struct PgTx {
    transaction: Transaction<'static, Postgres>,
    ending: Ending,
}

impl PgTx {
    /// Over a transaction that has begun.
    pub(super) fn new(transaction: Transaction<'static, Postgres>, ending: Ending) -> Self {
        Self { transaction, ending }
    }

    /// The database's time when the transaction began.
    pub(crate) fn now(&self) -> Timestamp {
        self.ending.now()
    }

    /// Carries the statement out for all rows; how many stored rows that touched.
    pub(crate) async fn execute(&mut self, statement: &'static RowStatement, rows: &Rows) -> Result<u64, Failure> {
        let mut touched = 0;
        for query in queries(statement, rows) {
            touched += query.execute(&mut *self.transaction).await?.rows_affected();
        }
        Ok(touched)
    }

    /// Reads what the statement finds for all rows.
    pub(crate) async fn read<M: FromRow>(&mut self, statement: &'static RowStatement, rows: &Rows) -> Result<Vec<M>, Failure> {
        let mut all = Vec::new();
        for query in queries(statement, rows) {
            decode(query.fetch_all(&mut *self.transaction).await?, &mut all)?;
        }
        Ok(all)
    }

    /// Makes everything durable.
    pub(crate) async fn commit(self) -> Result<(), Failure> {
        let Self { transaction, ending } = self;
        let done = transaction.commit().await.map_err(|error| Failure::Commit(error.into()));
        ending.of(done).await
    }
}

/// Reads what the statement finds for all rows, outside of transactions.
pub(crate) async fn rows_of_pool<M: FromRow>(pool: &PgPool, statement: &'static RowStatement, rows: &Rows) -> Result<Vec<M>, Failure> {
    let mut all = Vec::new();
    for query in queries(statement, rows) {
        decode(query.fetch_all(pool).await?, &mut all)?;
    }
    Ok(all)
}

fn decode<M: FromRow>(rows: Vec<PgRow>, all: &mut Vec<M>) -> Result<(), Failure> {
    all.reserve(rows.len());
    for row in &rows {
        all.push(M::from_row(&mut RowRef::postgres(row))?);
    }
    Ok(())
}

type PgQuery = Query<'static, Postgres, PgArguments>;

/// One query for all rows, or one each where the statement was written for one.
fn queries(statement: &'static RowStatement, rows: &Rows) -> Vec<PgQuery> {
    if statement.takes_many() {
        return vec![statement.kinds().enumerate().fold(sqlx::query(statement.many_rows()), |query, (place, kind)| {
            bind_column(query, kind, rows.iter().filter_map(|row| row.get(place)))
        })];
    }
    let one =
        |row: &[Cell]| statement.kinds().zip(row).fold(sqlx::query(statement.many_rows()), |query, (kind, cell)| bind(query, kind, cell));
    rows.iter().map(one).collect()
}

fn bind(query: PgQuery, kind: Kind, cell: &Cell) -> PgQuery {
    match kind {
        Kind::Uuid => query.bind(uuid(cell)),
        Kind::Int => query.bind(int(cell)),
        Kind::Text => query.bind(text(cell)),
        Kind::Bytes => query.bind(bytes(cell)),
        Kind::Bool => query.bind(yes(cell)),
    }
}

fn bind_column<'a>(query: PgQuery, kind: Kind, cells: impl Iterator<Item = &'a Cell>) -> PgQuery {
    match kind {
        Kind::Uuid => query.bind(cells.map(uuid).collect::<Vec<_>>()),
        Kind::Int => query.bind(cells.map(int).collect::<Vec<_>>()),
        Kind::Text => query.bind(cells.map(text).collect::<Vec<_>>()),
        Kind::Bytes => query.bind(cells.map(bytes).collect::<Vec<_>>()),
        Kind::Bool => query.bind(cells.map(yes).collect::<Vec<_>>()),
    }
}

fn uuid(cell: &Cell) -> Option<Uuid> {
    if let Cell::Uuid(id) = cell { Some(*id) } else { None }
}

fn int(cell: &Cell) -> Option<i64> {
    if let Cell::Int(number) = cell { Some(*number) } else { None }
}

/// PostgreSQL's texts cannot hold the character NUL; the sign for what cannot be shown stands in its place.
fn text(cell: &Cell) -> Option<String> {
    if let Cell::Text(text) = cell { Some(text.replace('\0', "\u{fffd}")) } else { None }
}

fn bytes(cell: &Cell) -> Option<Vec<u8>> {
    if let Cell::Bytes(bytes) = cell { Some(bytes.clone()) } else { None }
}

fn yes(cell: &Cell) -> Option<bool> {
    if let Cell::Bool(yes) = cell { Some(*yes) } else { None }
}
