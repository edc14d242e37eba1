//! What a database's complaints mean.

use sea_orm::{DbErr, RuntimeErr, SqlxError, sqlx};

/// A database's complaint, by the way that it came.
#[derive(Debug, thiserror::Error)]
#[allow(unreachable_pub, reason = "part of an error that is an associated type of public traits; this module is private all the same")]
pub enum Cause {
    /// Through SeaORM.
    #[error(transparent)]
    Sea(#[from] DbErr),
    /// From SQLite itself.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// Through SQLx.
    #[error(transparent)]
    Sqlx(#[from] SqlxError),
}

/// What kind of fault the database reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// No room left on the device.
    Full,
    /// Somebody else holds the database.
    Busy,
    /// No connection to be had.
    Unreachable,
    /// A unique value is taken: which.
    Taken(&'static str),
    /// A reference is broken.
    Reference,
    /// The file is damaged.
    Damaged,
    /// Anything else.
    Other,
}

const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const IO_ERROR: i32 = 10;
const CORRUPT: i32 = 11;
const FULL: i32 = 13;
const CANNOT_OPEN: i32 = 14;
const NOT_A_DATABASE: i32 = 26;
/// The shared-memory file could not grow, which happens when the device is full.
const IO_SHARED_MEMORY_SIZE: i32 = 10 | (19 << 8);
const CONSTRAINT_FOREIGN_KEY: i32 = 19 | (3 << 8);
/// How SQLite reports a reference that restricts a deletion; there are no triggers of our own.
const CONSTRAINT_TRIGGER: i32 = 19 | (7 << 8);
const CONSTRAINT_PRIMARY_KEY: i32 = 19 | (6 << 8);
const CONSTRAINT_UNIQUE: i32 = 19 | (8 << 8);

impl Fault {
    /// What `cause` means.
    pub(crate) fn of(cause: &Cause) -> Self {
        match cause {
            Cause::Sea(error) => Self::of_sea(error),
            Cause::Sqlite(rusqlite::Error::SqliteFailure(code, message)) => {
                Self::of_sqlite(code.extended_code, message.as_deref().unwrap_or_default())
            }
            Cause::Sqlite(_) => Self::Other,
            Cause::Sqlx(error) => Self::of_sqlx(error),
        }
    }

    fn of_sea(error: &DbErr) -> Self {
        match error {
            DbErr::ConnectionAcquire(_) => Self::Unreachable,
            DbErr::Conn(RuntimeErr::SqlxError(error)) => match Self::of_sqlx(error) {
                Self::Other => Self::Unreachable,
                fault => fault,
            },
            DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => Self::of_sqlx(error),
            _ => Self::Other,
        }
    }

    fn of_sqlx(error: &SqlxError) -> Self {
        let error = match error {
            SqlxError::Database(error) => error,
            SqlxError::Io(error) if error.kind() == std::io::ErrorKind::StorageFull => return Self::Full,
            SqlxError::Io(_)
            | SqlxError::Tls(_)
            | SqlxError::Protocol(_)
            | SqlxError::PoolTimedOut
            | SqlxError::PoolClosed
            | SqlxError::WorkerCrashed => return Self::Unreachable,
            _ => return Self::Other,
        };
        Self::of_code(error.as_ref())
    }

    fn of_code(error: &dyn sqlx::error::DatabaseError) -> Self {
        #[cfg(feature = "postgres")]
        if let Some(error) = error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>() {
            return Self::of_postgres(error.code(), error.constraint().unwrap_or_default());
        }
        let code = error.code().and_then(|code| code.parse().ok()).unwrap_or_default();
        Self::of_sqlite(code, error.message())
    }

    /// By the classes of <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
    #[cfg(feature = "postgres")]
    fn of_postgres(code: &str, constraint: &str) -> Self {
        match code {
            "23505" => Self::Taken(taken_constraint(constraint)),
            "23503" | "23001" => Self::Reference,
            // Serialization failure, deadlock, lock not available in time.
            "40001" | "40P01" | "55P03" => Self::Busy,
            "53100" => Self::Full,
            // The server is shutting down, starting, or out of connections; or it ended this session.
            "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "53300" | "53200" => Self::Unreachable,
            "XX001" | "XX002" => Self::Damaged,
            _ if code.starts_with("08") => Self::Unreachable,
            _ => Self::Other,
        }
    }

    fn of_sqlite(code: i32, message: &str) -> Self {
        match code {
            CONSTRAINT_UNIQUE | CONSTRAINT_PRIMARY_KEY => Self::Taken(taken(message)),
            CONSTRAINT_FOREIGN_KEY | CONSTRAINT_TRIGGER => Self::Reference,
            IO_SHARED_MEMORY_SIZE => Self::Full,
            _ => match code & 0xff {
                FULL => Self::Full,
                BUSY | LOCKED => Self::Busy,
                IO_ERROR | CANNOT_OPEN => Self::Unreachable,
                CORRUPT | NOT_A_DATABASE => Self::Damaged,
                _ => Self::Other,
            },
        }
    }
}

/// The event of a run with that number: whoever writes it was not the only one to think that it is next.
pub(crate) const EVENT: &str = "an event of that number";

/// The unique thing that SQLite's message names by its columns.
fn taken(message: &str) -> &'static str {
    let columns = message.rsplit_once(": ").map_or(message, |(_, columns)| columns);
    let first = columns.split(',').map(str::trim).next_back().unwrap_or_default();
    match first {
        "projects.slug" => "a project of that slug",
        "namespaces.uid" | "projects.namespace_uid" => "a namespace of that uid",
        "deployment_groups.slug" => "a group of that slug",
        "scopes.slug" => "a scope of that slug",
        "deployments.slug" => "a deployment of that slug",
        "services.name" => "a service of that name",
        "repositories.slug" => "a repository of that slug",
        "branches.name" => "a branch of that name",
        "monitors.slug" => "a monitor of that slug",
        "images.reference" => "an image of that reference",
        "users.name" => "a user of that name",
        "tokens.secret_hash" => "a token of that secret",
        "secrets.name" => "a secret of that name",
        "clusters.slug" => "a cluster of that slug",
        "clusters.uid" => "a cluster of that uid",
        "datasources.slug" => "a datasource of that slug",
        "sealing_keys.version" => "a key of that version",
        "workers.id" => "a worker of that id",
        "request_keys.request_key" => "a request of that key",
        "run_events.seq" => EVENT,
        _ => "a thing of that id",
    }
}

/// The unique thing that PostgreSQL names by the constraint or index.
#[cfg(feature = "postgres")]
fn taken_constraint(constraint: &str) -> &'static str {
    taken(match constraint {
        "projects_slug" => "projects.slug",
        "namespaces_pkey" | "projects_namespace" => "namespaces.uid",
        "deployment_groups_slug" => "deployment_groups.slug",
        "scopes_slug" => "scopes.slug",
        "deployments_slug" => "deployments.slug",
        "services_name" => "services.name",
        "repositories_slug" | "repositories_shared" => "repositories.slug",
        "branches_name" => "branches.name",
        "monitors_slug" => "monitors.slug",
        "images_reference" | "images_shared" => "images.reference",
        "users_name" => "users.name",
        "tokens_secret" => "tokens.secret_hash",
        "secrets_name" | "secrets_operators_name" => "secrets.name",
        "clusters_slug" => "clusters.slug",
        "clusters_uid" => "clusters.uid",
        "datasources_slug" | "datasources_operators_slug" => "datasources.slug",
        "sealing_keys_pkey" => "sealing_keys.version",
        "workers_pkey" => "workers.id",
        "request_keys_pkey" => "request_keys.request_key",
        "run_events_seq" => "run_events.seq",
        _ => "",
    })
}

#[cfg(test)]
mod tests {
    use super::taken;

    #[test]
    fn messages_name_the_thing() {
        assert_eq!(taken("UNIQUE constraint failed: projects.slug"), "a project of that slug");
        assert_eq!(taken("UNIQUE constraint failed: deployments.group_id, deployments.slug"), "a deployment of that slug");
        assert_eq!(taken("UNIQUE constraint failed: runs.id"), "a thing of that id");
    }
}
