//! Rows that come back.

use rusqlite::types::FromSql;

use crate::error::Failure;

/// A row that was read, its columns taken in their order.
#[derive(Debug)]
pub(crate) struct RowRef<'row> {
    row: &'row rusqlite::Row<'row>,
    next: usize,
}

impl<'row> RowRef<'row> {
    /// A row of SQLite's.
    pub(crate) fn new(row: &'row rusqlite::Row<'row>) -> Self {
        Self { row, next: 0 }
    }

    /// The value of the next column.
    pub(crate) fn next<T: FromSql>(&mut self) -> Result<T, Failure> {
        let column = self.next;
        self.next += 1;
        Ok(self.row.get(column)?)
    }
}

/// What can be read from a row.
pub(crate) trait FromRow: Sized {
    /// The columns to select, in the order of reading: names, or expressions.
    const COLUMNS: &'static [&'static str];

    /// Reads it.
    fn from_row(row: &mut RowRef<'_>) -> Result<Self, Failure>;
}

/// Implements [`FromRow`] for a struct whose fields have the names of the columns; a field may have an expression instead.
macro_rules! from_row {
    ($type:ty { $($field:ident $(= $expression:literal)?),* $(,)? }) => {
        impl $crate::rows::FromRow for $type {
            const COLUMNS: &'static [&'static str] = &[$($crate::rows::from_row!(@column $field $($expression)?)),*];

            fn from_row(row: &mut $crate::rows::RowRef<'_>) -> Result<Self, $crate::error::Failure> {
                Ok(Self { $($field: row.next()?),* })
            }
        }
    };
    (@column $field:ident) => { stringify!($field) };
    (@column $field:ident $expression:literal) => { $expression };
}
pub(crate) use from_row;
