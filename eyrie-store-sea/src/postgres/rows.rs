//! Row statements on the server: all rows of a statement at once, as one array a column.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use eyrie_core::{Error, ErrorKind, Timestamp};
use sea_orm::{
    prelude::Uuid,
    sqlx::{
        self, AssertSqlSafe, PgConnection, PgPool, Postgres, Row,
        pool::PoolConnection,
        postgres::{PgArguments, PgRow},
        query::Query,
    },
};
use tokio::runtime::Handle;

use crate::{
    error::Failure,
    fault::Fault,
    postgres::{Ending, PostgresWriter},
    rows::{Cell, FromRow, Kind, RowRef, RowStatement, Rows},
};

/// A transaction of rows. Each statement is a journey to the server and back, so there are few: the begin brings the time along,
/// and what is written is written together. Dropped without [`commit`](Self::commit), it is rolled back.
#[derive(Debug)]
pub(crate) struct PgTx {
    connection: Option<PoolConnection<Postgres>>,
    ending: Option<Ending>,
    own: Handle,
    now: Timestamp,
    texts: Arc<Texts>,
}

impl PgTx {
    /// Begins it.
    pub(super) async fn begin(writer: &PostgresWriter, pool: &PgPool, own: Handle) -> Result<Self, Failure> {
        let connection = pool.acquire().await?;
        let texts = Arc::clone(writer.texts());
        let mut tx = Self { connection: Some(connection), ending: None, own, now: Timestamp::UNIX_EPOCH, texts };
        let stamp = sqlx::raw_sql(BEGIN).fetch_all(tx.connection()?).await?;
        let stamp = stamp.first().ok_or_else(|| Failure::missing("clock"))?;
        let ending = Ending::new(writer.clone(), stamp.try_get(0)?, stamp.try_get(1)?);
        tx.now = ending.now();
        tx.ending = Some(ending);
        Ok(tx)
    }

    pub(super) fn connection(&mut self) -> Result<&mut PgConnection, Failure> {
        let over = || Error::new(ErrorKind::Internal, "write", "the transaction is over");
        Ok(self.connection.as_deref_mut().ok_or_else(over)?)
    }

    /// The database's time when the transaction began.
    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    /// Carries several statements out at once, none of which sees or touches what another one writes; how many rows each touched.
    pub(crate) async fn execute_together(&mut self, all: &[(&'static RowStatement, Rows)]) -> Result<Vec<u64>, Failure> {
        let statements: Vec<_> = all.iter().map(|(statement, _)| *statement).collect();
        let text = self.texts.of(&statements, None);
        let row = all.iter().fold(sqlx::query(AssertSqlSafe(text)), bind_all).fetch_one(self.connection()?).await?;
        (0..all.len()).map(|place| Ok(u64::try_from(row.try_get::<i64, _>(place)?).unwrap_or_default())).collect()
    }

    /// Carries the statement out for all rows; how many stored rows that touched.
    pub(crate) async fn execute(&mut self, statement: &'static RowStatement, rows: &Rows) -> Result<u64, Failure> {
        let mut touched = 0;
        for query in queries(statement, rows) {
            touched += query.execute(self.connection()?).await?.rows_affected();
        }
        Ok(touched)
    }

    /// Reads what the statement finds for all rows.
    pub(crate) async fn read<M: FromRow>(&mut self, statement: &'static RowStatement, rows: &Rows) -> Result<Vec<M>, Failure> {
        let mut all = Vec::new();
        for query in queries(statement, rows) {
            decode(query.fetch_all(self.connection()?).await?, &mut all)?;
        }
        Ok(all)
    }

    /// Takes everything back. The server has let go of all locks when this returns.
    pub(crate) async fn roll_back(mut self) -> Result<(), Failure> {
        sqlx::raw_sql("ROLLBACK").execute(self.connection()?).await?;
        drop(self.connection.take());
        Ok(())
    }

    /// Makes everything durable.
    pub(crate) async fn commit(mut self) -> Result<(), Failure> {
        let done = sqlx::raw_sql("COMMIT").execute(self.connection()?).await.map_err(|error| Failure::Commit(error.into()));
        let connection = self.connection.take();
        if done.is_err() {
            // Whatever state it is in, nobody else should meet it.
            drop(connection.map(PoolConnection::detach));
        }
        match self.ending.take() {
            Some(ending) => ending.of(done.map(drop)).await,
            None => done.map(drop),
        }
    }
}

impl Drop for PgTx {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        self.own.spawn(async move {
            if sqlx::raw_sql("ROLLBACK").execute(&mut *connection).await.is_err() {
                drop(connection.detach());
            }
        });
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

/// Carries several statements out as a transaction of its own, in one journey: all of them, if each of the first `checked` hits all
/// its rows, else none.
pub(super) async fn all_or_none(
    pool: &PgPool,
    texts: &Texts,
    all: &[(&'static RowStatement, Rows)],
    checked: usize,
) -> Result<(), Failure> {
    let statements: Vec<_> = all.iter().map(|(statement, _)| *statement).collect();
    let mut query = all.iter().fold(sqlx::query(AssertSqlSafe(texts.of(&statements, Some(checked)))), bind_all);
    for (_, rows) in &all[..checked] {
        query = query.bind(i64::try_from(rows.len()).unwrap_or(i64::MAX));
    }
    let mut connection = pool.acquire().await?;
    match query.execute(&mut *connection).await {
        Ok(_) => Ok(()),
        Err(error) if error.as_database_error().is_some_and(|error| error.code().as_deref() == Some(DIVISION_BY_ZERO)) => {
            Err(Failure::Raced)
        }
        Err(error) => match Failure::from(error) {
            // What the server did with it is not known, also when it said that it goes away: it may have committed before that.
            Failure::Statement(cause) if Fault::of(&cause) == Fault::Unreachable => {
                drop(connection.detach());
                Err(Failure::Commit(cause))
            }
            // The server said why it refused all of it.
            failure => Err(failure),
        },
    }
}

const DIVISION_BY_ZERO: &str = "22012";

/// The texts of statements that are carried out together, each made once.
#[derive(Debug, Default)]
pub(crate) struct Texts(Mutex<HashMap<TextKey, Arc<str>>>);

/// Where the statements stand in memory, and how many of them are checked if they are a transaction of their own.
type TextKey = (Vec<usize>, Option<usize>);

impl Texts {
    fn of(&self, statements: &[&'static RowStatement], checked: Option<usize>) -> Arc<str> {
        let places = statements.iter().map(|statement| std::ptr::from_ref(*statement) as usize).collect();
        let mut texts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = texts.entry((places, checked)).or_insert_with(|| match checked {
            Some(checked) => RowStatement::together_or_none(statements, checked).into(),
            None => RowStatement::together(statements).into(),
        });
        Arc::clone(text)
    }
}

fn decode<M: FromRow>(rows: Vec<PgRow>, all: &mut Vec<M>) -> Result<(), Failure> {
    all.reserve(rows.len());
    for row in &rows {
        all.push(M::from_row(&mut RowRef::postgres(row))?);
    }
    Ok(())
}

/// The begin, and what its transaction is stamped with.
const BEGIN: &str = concat!("BEGIN; ", stamp!());

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

fn bind_all(query: PgQuery, (statement, rows): &(&'static RowStatement, Rows)) -> PgQuery {
    let columns = statement.kinds().enumerate();
    columns.fold(query, |query, (place, kind)| bind_column(query, kind, rows.iter().filter_map(|row| row.get(place))))
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
