//! Whether a database is one of ours that this program can read, found out before anything is written to it.

use std::{fs::File, io::Read, path::Path};

use eyrie_core::{Error, ErrorKind, Result};
use sea_orm::{ConnectionTrait, DbBackend, Statement};

use crate::{error::Failure, migration::Migrator};

/// What every SQLite file begins with.
const HEADER: &[u8; 16] = b"SQLite format 3\0";

/// Refuses a file that is no SQLite database. Says whether there is anything in it.
pub(crate) fn check_file(path: &Path) -> Result<bool> {
    let unreadable = |error: std::io::Error| {
        Error::new(ErrorKind::Unavailable, "open store", format!("{} cannot be read", path.display())).with_source(error)
    };
    let mut start = Vec::new();
    File::open(path).and_then(|file| file.take(HEADER.len() as u64).read_to_end(&mut start)).map_err(unreadable)?;
    if start.is_empty() {
        return Ok(false);
    }
    if start != HEADER {
        return Err(Error::new(ErrorKind::Incompatible, "open store", format!("{} is not a SQLite database", path.display())));
    }
    Ok(true)
}

/// What is still to be done to a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Schema {
    /// Migrations are missing.
    Behind,
    /// It is as this program wants it.
    Current,
}

/// Refuses a database of something else, or of a newer program. Writes nothing.
pub(crate) async fn check_schema(db: &impl ConnectionTrait) -> Result<Schema, Failure> {
    let backend = db.get_database_backend();
    let refuse = |message: String| Err(Error::new(ErrorKind::Incompatible, "open store", message).into());
    let tables = match backend {
        DbBackend::Sqlite => "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
        _ => "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema()",
    };
    let mut names = Vec::new();
    for row in db.query_all_raw(Statement::from_string(backend, tables)).await? {
        names.push(row.try_get_by_index::<String>(0)?);
    }
    if names.is_empty() {
        return Ok(Schema::Behind);
    }
    if !names.iter().any(|name| name == "seaql_migrations") {
        return refuse(format!("the database belongs to something else: it has a table {:?} that Eyrie did not make", names[0]));
    }
    let known = Migrator::names();
    let mut applied = Vec::new();
    for row in db.query_all_raw(Statement::from_string(backend, "SELECT version FROM seaql_migrations ORDER BY version")).await? {
        applied.push(row.try_get_by_index::<String>(0)?);
    }
    if let Some(unknown) = applied.iter().find(|name| !known.contains(name)) {
        return refuse(format!("the database was written by a newer version (migration {unknown})"));
    }
    Ok(if applied.len() == known.len() { Schema::Current } else { Schema::Behind })
}
