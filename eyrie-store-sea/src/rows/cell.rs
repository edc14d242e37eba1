//! Values on their way into statements.

use rusqlite::{
    ToSql,
    types::{ToSqlOutput, ValueRef},
};
use sea_orm::prelude::Uuid;

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    /// None, whatever the column.
    Null,
    /// An id.
    Uuid(Uuid),
    /// A number or a time.
    Int(i64),
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Yes or no.
    Bool(bool),
}

macro_rules! from {
    ($($type:ty => $variant:ident),*) => {
        $(impl From<$type> for Cell {
            fn from(value: $type) -> Self {
                Self::$variant(value.into())
            }
        })*
    };
}

from!(Uuid => Uuid, i64 => Int, String => Text, &str => Text, Vec<u8> => Bytes, &[u8] => Bytes, bool => Bool);

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Uuid(id) => ValueRef::Blob(id.as_bytes()),
            Self::Int(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
            Self::Bool(yes) => ValueRef::Integer(i64::from(*yes)),
        }))
    }
}

/// Rows to go into a statement, all of one width.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows {
    cells: Vec<Cell>,
    count: usize,
}

impl Rows {
    /// One row without values, for a statement that needs none.
    pub(crate) fn none_needed() -> Self {
        Self { cells: Vec::new(), count: 1 }
    }

    /// Adds a row.
    pub(crate) fn push<const N: usize>(&mut self, row: [Cell; N]) {
        self.cells.extend(row);
        self.count += 1;
    }

    /// Adds a row that goes on with another value.
    pub(crate) fn push_longer<const N: usize>(&mut self, row: [Cell; N], last: Cell) {
        self.push(row);
        self.cells.push(last);
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The rows, one by one.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[Cell]> {
        let width = self.cells.len() / self.count.max(1);
        (0..self.count).map(move |row| &self.cells[row * width..(row + 1) * width])
    }
}

impl<const N: usize> FromIterator<[Cell; N]> for Rows {
    fn from_iter<I: IntoIterator<Item = [Cell; N]>>(rows: I) -> Self {
        let mut all = Self::default();
        for row in rows {
            all.push(row);
        }
        all
    }
}
