//! What a PostgreSQL server itself does, with its own durability settings: the floor to compare with.

use std::{future::Future, time::Instant};

use sea_orm::sqlx::{self, PgConnection};

use crate::raw_limits::RawLimits;

/// Measures for about `seconds` each, in a table of its own in the database.
///
/// # Errors
/// When the server fails.
pub async fn measure(connection: &mut PgConnection, seconds: f64) -> sqlx::Result<RawLimits> {
    // As wide as an event's row.
    let table = "CREATE TABLE IF NOT EXISTS raw_event (run int8, seq int8, at int8, kind text, step int8, name text, state text, \
        message text, PRIMARY KEY (run, seq))";
    sqlx::query(table).execute(&mut *connection).await?;
    sqlx::query("TRUNCATE raw_event").execute(&mut *connection).await?;
    let single_commits_per_s = commits(connection, 1, seconds).await?;
    let batched_rows_per_s = 100.0 * commits(connection, 100, seconds).await?;
    Ok(RawLimits { single_commits_per_s, batched_rows_per_s })
}

/// Commits of so many rows each, all in one statement, per second.
async fn commits(connection: &mut PgConnection, rows: i64, seconds: f64) -> sqlx::Result<f64> {
    let insert = "INSERT INTO raw_event SELECT $1, seq, $2, 'step', 1, 'a step', 'running', '' FROM unnest($3::int8[]) AS v(seq)";
    let begun = Instant::now();
    let mut done = 0_i64;
    while begun.elapsed().as_secs_f64() < seconds {
        let all: Vec<i64> = (0..rows).map(|row| done * rows + row).collect();
        sqlx::query(insert).bind(rows).bind(done).bind(all).execute(&mut *connection).await?;
        done += 1;
    }
    Ok(done as f64 / begun.elapsed().as_secs_f64())
}

/// Rows that runs have written so far, counted as for SQLite.
///
/// # Errors
/// When the server fails.
pub fn count_rows(connection: &mut PgConnection, query: &'static str) -> impl Future<Output = sqlx::Result<i64>> {
    sqlx::query_scalar::<_, i64>(query).fetch_one(connection)
}
