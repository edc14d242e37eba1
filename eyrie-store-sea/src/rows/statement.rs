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
    locks: Locks,
    one: OnceLock<String>,
    #[cfg(feature = "postgres")]
    many: OnceLock<String>,
}

/// Which rows a reading statement keeps from others until the end of its transaction. SQLite has one writer anyhow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Locks {
    None,
    /// None, but a server finds what there is for all rows at once.
    #[cfg(feature = "postgres")]
    NoneAtOnce,
    /// Waits for rows that others hold.
    Update,
    /// Passes over rows that others hold.
    UpdateSkipLocked,
}

#[derive(Debug, Clone, Copy)]
enum Form {
    Insert {
        table: &'static str,
        otherwise: &'static str,
    },
    Update {
        table: &'static str,
        keys: usize,
    },
    Select {
        what: &'static [&'static str],
        table: &'static str,
        also: &'static str,
    },
    Query {
        what: &'static [&'static str],
        from: &'static str,
    },
    Written {
        text: &'static str,
    },
    Call {
        text: &'static str,
        #[cfg_attr(not(feature = "postgres"), expect(dead_code, reason = "SQLite takes one row at a time"))]
        many: &'static str,
    },
}

impl RowStatement {
    const fn new(columns: Columns, form: Form) -> Self {
        Self {
            columns,
            form,
            locks: Locks::None,
            one: OnceLock::new(),
            #[cfg(feature = "postgres")]
            many: OnceLock::new(),
        }
    }

    /// The same, keeping what it reads from others, in the order of the key.
    pub(crate) const fn locking(mut self) -> Self {
        self.locks = Locks::Update;
        self
    }

    /// The same, keeping what it reads from others, without what others keep.
    pub(crate) const fn taking(mut self) -> Self {
        self.locks = Locks::UpdateSkipLocked;
        self
    }

    /// The same [`query`](Self::query) for all rows at once, without keeping anything from others.
    #[cfg(feature = "postgres")]
    pub(crate) const fn at_once(mut self) -> Self {
        self.locks = Locks::NoneAtOnce;
        self
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

    /// Reads the columns `what` of `from`, which says the table, the condition and the order, with the row's columns as `?1`, `?2` and
    /// so on.
    pub(crate) const fn query(what: &'static [&'static str], columns: Columns, from: &'static str) -> Self {
        Self::new(columns, Form::Query { what, from })
    }

    /// A statement written by hand, with the row's columns as `?1`, `?2` and so on.
    pub(crate) const fn written(columns: Columns, text: &'static str) -> Self {
        Self::new(columns, Form::Written { text })
    }

    /// A statement written by hand for each database: for SQLite as [`written`](Self::written), for a server as a query that takes all
    /// rows at once, with the columns as the arrays `$1`, `$2` and so on, and locks and looks anew on its own.
    pub(crate) const fn call(columns: Columns, text: &'static str, many: &'static str) -> Self {
        Self::new(columns, Form::Call { text, many })
    }

    /// How many columns a row has.
    pub(crate) fn width(&self) -> usize {
        self.columns.len()
    }

    /// The text for one row at a time, for SQLite.
    pub(crate) fn one_row(&self) -> &str {
        self.one.get_or_init(|| match self.form {
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
            Form::Written { text } | Form::Call { text, .. } => text.to_owned(),
        })
    }
}

#[cfg(feature = "postgres")]
impl RowStatement {
    fn is_call(&self) -> bool {
        matches!(self.form, Form::Call { .. })
    }

    /// The kinds of its columns.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = Kind> {
        self.columns.iter().map(|(_, kind)| *kind)
    }

    /// Whether [`many_rows`](Self::many_rows) takes all rows at once, as one array a column.
    pub(crate) fn takes_many(&self) -> bool {
        match self.form {
            Form::Query { .. } => self.locks != Locks::None,
            Form::Written { .. } => false,
            _ => true,
        }
    }

    /// One text for several statements, with their parameters one behind the other. It answers one row: how many rows each
    /// touched.
    pub(crate) fn together(statements: &[&'static Self]) -> String {
        let counts = list(0..statements.len(), |place| format!("(SELECT count(*) FROM s{place})"), ", ");
        format!("{} SELECT {counts}", parts(statements))
    }

    /// The same as a transaction of its own: all of it fails, with a division by zero, unless each of the first `checked`
    /// statements touches, or finds, as many rows as its parameter says; these stand behind all others. What is called behind them
    /// is called when they have been carried out.
    pub(crate) fn together_or_none(statements: &[&'static Self], checked: usize) -> String {
        let width: usize = statements.iter().map(|statement| statement.width()).sum();
        let checks = list(0..checked, |place| format!("(SELECT count(*) FROM s{place}) = ${}::int8", width + place + 1), " AND ");
        let calls = statements.iter().enumerate().skip(checked).filter(|(_, statement)| statement.is_call());
        let done = list(calls, |(place, _)| format!(" + (SELECT count(*) FROM s{place})"), "");
        // What is divided by must not be known before the statements were carried out.
        format!("{} SELECT CASE WHEN {checks} THEN 1{done} ELSE 1 / (SELECT 0 * count(*) FROM s0) END", parts(statements))
    }

    /// The text for PostgreSQL.
    pub(crate) fn many_rows(&self) -> &str {
        self.many.get_or_init(|| {
            let locks = match self.locks {
                Locks::None | Locks::NoneAtOnce => "",
                Locks::Update => " FOR NO KEY UPDATE",
                Locks::UpdateSkipLocked => " FOR NO KEY UPDATE SKIP LOCKED",
            };
            let arrays = list(self.kinds().zip(1..), |(kind, place)| format!("${place}::{}[]", kind.postgres()), ", ");
            let places = list(1..=self.columns.len(), |place| format!("c{place}"), ", ");
            let rows = format!("unnest({arrays}) AS v({places})");
            match self.form {
                Form::Insert { table, otherwise } => {
                    let names = list(self.columns.iter(), |(name, _)| (*name).to_owned(), ", ");
                    format!("INSERT INTO {table} ({names}) SELECT {places} FROM {rows} {otherwise}")
                }
                Form::Update { table, keys } => {
                    let columns = self.columns.iter().zip(1..);
                    let found = list(columns.clone().take(keys), |((name, _), place)| format!("{table}.{name} = v.c{place}"), " AND ");
                    let set = list(columns.skip(keys), |((name, _), place)| format!("{name} = v.c{place}"), ", ");
                    format!("UPDATE {table} SET {set} FROM {rows} WHERE {found}")
                }
                Form::Select { what, table, also } if self.locks == Locks::None => {
                    let keys = list(self.columns.iter().zip(1..), |((name, _), place)| format!("{table}.{name} = v.c{place}"), " AND ");
                    format!("SELECT {} FROM {rows} JOIN {table} ON true WHERE {keys} {also}", what.join(", "))
                }
                Form::Select { what, table, also } => {
                    let keys = list(self.columns.iter(), |(name, _)| (*name).to_owned(), ", ");
                    let what = what.join(", ");
                    format!("SELECT {what} FROM {table} WHERE ({keys}) IN (SELECT {places} FROM {rows}) {also} ORDER BY {keys}{locks}")
                }
                Form::Query { what, from } if self.locks == Locks::None => dollars(&format!("SELECT {} FROM {from}", what.join(", "))),
                Form::Query { what, from } => {
                    let (what, from) = (what.join(", "), from.replace('?', "v.c"));
                    format!("SELECT {what} FROM {rows} CROSS JOIN LATERAL (SELECT {what} FROM {from}{locks}) AS found")
                }
                Form::Written { text } => dollars(text),
                Form::Call { many, .. } => many.to_owned(),
            }
        })
    }
}

#[cfg(feature = "postgres")]
impl Kind {
    fn postgres(self) -> &'static str {
        match self {
            Self::Uuid => "uuid",
            Self::Int => "int8",
            Self::Text => "text",
            Self::Bytes => "bytea",
            Self::Bool => "bool",
        }
    }
}

/// The statements one behind the other, as parts of one that is to follow.
#[cfg(feature = "postgres")]
fn parts(statements: &[&'static RowStatement]) -> String {
    let mut before = 0;
    let part = |(place, statement): (usize, &&RowStatement)| {
        let returning = if statement.is_call() { "" } else { " RETURNING 1" };
        let text = format!("s{place} AS ({}{returning})", shifted(statement.many_rows(), before));
        before += statement.width();
        text
    };
    format!("WITH {}", statements.iter().enumerate().map(part).collect::<Vec<_>>().join(", "))
}

/// The text with all its parameters counted on from `by`.
#[cfg(feature = "postgres")]
fn shifted(text: &str, by: usize) -> String {
    let mut parts = text.split('$');
    let mut all = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        let number: usize = part[..digits].parse().unwrap_or_default();
        all.push_str(&format!("${}{}", number + by, &part[digits..]));
    }
    all
}

/// PostgreSQL's way to write a parameter. There is no other question mark in any statement.
#[cfg(feature = "postgres")]
fn dollars(text: &str) -> String {
    text.replace('?', "$")
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
        #[cfg(feature = "postgres")]
        static UPDATE: RowStatement = RowStatement::update("t", 1, &[ID, ("n", Kind::Int)]);
        let insert = RowStatement::insert("t", &[ID, ("n", Kind::Int)], "ON CONFLICT DO NOTHING");
        assert_eq!(insert.one_row(), "INSERT INTO t (id, n) VALUES (?1, ?2) ON CONFLICT DO NOTHING");
        let update = RowStatement::update("t", 2, &[ID, ("n", Kind::Int), ("n", Kind::Int), ("m", Kind::Text)]);
        assert_eq!(update.one_row(), "UPDATE t SET n = ?3, m = ?4 WHERE id = ?1 AND n = ?2");
        let select = RowStatement::select(&["a", "b IS NULL"], "t", &[ID], "AND n > 1");
        assert_eq!(select.one_row(), "SELECT a, b IS NULL FROM t WHERE id = ?1 AND n > 1");
        #[cfg(feature = "postgres")]
        {
            let rows = "unnest($1::uuid[], $2::int8[]) AS v(c1, c2)";
            assert_eq!(insert.many_rows(), format!("INSERT INTO t (id, n) SELECT c1, c2 FROM {rows} ON CONFLICT DO NOTHING"));
            let rows = "unnest($1::uuid[], $2::int8[], $3::int8[], $4::text[]) AS v(c1, c2, c3, c4)";
            assert_eq!(update.many_rows(), format!("UPDATE t SET n = v.c3, m = v.c4 FROM {rows} WHERE t.id = v.c1 AND t.n = v.c2"));
            let both = RowStatement::together(&[&UPDATE, &UPDATE]);
            assert_eq!(
                both,
                "WITH s0 AS (UPDATE t SET n = v.c2 FROM unnest($1::uuid[], $2::int8[]) AS v(c1, c2) WHERE t.id = v.c1 RETURNING 1), \
                s1 AS (UPDATE t SET n = v.c2 FROM unnest($3::uuid[], $4::int8[]) AS v(c1, c2) WHERE t.id = v.c1 RETURNING 1) \
                SELECT (SELECT count(*) FROM s0), (SELECT count(*) FROM s1)"
            );
            static CALL: RowStatement = RowStatement::call(&[ID], "", "SELECT f($1::uuid[])");
            let called = RowStatement::together_or_none(&[&CALL, &UPDATE, &CALL], 2);
            assert_eq!(
                called,
                "WITH s0 AS (SELECT f($1::uuid[])), \
                s1 AS (UPDATE t SET n = v.c2 FROM unnest($2::uuid[], $3::int8[]) AS v(c1, c2) WHERE t.id = v.c1 RETURNING 1), \
                s2 AS (SELECT f($4::uuid[])) \
                SELECT CASE WHEN (SELECT count(*) FROM s0) = $5::int8 AND (SELECT count(*) FROM s1) = $6::int8 \
                THEN 1 + (SELECT count(*) FROM s2) ELSE 1 / (SELECT 0 * count(*) FROM s0) END"
            );
            let rows = "unnest($1::uuid[]) AS v(c1)";
            assert_eq!(select.many_rows(), format!("SELECT a, b IS NULL FROM {rows} JOIN t ON true WHERE t.id = v.c1 AND n > 1"));
            let locking = RowStatement::select(&["a"], "t", &[ID], "").locking();
            assert_eq!(
                locking.many_rows(),
                format!("SELECT a FROM t WHERE (id) IN (SELECT c1 FROM {rows})  ORDER BY id FOR NO KEY UPDATE")
            );
            let query = RowStatement::query(&["a", "b"], &[ID, ("n", Kind::Int)], "t WHERE id = ?1 ORDER BY a LIMIT ?2").taking();
            assert_eq!(
                query.many_rows(),
                "SELECT a, b FROM unnest($1::uuid[], $2::int8[]) AS v(c1, c2) CROSS JOIN LATERAL \
                    (SELECT a, b FROM t WHERE id = v.c1 ORDER BY a LIMIT v.c2 FOR NO KEY UPDATE SKIP LOCKED) AS found"
            );
        }
    }
}
