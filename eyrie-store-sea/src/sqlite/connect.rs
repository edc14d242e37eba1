//! Opening the file: where it is, what it must be, and the connections to it.

use std::{
    fs::OpenOptions,
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use eyrie_core::{Error, ErrorKind, Invalid, Result};
use sea_orm::{
    ConnectOptions, Database, DatabaseConnection, SqliteTransactionMode, TransactionOptions, TransactionTrait,
    sqlx::{Connection as _, sqlite},
};
use sea_orm_migration::MigratorTrait;

use crate::{
    error::Failure,
    migration::Migrator,
    options::{Options, Synchronous},
    schema_check::{Schema, check_file, check_schema},
    sqlite::{
        SETTINGS, WRITE_SETTINGS,
        direct::{DirectReader, DirectWriter, SHORT_WAIT},
    },
};

/// The connections to one database.
#[derive(Debug)]
pub(crate) struct Connections {
    /// The database's file.
    pub(crate) path: PathBuf,
    /// For reading.
    pub(crate) read: DatabaseConnection,
    /// The one for writing what people ask for.
    pub(crate) write: DatabaseConnection,
    /// The one for writing what the engine waits for.
    pub(crate) direct_write: DirectWriter,
    /// The ones for reading what the engine waits for.
    pub(crate) direct_read: DirectReader,
    /// The one that hears of changes.
    pub(crate) watch: DatabaseConnection,
}

/// Connects to the database, making or migrating it where needed.
pub(crate) async fn connect(options: &Options) -> Result<Connections> {
    let path = path_of(&options.url)?;
    make_file(&path)?;
    if check_file(&path)? {
        check_before_writing(&path, options).await?;
    }
    let write = patiently(options, || writer(&path, options)).await?;
    patiently(options, || migrate(&write)).await?;
    let read = reader(&path, options, options.read_connections).await.map_err(|failure| failure.into_error("open store"))?;
    let watch = reader(&path, options, 1).await.map_err(|failure| failure.into_error("open store"))?;
    let direct_write = DirectWriter::start(&path, options)?;
    let direct_read = DirectReader::start(&path, options)?;
    Ok(Connections { path, read, write, direct_write, direct_read, watch })
}

/// The file that the address names.
fn path_of(url: &str) -> Result<PathBuf> {
    let refuse = |reason: &str| Err(Invalid::new("url", reason).into());
    let Some(rest) = url.strip_prefix("sqlite:") else {
        return refuse("must have the form sqlite:PATH");
    };
    let path = rest.strip_prefix("//").unwrap_or(rest);
    if path.contains(":memory:") || path.contains("mode=memory") {
        return refuse("a database in memory is not kept here; use eyrie_core::memory::MemoryStore for that");
    }
    if path.is_empty() || path.contains('?') {
        return refuse("must have the form sqlite:PATH, without parameters");
    }
    Ok(PathBuf::from(path))
}

/// Makes an empty file that only its owner may read, unless there is one.
fn make_file(path: &Path) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Err(Invalid::new("url", format!("the folder {} does not exist; make it first", folder.display())).into());
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => {
            let kind = if error.kind() == io::ErrorKind::StorageFull { ErrorKind::StorageFull } else { ErrorKind::Unavailable };
            Err(Error::new(kind, "open store", format!("{} cannot be made", path.display())).with_source(error))
        }
    }
}

/// Tries again while another process holds the database.
async fn patiently<T, Work>(options: &Options, attempt: impl Fn() -> Work) -> Result<T>
where
    Work: Future<Output = Result<T, Failure>>,
{
    let begun = Instant::now();
    loop {
        match attempt().await {
            Err(failure) if failure.is_busy() && begun.elapsed() < options.busy_timeout => {
                tokio::time::sleep(Duration::from_millis(5)).await
            }
            done => return done.map_err(|failure| failure.into_error("open store")),
        }
    }
}

/// Looks at an existing database through a connection that cannot write.
async fn check_before_writing(path: &Path, options: &Options) -> Result<()> {
    let look = || async {
        let db = open(path, 1, options.busy_timeout, |sqlite| sqlite.read_only(true)).await?;
        let checked = check_schema(&db).await;
        db.close().await?;
        checked
    };
    patiently(options, look).await.map(drop)
}

/// Brings the schema up to date. Of several processes that do so at once, one does it and the others find it done.
async fn migrate(write: &DatabaseConnection) -> Result<(), Failure> {
    if check_schema(write).await? == Schema::Current {
        return Ok(());
    }
    let options = TransactionOptions { sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate), ..TransactionOptions::default() };
    let transaction = write.begin_with_options(options).await?;
    if check_schema(&transaction).await? == Schema::Behind {
        Migrator::up(&transaction, None).await?;
    }
    transaction.commit().await.map_err(|error| Failure::Commit(error.into()))
}

async fn writer(path: &Path, options: &Options) -> Result<DatabaseConnection, Failure> {
    let synchronous = match options.synchronous {
        Synchronous::Full => sqlite::SqliteSynchronous::Full,
        Synchronous::Normal => sqlite::SqliteSynchronous::Normal,
    };
    let max_pages = options.max_pages;
    open(path, 1, options.busy_timeout.min(SHORT_WAIT), move |sqlite| {
        let sqlite = sqlite.journal_mode(sqlite::SqliteJournalMode::Wal).synchronous(synchronous);
        let sqlite = WRITE_SETTINGS.into_iter().fold(sqlite, |sqlite, (name, value)| sqlite.pragma(name, value));
        match max_pages {
            Some(pages) => sqlite.pragma("max_page_count", pages.to_string()),
            None => sqlite,
        }
    })
    .await
}

async fn reader(path: &Path, options: &Options, connections: u32) -> Result<DatabaseConnection, Failure> {
    open(path, connections, options.busy_timeout, |sqlite| sqlite.pragma("query_only", "ON")).await
}

async fn open<F>(path: &Path, connections: u32, busy_timeout: Duration, shape: F) -> Result<DatabaseConnection, Failure>
where
    F: Fn(sqlite::SqliteConnectOptions) -> sqlite::SqliteConnectOptions + Send + Sync + 'static,
{
    let path = path.to_owned();
    let mut options = ConnectOptions::new("sqlite://file");
    options
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(busy_timeout.max(Duration::from_secs(5)))
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .sqlx_logging(false)
        .record_stmt_in_spans(false)
        .map_sqlx_sqlite_opts(move |sqlite| {
            let sqlite = sqlite
                .filename(&path)
                .create_if_missing(false)
                .foreign_keys(true)
                .busy_timeout(busy_timeout)
                .statement_cache_capacity(300)
                .row_buffer_size(256);
            shape(SETTINGS.into_iter().fold(sqlite, |sqlite, (name, value)| sqlite.pragma(name, value)))
        })
        // After some errors SQLite ends a transaction by itself; a connection that has lost count of that is not used again.
        .map_sqlx_sqlite_before_acquire(|connection, _| {
            let is_clean = !connection.is_in_transaction();
            Box::pin(async move { Ok(is_clean) })
        });
    Ok(Database::connect(options).await?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn addresses() {
        assert_eq!(path_of("sqlite:a/b.db").unwrap(), Path::new("a/b.db"));
        assert_eq!(path_of("sqlite:///a/b.db").unwrap(), Path::new("/a/b.db"));
        assert_eq!(path_of("sqlite:/a/b.db").unwrap(), Path::new("/a/b.db"));
        for bad in ["postgres://x", "sqlite:", "sqlite::memory:", "sqlite://:memory:", "sqlite:a?mode=memory", "a.db"] {
            assert_eq!(path_of(bad).unwrap_err().invalid().unwrap().field(), "url", "{bad}");
        }
        assert!(path_of("sqlite::memory:").unwrap_err().to_string().contains("MemoryStore"));
    }
}
