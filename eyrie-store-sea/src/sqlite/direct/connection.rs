//! How the connections are set up.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags, config::DbConfig};

use crate::{
    options::{Options, Synchronous},
    sqlite::{SETTINGS, WRITE_SETTINGS},
};

/// How long a statement waits inside SQLite itself; the begin of a transaction waits on, with shorter pauses than SQLite's.
pub(crate) const SHORT_WAIT: Duration = Duration::from_millis(20);

/// A connection to write with.
pub(super) fn open_writer(path: &Path, options: &Options) -> rusqlite::Result<Connection> {
    let connection = open(path)?;
    connection.busy_timeout(SHORT_WAIT.min(options.busy_timeout))?;
    let synchronous = match options.synchronous {
        Synchronous::Full => "FULL",
        Synchronous::Normal => "NORMAL",
    };
    for (name, value) in WRITE_SETTINGS.into_iter().chain([("synchronous", synchronous), ("foreign_keys", "ON")]) {
        connection.pragma_update(None, name, value)?;
    }
    if let Some(pages) = options.max_pages {
        connection.pragma_update(None, "max_page_count", pages)?;
    }
    Ok(connection)
}

/// A connection to read with.
pub(super) fn open_reader(path: &Path, options: &Options) -> rusqlite::Result<Connection> {
    let connection = open(path)?;
    connection.busy_timeout(options.busy_timeout)?;
    connection.pragma_update(None, "query_only", "ON")?;
    Ok(connection)
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    // Without it SQLite prepares a statement anew when a bound value might let it be carried out another way.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    for (name, value) in SETTINGS {
        connection.pragma_update(None, name, value)?;
    }
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}
