//! The database under a benchmark: a new file, or a server that is thrown away.

use std::{error::Error, path::PathBuf};

use eyrie_core::id::RunId;
use eyrie_store_sea::SeaStore;
use eyrie_tests::postgres::Server;
use sea_orm::sqlx::{Connection, PgConnection};

use crate::{grown, raw_limits::RawLimits, raw_postgres, raw_sqlite};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Rows written by runs so far: each event, each run's row when it is queued, claimed and with each of its commands, each step's
/// row when it is made, started and ended, and each audit entry.
const ROWS: &str = "SELECT (SELECT count(*) FROM run_events) + 2 * (SELECT count(*) FROM runs) \
    + (SELECT count(DISTINCT command_id) FROM run_events) + 3 * (SELECT count(*) FROM run_steps) + (SELECT count(*) FROM audit_entries)";

/// A database.
#[derive(Debug)]
pub struct Database {
    folder: tempfile::TempDir,
    server: Option<(Server, String)>,
}

impl Database {
    /// A new one: `sqlite` or `postgres`.
    ///
    /// # Errors
    /// For another store, or when there is no room for it.
    pub async fn new(store: &str) -> Result<Self> {
        let folder = tempfile::tempdir_in(std::env::var_os("EYRIE_BENCH_DIR").map_or_else(std::env::temp_dir, Into::into))?;
        let server = match store {
            "sqlite" => None,
            "postgres" => {
                let server = Server::start(&["max_connections=100", "shared_buffers=256MB", "max_wal_size=4GB"]);
                let url = server.database().await;
                Some((server, url))
            }
            other => return Err(format!("there is no store {other}: --store sqlite or --store postgres").into()),
        };
        Ok(Self { folder, server })
    }

    /// Its store's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        if self.server.is_some() { "postgres" } else { "sqlite" }
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        match &self.server {
            Some((_, url)) => url.clone(),
            None => format!("sqlite:{}", self.file().display()),
        }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("bench.db")
    }

    /// Opens a store on it.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub async fn open(&self) -> Result<SeaStore> {
        Ok(SeaStore::open(&self.url()).await?)
    }

    /// Gives it a long past: so many copies of the finished run.
    ///
    /// # Errors
    /// When it fails.
    pub async fn grow(&self, run: RunId, copies: u64) -> Result<()> {
        match &self.server {
            Some((_, url)) => grown::on_server(url, run, copies).await,
            None => grown::in_file(&self.file(), run, copies),
        }
    }

    /// What it does without anything in front of it.
    ///
    /// # Errors
    /// When it fails.
    pub async fn raw_limits(&self, synchronous: &str) -> Result<RawLimits> {
        if let Some((_, url)) = &self.server {
            return Ok(raw_postgres::measure(&mut PgConnection::connect(url).await?, 2.0).await?);
        }
        let folder = tempfile::tempdir_in(self.folder.path())?;
        Ok(raw_sqlite::measure(folder.path(), synchronous, 2.0)?)
    }

    /// How many rows runs have written so far.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn rows(&self) -> Result<i64> {
        if let Some((_, url)) = &self.server {
            return Ok(raw_postgres::count_rows(&mut PgConnection::connect(url).await?, ROWS).await?);
        }
        let connection = rusqlite::Connection::open_with_flags(self.file(), rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        Ok(connection.query_row(ROWS, [], |row| row.get(0))?)
    }
}
