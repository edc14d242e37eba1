//! Rows that come back.

use rusqlite::types::FromSql;
#[cfg(feature = "postgres")]
use sea_orm::sqlx::{self, Row as _, postgres::PgRow};

use crate::error::Failure;

/// A row that was read, its columns taken in their order.
pub(crate) struct RowRef<'row> {
    row: Source<'row>,
    next: usize,
}

enum Source<'row> {
    Sqlite(&'row rusqlite::Row<'row>),
    #[cfg(feature = "postgres")]
    Postgres(&'row PgRow),
}

/// What a column can hold.
#[cfg(not(feature = "postgres"))]
pub(crate) trait ColumnType: FromSql {}
#[cfg(not(feature = "postgres"))]
impl<T: FromSql> ColumnType for T {}

/// What a column can hold.
#[cfg(feature = "postgres")]
pub(crate) trait ColumnType: FromSql + for<'row> sqlx::Decode<'row, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> {}
#[cfg(feature = "postgres")]
impl<T: FromSql + for<'row> sqlx::Decode<'row, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>> ColumnType for T {}

impl<'row> RowRef<'row> {
    /// A row of SQLite's.
    pub(crate) fn sqlite(row: &'row rusqlite::Row<'row>) -> Self {
        Self { row: Source::Sqlite(row), next: 0 }
    }

    /// A row of PostgreSQL's.
    #[cfg(feature = "postgres")]
    pub(crate) fn postgres(row: &'row PgRow) -> Self {
        Self { row: Source::Postgres(row), next: 0 }
    }

    /// The value of the next column.
    pub(crate) fn next<T: ColumnType>(&mut self) -> Result<T, Failure> {
        let column = self.next;
        self.next += 1;
        match self.row {
            Source::Sqlite(row) => Ok(row.get(column)?),
            #[cfg(feature = "postgres")]
            Source::Postgres(row) => row.try_get(column).map_err(|error| Failure::Stored(error.into())),
        }
    }
}

/// What can be read from a row.
pub(crate) trait FromRow: Sized + Send + 'static {
    /// The columns to select, in the order of reading: names, or expressions.
    const COLUMNS: &'static [&'static str];

    /// Reads it.
    fn from_row(row: &mut RowRef<'_>) -> Result<Self, Failure>;
}

/// Implements [`FromRow`] for a struct whose fields have the names of the columns; a field may have an expression instead.
macro_rules! from_row {
    ($type:ty { $($field:ident $(= $expression:expr)?),* $(,)? }) => {
        impl $crate::rows::FromRow for $type {
            const COLUMNS: &'static [&'static str] = &[$($crate::rows::from_row!(@column $field $($expression)?)),*];

            fn from_row(row: &mut $crate::rows::RowRef<'_>) -> Result<Self, $crate::error::Failure> {
                Ok(Self { $($field: row.next()?),* })
            }
        }
    };
    (@column $field:ident) => { stringify!($field) };
    (@column $field:ident $expression:expr) => { $expression };
}
pub(crate) use from_row;
