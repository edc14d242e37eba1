//! Statements as data: what a body hands over to be carried out in the transaction that records its end.

use std::fmt;

use uuid::Uuid;

use crate::error::Invalid;

/// The most statements that one body may hand over.
pub const MAX_STATEMENTS: usize = 100;

/// The most that the statements of one body may hold together, text and parameters, in bytes.
pub const MAX_STATEMENT_BYTES: usize = 1024 * 1024;

/// What a statement may begin with: whatever reads or writes rows. Nothing that begins or ends a transaction, changes the schema, or
/// sets how the connection works.
const VERBS: [&str; 8] = ["DELETE", "INSERT", "MERGE", "REPLACE", "SELECT", "UPDATE", "VALUES", "WITH"];

/// The shortest value that is taken out of a database's message wherever it stands in it.
const SHORT: usize = 6;

/// A statement of SQL with its parameters, `$1`, `$2` and so on, in the words of the database that the store is kept in.
#[derive(Clone, PartialEq)]
pub struct Statement {
    sql: String,
    parameters: Vec<Parameter>,
    rows: Option<u64>,
}

/// A value for a statement. None is the database's NULL, of that type.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum Parameter {
    /// Yes or no; in SQLite 1 or 0.
    Bool(Option<bool>),
    /// A whole number.
    Int(Option<i64>),
    /// A number.
    Float(Option<f64>),
    /// A text.
    Text(Option<String>),
    /// Bytes.
    Bytes(Option<Vec<u8>>),
    /// An id; in SQLite its 16 bytes.
    Uuid(Option<Uuid>),
}

macro_rules! from {
    ($($type:ty => $variant:ident),*) => {$(
        impl From<$type> for Parameter {
            fn from(value: $type) -> Self {
                Self::$variant(Some(value.into()))
            }
        }

        impl From<Option<$type>> for Parameter {
            fn from(value: Option<$type>) -> Self {
                Self::$variant(value.map(Into::into))
            }
        }
    )*};
}

from!(bool => Bool, i64 => Int, i32 => Int, u32 => Int, f64 => Float, String => Text, &str => Text, Vec<u8> => Bytes, Uuid => Uuid);

impl Statement {
    /// A statement that reads or writes rows. Whether the database understands it is found out when it is carried out.
    ///
    /// # Errors
    /// [`Invalid`] for one that begins with anything else: transactions, the schema and settings are not its business.
    pub fn new(sql: impl Into<String>) -> Result<Self, Invalid> {
        let sql = sql.into();
        let verb = first_word(&sql).to_ascii_uppercase();
        if !VERBS.contains(&verb.as_str()) {
            let accepted = VERBS.join(", ");
            return Err(Invalid::new("sql", format!("begins with {verb:.20?}; accepted are statements that begin with {accepted}")));
        }
        if sql.contains('\0') {
            return Err(Invalid::new("sql", "must not hold the character NUL"));
        }
        Ok(Self { sql, parameters: Vec::new(), rows: None })
    }

    /// The value of the next parameter.
    #[must_use]
    pub fn bind(mut self, parameter: impl Into<Parameter>) -> Self {
        self.parameters.push(parameter.into());
        self
    }

    /// It fails unless it touches that many rows: for a change that must find what it changes.
    #[must_use]
    pub fn touching(mut self, rows: u64) -> Self {
        self.rows = Some(rows);
        self
    }

    /// Its text.
    #[must_use]
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// Its parameters, in order.
    #[must_use]
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Takes the number of rows that it touched.
    ///
    /// # Errors
    /// What to say when that is not the number that it must touch.
    pub fn touched(&self, rows: u64) -> Result<(), String> {
        match self.rows {
            Some(wanted) if wanted != rows => Err(format!("touched {rows} rows instead of {wanted}")),
            _ => Ok(()),
        }
    }

    /// The database's message without the values of the parameters: they may be secrets.
    #[must_use]
    pub fn redacted(&self, message: &str) -> String {
        let mut values: Vec<_> = self.parameters.iter().filter_map(Parameter::shown).collect();
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        values.iter().fold(message.to_owned(), |message, value| without(&message, value))
    }

    fn bytes(&self) -> usize {
        self.sql.len() + self.parameters.iter().map(Parameter::bytes).sum::<usize>()
    }
}

impl Parameter {
    /// As a message of the database's might show it.
    fn shown(&self) -> Option<String> {
        let shown = match self {
            Self::Bool(_) => None,
            Self::Int(number) => number.map(|number| number.to_string()),
            Self::Float(number) => number.map(|number| number.to_string()),
            Self::Text(text) => text.clone(),
            Self::Bytes(bytes) => bytes.as_ref().map(|bytes| String::from_utf8_lossy(bytes).into_owned()),
            Self::Uuid(id) => id.map(|id| id.to_string()),
        };
        shown.filter(|shown| !shown.is_empty())
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Text(Some(text)) => text.len(),
            Self::Bytes(Some(bytes)) => bytes.len(),
            _ => size_of::<Uuid>(),
        }
    }
}

/// Shows the text, but no values.
impl fmt::Debug for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Statement").field("sql", &self.sql).field("parameters", &self.parameters.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Parameter(…)")
    }
}

/// What one body hands over, in order: bounded in number and size.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Statements {
    all: Vec<Statement>,
    bytes: usize,
}

impl Statements {
    /// Adds one behind the others.
    ///
    /// # Errors
    /// [`Invalid`] when there would be too many, or too much; it is not added then.
    pub fn push(&mut self, statement: Statement) -> Result<(), Invalid> {
        let bytes = self.bytes + statement.bytes();
        if self.all.len() == MAX_STATEMENTS {
            return Err(Invalid::new("statements", format!("are more than {MAX_STATEMENTS}")));
        }
        if bytes > MAX_STATEMENT_BYTES {
            return Err(Invalid::new("statements", format!("hold {bytes} bytes; at most {MAX_STATEMENT_BYTES} are accepted")));
        }
        self.bytes = bytes;
        self.all.push(statement);
        Ok(())
    }

    /// The statements, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Statement> {
        self.all.iter()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

impl<'a> IntoIterator for &'a Statements {
    type Item = &'a Statement;
    type IntoIter = std::slice::Iter<'a, Statement>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The first word behind blanks and comments.
fn first_word(sql: &str) -> &str {
    let mut rest = sql.trim_start();
    loop {
        let behind = match rest.get(..2) {
            Some("--") => rest.split_once('\n'),
            Some("/*") => rest.split_once("*/"),
            _ => break,
        };
        rest = behind.map_or("", |(_, behind)| behind.trim_start());
    }
    rest.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default()
}

/// The message without that value: a short one only where it stands alone.
fn without(message: &str, value: &str) -> String {
    let is_open = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '_');
    let mut kept = String::with_capacity(message.len());
    let mut from = 0;
    for (place, found) in message.match_indices(value) {
        let (before, behind) = (&message[..place], &message[place + found.len()..]);
        if value.len() >= SHORT || (is_open(before.chars().next_back()) && is_open(behind.chars().next())) {
            kept.push_str(&message[from..place]);
            kept.push('…');
            from = place + found.len();
        }
    }
    kept.push_str(&message[from..]);
    kept
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_rows_are_its_business() {
        for sql in
            ["insert into t values ($1)", "  -- why\n/* where */ Update t set n = 1", "WITH x AS (SELECT 1) DELETE FROM t", "values(1)"]
        {
            assert_eq!(Statement::new(sql).unwrap().sql(), sql);
        }
        let refused = [
            "",
            "COMMIT",
            "-- INSERT",
            "/* x */ rollback",
            "/*",
            "END",
            "begin",
            "SAVEPOINT s",
            "release s",
            "PRAGMA foreign_keys = OFF",
            "SET search_path = x",
            "DROP TABLE t",
            "(SELECT 1)",
            "EXPLAIN SELECT 1",
            "CALL p()",
            "DO $$ BEGIN END $$",
            "select 1\0",
        ];
        for sql in refused {
            assert_eq!(Statement::new(sql).unwrap_err().field(), "sql", "{sql}");
        }
    }

    #[test]
    fn bounded_in_number_and_size() {
        let one = || Statement::new("SELECT $1").unwrap();
        let mut many = Statements::default();
        for n in 0..MAX_STATEMENTS {
            many.push(one().bind(i64::try_from(n).unwrap())).unwrap();
        }
        assert_eq!(many.push(one()).unwrap_err().reason(), "are more than 100");
        assert_eq!(many.len(), MAX_STATEMENTS);
        let mut large = Statements::default();
        let half = || one().bind("x".repeat(MAX_STATEMENT_BYTES / 2));
        large.push(half()).unwrap();
        assert!(large.push(half()).unwrap_err().reason().contains("at most 1048576"));
        assert_eq!(large.len(), 1);
    }

    #[test]
    fn values_are_shown_nowhere() {
        let id = Uuid::from_u128(7);
        let statement = Statement::new("SELECT").unwrap().bind("hunter22").bind("a").bind(7_i64).bind(id).bind(None::<String>).bind(true);
        let all = format!("{statement:?} {:?}", statement.parameters());
        assert!(!all.contains("hunter22") && all.contains("SELECT"), "{all}");
        let said = "bad \"hunter22\", xhunter22y, 'a' a7 7 (7) \u{e4}a";
        assert_eq!(statement.redacted(said), "bad \"…\", x…y, '…' a7 … (…) \u{e4}a");
        assert_eq!(statement.redacted(&format!("Key ({id}) true")), "Key (…) true");
    }

    #[test]
    fn a_number_of_rows_can_be_demanded() {
        let any = Statement::new("SELECT 1").unwrap();
        assert_eq!(any.touched(5), Ok(()));
        assert_eq!(any.touching(1).touched(0), Err("touched 0 rows instead of 1".to_owned()));
    }
}
