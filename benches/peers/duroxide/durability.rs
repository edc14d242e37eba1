//! How durable a commit is, read from the connections that the provider itself writes through.

use sqlx::{PgPool, SqlitePool};
use workload::{Profile, Result};

/// What all connections to a file say. With settings of ours each is first told to wait for the device at every commit: the provider sets
/// `synchronous = WAL`, which SQLite does not know and takes for NORMAL, and has no option for it.
pub(crate) async fn of_file(pool: &SqlitePool, profile: Profile) -> Result<String> {
    let mut connections = Vec::new();
    for _ in 0..pool.options().get_max_connections() {
        connections.push(pool.acquire().await?);
    }
    let mut said = Vec::new();
    for connection in &mut connections {
        if profile == Profile::Equal {
            sqlx::query("PRAGMA synchronous = FULL").execute(&mut **connection).await?;
        }
        let journal: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut **connection).await?;
        let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut **connection).await?;
        let level = ["off", "normal", "full", "extra"].get(usize::try_from(synchronous)?).unwrap_or(&"?");
        said.push(format!("journal_mode={journal} synchronous={level}"));
    }
    said.dedup();
    Ok(said.join(", "))
}

/// What a connection to a server is told.
pub(crate) async fn of_server(pool: &PgPool) -> Result<String> {
    let read = "SELECT 'fsync=' || current_setting('fsync') || ' synchronous_commit=' || current_setting('synchronous_commit')";
    Ok(sqlx::query_scalar(read).fetch_one(pool).await?)
}
