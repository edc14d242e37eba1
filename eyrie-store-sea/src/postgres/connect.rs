//! Reaching the server: what it must be, and the connections to it.

use std::{fmt, str::FromStr, time::Duration};

use eyrie_core::{Error, ErrorKind, Invalid, Result};
use sea_orm::{
    DatabaseConnection, SqlxPostgresConnector,
    sqlx::{
        self, Connection, Executor, PgConnection, PgPool,
        pool::PoolConnectionMetadata,
        postgres::{PgConnectOptions, PgPoolOptions},
    },
};
use sea_orm_migration::MigratorTrait;

use crate::{
    error::Failure,
    fault::Fault,
    migration::Migrator,
    options::{Options, Synchronous},
    schema_check::{Schema, check_schema},
};

/// The oldest server that will do: transaction ids of 64 bits, which the feed is ordered by, came with it.
const OLDEST: i32 = 130_000;
/// Held while the schema is brought up to date: the bytes of `eyrie`.
const MIGRATION_LOCK: i64 = 0x65_79_72_69_65;

/// The connections to one database.
#[derive(Debug)]
pub(crate) struct Connections {
    /// For what people read, on their own runtimes.
    pub(crate) read: DatabaseConnection,
    /// For what people write, on the store's own runtime: whoever blocks a runtime must not keep rows locked.
    pub(crate) write: PgPool,
    /// For what the engine writes, on the store's own runtime.
    pub(crate) engine: PgPool,
    /// For rows that are read, on the store's own runtime: what is written must not wait for many who read.
    pub(crate) rows: PgPool,
    /// The server and database, for people.
    pub(crate) place: String,
}

/// Whether the address is one of PostgreSQL's.
pub(crate) fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres:") || url.starts_with("postgresql:")
}

/// Connects to the database, making or migrating its tables where needed.
pub(crate) async fn connect(options: &Options) -> Result<Connections> {
    let asked = PgConnectOptions::from_str(&options.url).map_err(|error| {
        Error::from(Invalid::new("url", format!("is not a PostgreSQL address (postgres://user@host/database): {error}")))
    })?;
    let place = format!("{} on {}:{}", asked.get_database().unwrap_or(asked.get_username()), asked.get_host(), asked.get_port());
    let commit = match options.synchronous {
        Synchronous::Full => "on",
        Synchronous::Normal => "off",
    };
    let asked = asked.application_name("eyrie").options([
        ("synchronous_commit", commit),
        ("lock_timeout", "10s"),
        ("idle_in_transaction_session_timeout", "60s"),
        ("default_transaction_isolation", "read committed"),
    ]);
    let pool = |most: u32| PgPoolOptions::new().max_connections(most).acquire_timeout(options.busy_timeout.max(Duration::from_secs(5)));
    let first = pool(options.read_connections.max(2)).test_before_acquire(true).connect_with(asked.clone()).await;
    let readers = first.map_err(|error| unreachable_server(&place, error))?;
    check_server(&readers, &place).await?;
    let read = SqlxPostgresConnector::from_sqlx_postgres_pool(readers.clone());
    migrate(&readers, &read, &place).await?;
    let write = pool(4).test_before_acquire(true).connect_lazy_with(asked.clone());
    // A recorder, a claim, a heartbeat, a log that is written, one who announces, one who listens. Not tested before each use: a
    // broken one is noticed when its transaction begins, and another one is taken.
    // Its statements look up rows by their keys and nothing else: they are planned once, and that way, whatever the statistics.
    let asked = asked.options([
        ("plan_cache_mode", "force_generic_plan"),
        ("enable_seqscan", "off"),
        ("enable_hashjoin", "off"),
        ("enable_mergejoin", "off"),
        ("jit", "off"),
    ]);
    let pool = |most| pool(most).test_before_acquire(false).before_acquire(|connection, about| Box::pin(looked_at(connection, about)));
    let engine = pool(6).connect_lazy_with(asked.clone());
    let rows = pool(3).connect_lazy_with(asked);
    Ok(Connections { read, write, engine, rows, place })
}

/// How long a connection may lie idle before it is tested again.
const IDLE: Duration = Duration::from_secs(1);

/// Tests a connection that was not used for a while: of one that breaks under a statement that is a transaction of its own, nobody
/// knows how that ended.
async fn looked_at(connection: &mut PgConnection, about: PoolConnectionMetadata) -> Result<bool, sqlx::Error> {
    if about.idle_for >= IDLE {
        connection.ping().await?;
    }
    Ok(true)
}

/// What is wrong with the server or the address, with what to do.
fn unreachable_server(place: &str, error: sqlx::Error) -> Error {
    let code = error.as_database_error().and_then(|error| error.code()).unwrap_or_default().into_owned();
    let (kind, message) = match code.as_str() {
        "3D000" => (ErrorKind::Invalid, format!("there is no database {place}; make it (createdb) or correct the address")),
        "28P01" | "28000" => (ErrorKind::Denied, format!("the server refuses the user or the password for {place}; correct the address")),
        "53300" => (ErrorKind::Unavailable, format!("the server of {place} has no connection left; raise max_connections")),
        _ => (ErrorKind::Unavailable, format!("the server of {place} cannot be reached; start it or correct the address")),
    };
    Error::new(kind, "open store", message).with_source(error)
}

async fn check_server(pool: &PgPool, place: &str) -> Result<()> {
    let version = sqlx::query_scalar::<_, i32>("SELECT current_setting('server_version_num')::int4").fetch_one(pool).await;
    let version = version.map_err(|error| unreachable_server(place, error))?;
    if version < OLDEST {
        let message = format!("the server of {place} is PostgreSQL {}; at least {} is needed", version / 10_000, OLDEST / 10_000);
        return Err(Error::new(ErrorKind::Incompatible, "open store", message));
    }
    Ok(())
}

/// Brings the schema up to date. Of several processes that do so at once, one does it and the others find it done.
async fn migrate(pool: &PgPool, db: &DatabaseConnection, place: &str) -> Result<()> {
    let done = async {
        let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'seaql_migrations'";
        if sqlx::query_scalar::<_, i64>(tables).fetch_one(pool).await? > 0 {
            check_rights(pool, place, USE).await?;
        }
        if check_schema(db).await? == Schema::Current {
            return Ok(());
        }
        check_rights(pool, place, MAKE).await?;
        let mut lock = pool.begin().await?;
        sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(MIGRATION_LOCK).execute(&mut *lock).await?;
        if check_schema(db).await? == Schema::Behind {
            Migrator::up(db, None).await?;
        }
        lock.commit().await?;
        Ok(())
    };
    done.await.map_err(|failure: Failure| failure.into_error("open store"))
}

/// What the user must be allowed: a query that says so, and what it is called.
struct Right {
    query: &'static str,
    need: &'static str,
}

const MAKE: Right = Right {
    query: "SELECT COALESCE(has_schema_privilege(current_schema(), 'CREATE'), false)",
    need: "make tables in its first schema (GRANT CREATE ON SCHEMA)",
};
const USE: Right = Right {
    query: "SELECT COALESCE(bool_and(has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT') \
        AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE')), false) \
        FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'",
    need: "read and write all tables (GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES)",
};

async fn check_rights(pool: &PgPool, place: &str, right: Right) -> Result<(), Failure> {
    if sqlx::query_scalar::<_, bool>(right.query).fetch_one(pool).await? {
        return Ok(());
    }
    let message = format!("the user of {place} may not {}", right.need);
    Err(Error::new(ErrorKind::Denied, "open store", message).into())
}

impl fmt::Debug for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.need)
    }
}

/// What commits wait for, read back from the server.
pub(crate) async fn synchronous(pool: &PgPool) -> Result<&'static str, Failure> {
    let mut connection = pool.acquire().await?;
    let row = (&mut *connection).fetch_one("SELECT current_setting('fsync') = 'on', current_setting('synchronous_commit')").await?;
    let (fsync, commit): (bool, String) = (sqlx::Row::try_get(&row, 0)?, sqlx::Row::try_get(&row, 1)?);
    Ok(match (fsync, commit.as_str()) {
        (false, _) | (_, "off") => "off",
        (_, "local") => "local",
        (_, "remote_write") => "remote_write",
        (_, "remote_apply") => "remote_apply",
        _ => "on",
    })
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Statement(error.into())
    }
}

impl Failure {
    /// Whether the transaction was ended because of others, and may succeed when it is begun anew.
    pub(super) fn is_in_the_way(&self) -> bool {
        matches!(self, Self::Statement(cause) | Self::Commit(cause) if matches!(Fault::of(cause), Fault::Busy))
    }

    /// Whether the connection was found to be broken.
    pub(super) fn is_unreachable(&self) -> bool {
        matches!(self, Self::Statement(cause) if matches!(Fault::of(cause), Fault::Unreachable))
    }
}
