//! Statements of other people's, carried out under guard in the midst of a transaction.

use std::time::Instant;

use eyrie_core::store::{Parameter, Statement, Statements};
use rusqlite::{
    Connection, ErrorCode, ToSql,
    hooks::{AuthAction, AuthContext, Authorization},
    types::{ToSqlOutput, Value, ValueRef},
};

use crate::{error::Failure, fault::Fault, migration::TABLES, rows::STATEMENT_TIME, sqlite::DirectTx};

/// How many instructions of SQLite's machine are carried out between two looks at the clock.
const INSTRUCTIONS: i32 = 10_000;

impl DirectTx {
    /// Carries out the statements in order. The inner error: none of them left anything, and why.
    pub(crate) fn carry_out(&self, statements: &Statements) -> Result<Result<(), String>, Failure> {
        let connection = self.connection()?;
        connection.execute_batch("SAVEPOINT step")?;
        let done = guarded(connection, statements)?;
        if connection.is_autocommit() {
            return Err(Failure::Spoilt("a statement ended the transaction".to_owned()));
        }
        connection.execute_batch(if done.is_ok() { "RELEASE step" } else { "ROLLBACK TO step; RELEASE step" })?;
        Ok(done)
    }
}

fn guarded(connection: &Connection, statements: &Statements) -> Result<Result<(), String>, Failure> {
    let until = Instant::now() + STATEMENT_TIME;
    connection.authorizer(Some(authorize))?;
    connection.progress_handler(INSTRUCTIONS, Some(move || Instant::now() > until))?;
    let done = carry_out_all(connection, statements);
    connection.progress_handler(0, None::<fn() -> bool>)?;
    connection.authorizer(None::<fn(AuthContext<'_>) -> Authorization>)?;
    done
}

fn carry_out_all(connection: &Connection, statements: &Statements) -> Result<Result<(), String>, Failure> {
    for (place, statement) in statements.iter().enumerate() {
        let failed = match carry_out(connection, statement) {
            Ok(rows) => statement.touched(rows),
            Err(Refused::Because(why)) => Err(statement.redacted(&why)),
            Err(Refused::Store(failure)) => return Err(failure),
        };
        if let Err(why) = failed {
            return Ok(Err(format!("statement {} failed: {why}", place + 1)));
        }
    }
    Ok(Ok(()))
}

/// Reading and writing rows of tables that are not Eyrie's.
fn authorize(context: AuthContext<'_>) -> Authorization {
    let is_allowed = match context.action {
        AuthAction::Select | AuthAction::Recursive | AuthAction::Function { .. } => true,
        AuthAction::Read { table_name, .. } => !TABLES.contains(&table_name),
        AuthAction::Insert { table_name } | AuthAction::Delete { table_name } | AuthAction::Update { table_name, .. } => {
            !TABLES.contains(&table_name) && !table_name.starts_with("sqlite_")
        }
        _ => false,
    };
    if is_allowed { Authorization::Allow } else { Authorization::Deny }
}

/// Why a statement was not carried out.
enum Refused {
    /// It is the statement's own fault.
    Because(String),
    /// The database can do nothing just now.
    Store(Failure),
}

impl From<rusqlite::Error> for Refused {
    fn from(error: rusqlite::Error) -> Self {
        let why = match &error {
            rusqlite::Error::SqliteFailure(code, message) => match (code.code, message) {
                (ErrorCode::OperationInterrupted, _) => format!("it was ended after {STATEMENT_TIME:?}"),
                (ErrorCode::AuthorizationForStatementDenied, _) => {
                    "it may touch rows of tables that are not Eyrie's, and no more".to_owned()
                }
                (_, Some(message)) => message.clone(),
                _ => error.to_string(),
            },
            error => error.to_string(),
        };
        let failure = Failure::from(error);
        let is_fault_of_store = matches!(&failure, Failure::Statement(cause)
            if matches!(Fault::of(cause), Fault::Full | Fault::Busy | Fault::Unreachable | Fault::Damaged));
        if is_fault_of_store { Self::Store(failure) } else { Self::Because(why) }
    }
}

/// How many rows it touched, or gave.
fn carry_out(connection: &Connection, statement: &Statement) -> Result<u64, Refused> {
    let mut prepared = connection.prepare(statement.sql())?;
    for (place, parameter) in statement.parameters().iter().enumerate() {
        let name = format!("${}", place + 1);
        let index = prepared.parameter_index(&name)?;
        let index = index.ok_or_else(|| Refused::Because(format!("it has no parameter {name}")))?;
        prepared.raw_bind_parameter(index, Bound(parameter))?;
    }
    if prepared.parameter_count() > statement.parameters().len() {
        return Err(Refused::Because(format!("it has more parameters than the {} that were bound", statement.parameters().len())));
    }
    let gives_rows = prepared.column_count() > 0;
    let mut rows = prepared.raw_query();
    let mut given = 0;
    while rows.next()?.is_some() {
        given += 1;
    }
    Ok(if gives_rows { given } else { connection.changes() })
}

/// A value as SQLite keeps it.
struct Bound<'a>(&'a Parameter);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0 {
            Parameter::Bool(Some(yes)) => ToSqlOutput::Owned(Value::from(*yes)),
            Parameter::Int(Some(number)) => ToSqlOutput::Owned(Value::from(*number)),
            Parameter::Float(Some(number)) => ToSqlOutput::Owned(Value::from(*number)),
            Parameter::Text(Some(text)) => ToSqlOutput::Borrowed(ValueRef::from(text.as_str())),
            Parameter::Bytes(Some(bytes)) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
            Parameter::Uuid(Some(id)) => ToSqlOutput::Borrowed(ValueRef::Blob(id.as_bytes())),
            _ => ToSqlOutput::Owned(Value::Null),
        })
    }
}
