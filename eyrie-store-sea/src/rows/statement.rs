//! What a statement says, apart from its rows.

use std::sync::OnceLock;

/// The kind of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An id.
    Uuid,
    /// A number or a time.
    Int,
    /// A text.
    Text,
    /// Bytes.
    Bytes,
    /// Yes or no.
    Bool,
}

type Columns = &'static [(&'static str, Kind)];

/// A statement that is carried out for each of some rows. The rows have these columns.
#[derive(Debug)]
pub(crate) struct RowStatement {
    columns: Columns,
    form: Form,
    text: OnceLock<String>,
}

#[derive(Debug, Clone, Copy)]
enum Form {
    Insert { table: &'static str, otherwise: &'static str },
    Update { table: &'static str, keys: usize },
    Select { what: &'static [&'static str], table: &'static str, also: &'static str },
    Query { what: &'static [&'static str], from: &'static str },
    Written { sqlite: &'static str },
}

impl RowStatement {
    const fn new(columns: Columns, form: Form) -> Self {
        Self { columns, form, text: OnceLock::new() }
    }

    /// Adds each row to the table; `otherwise` says what happens to one that is there.
    pub(crate) const fn insert(table: &'static str, columns: Columns, otherwise: &'static str) -> Self {
        Self::new(columns, Form::Insert { table, otherwise })
    }

    /// The first `keys` columns are what a row must still have; the others are what it has afterwards.
    pub(crate) const fn update(table: &'static str, keys: usize, columns: Columns) -> Self {
        Self::new(columns, Form::Update { table, keys })
    }

    /// Reads `what` from the table where the columns are equal to those of a row, and `also` holds.
    pub(crate) const fn select(what: &'static [&'static str], table: &'static str, columns: Columns, also: &'static str) -> Self {
        Self::new(columns, Form::Select { what, table, also })
    }

    /// Reads `what` of `from`, which says the table, the condition and the order, with the row's columns as `?1`, `?2` and so on.
    pub(crate) const fn query(what: &'static [&'static str], columns: Columns, from: &'static str) -> Self {
        Self::new(columns, Form::Query { what, from })
    }

    /// A statement written by hand, with the row's columns as `?1`, `?2` and so on.
    pub(crate) const fn written(columns: Columns, sqlite: &'static str) -> Self {
        Self::new(columns, Form::Written { sqlite })
    }

    /// How many columns a row has.
    pub(crate) fn width(&self) -> usize {
        self.columns.len()
    }

    /// The text for one row at a time, for SQLite.
    pub(crate) fn one_row(&self) -> &str {
        self.text.get_or_init(|| match self.form {
            Form::Insert { table, otherwise } => {
                let names = list(self.columns.iter(), |(name, _)| (*name).to_owned(), ", ");
                let marks = list(1..=self.columns.len(), |place| format!("?{place}"), ", ");
                format!("INSERT INTO {table} ({names}) VALUES ({marks}) {otherwise}")
            }
            Form::Update { table, keys } => {
                let places: Vec<_> = self.columns.iter().zip(1..).map(|((name, _), place)| format!("{name} = ?{place}")).collect();
                let (keys, values) = places.split_at(keys);
                format!("UPDATE {table} SET {} WHERE {}", values.join(", "), keys.join(" AND "))
            }
            Form::Select { what, table, also } => {
                let keys = list(self.columns.iter().zip(1..), |((name, _), place)| format!("{name} = ?{place}"), " AND ");
                format!("SELECT {} FROM {table} WHERE {keys} {also}", what.join(", "))
            }
            Form::Query { what, from } => format!("SELECT {} FROM {from}", what.join(", ")),
            Form::Written { sqlite } => sqlite.to_owned(),
        })
    }
}

fn list<I: IntoIterator>(items: I, text: impl Fn(I::Item) -> String, between: &str) -> String {
    items.into_iter().map(text).collect::<Vec<_>>().join(between)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        const ID: (&str, Kind) = ("id", Kind::Uuid);
        let insert = RowStatement::insert("t", &[ID, ("n", Kind::Int)], "ON CONFLICT DO NOTHING");
        assert_eq!(insert.one_row(), "INSERT INTO t (id, n) VALUES (?1, ?2) ON CONFLICT DO NOTHING");
        let update = RowStatement::update("t", 2, &[ID, ("n", Kind::Int), ("n", Kind::Int), ("m", Kind::Text)]);
        assert_eq!(update.one_row(), "UPDATE t SET n = ?3, m = ?4 WHERE id = ?1 AND n = ?2");
        let select = RowStatement::select(&["a", "b IS NULL"], "t", &[ID], "AND n > 1");
        assert_eq!(select.one_row(), "SELECT a, b IS NULL FROM t WHERE id = ?1 AND n > 1");
    }
}
