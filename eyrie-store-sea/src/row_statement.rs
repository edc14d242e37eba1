//! Statements over many rows, with few distinct texts, so that prepared ones are found again.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, Statement, Value};

/// The most rows of one statement.
const MAX_ROWS: usize = 256;

/// A statement that begins with `WITH v(…) AS (VALUES …)`. Rows are cut into chunks, and each chunk is filled up to a power of
/// two with rows of nulls, so the statement must let null keys match nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowStatement {
    /// The names of `v`'s columns, separated by commas.
    pub(crate) columns: &'static str,
    /// What comes behind the list of rows.
    pub(crate) then: &'static str,
}

/// Rows to go into a statement.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows {
    values: Vec<Value>,
    count: usize,
}

impl Rows {
    /// Adds a row.
    pub(crate) fn push<const N: usize>(&mut self, row: [Value; N]) {
        self.values.extend(row);
        self.count += 1;
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl<const N: usize> FromIterator<[Value; N]> for Rows {
    fn from_iter<I: IntoIterator<Item = [Value; N]>>(rows: I) -> Self {
        let mut all = Self::default();
        for row in rows {
            all.push(row);
        }
        all
    }
}

impl RowStatement {
    fn statements(self, db: &impl ConnectionTrait, rows: Rows) -> Vec<Statement> {
        let backend = db.get_database_backend();
        let width = self.columns.split(',').count();
        debug_assert_eq!(rows.values.len(), rows.count * width, "{}", self.columns);
        let mut values = rows.values.into_iter();
        let mut left = rows.count;
        let mut statements = Vec::with_capacity(left.div_ceil(MAX_ROWS));
        while left > 0 {
            let count = left.min(MAX_ROWS);
            let padded = count.next_power_of_two();
            let mut list: Vec<Value> = Vec::with_capacity(padded * width);
            list.extend(values.by_ref().take(count * width));
            list.resize(padded * width, Value::BigInt(None));
            statements.push(Statement::from_sql_and_values(backend, self.text(width, padded), list));
            left -= count;
        }
        statements
    }

    fn text(self, width: usize, rows: usize) -> String {
        let mut text = String::with_capacity(64 + self.columns.len() + self.then.len() + rows * (2 * width + 2));
        text.push_str("WITH v(");
        text.push_str(self.columns);
        text.push_str(") AS (VALUES ");
        for row in 0..rows {
            text.push_str(if row == 0 { "(?" } else { ",(?" });
            for _ in 1..width {
                text.push_str(",?");
            }
            text.push(')');
        }
        text.push_str(") ");
        text.push_str(self.then);
        text
    }

    /// Carries it out for all rows; how many stored rows that touched.
    pub(crate) async fn execute(self, db: &impl ConnectionTrait, rows: Rows) -> Result<u64, DbErr> {
        let mut touched = 0;
        for statement in self.statements(db, rows) {
            touched += db.execute_raw(statement).await?.rows_affected();
        }
        Ok(touched)
    }

    /// Reads what it finds for all rows.
    pub(crate) async fn read<M: FromQueryResult>(self, db: &impl ConnectionTrait, rows: Rows) -> Result<Vec<M>, DbErr> {
        let mut found = Vec::new();
        for statement in self.statements(db, rows) {
            for row in db.query_all_raw(statement).await? {
                found.push(M::from_query_result(&row, "")?);
            }
        }
        Ok(found)
    }
}
