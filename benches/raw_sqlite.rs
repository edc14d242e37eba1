//! What SQLite itself does on this file system, with the durability settings of the store: the floor to compare with.

use std::{path::Path, time::Instant};

use rusqlite::{Connection, params};

use crate::raw_limits::RawLimits;

/// Measures for about `seconds` each, in a new file in `folder`.
///
/// # Errors
/// When SQLite fails.
pub fn measure(folder: &Path, synchronous: &str, seconds: f64) -> rusqlite::Result<RawLimits> {
    let mut connection = Connection::open(folder.join("raw.db"))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", synchronous)?;
    // As wide as an event's row.
    connection.execute_batch("CREATE TABLE event (run BLOB, seq INTEGER, at INTEGER, kind TEXT, step INTEGER, name TEXT, state TEXT, message TEXT, PRIMARY KEY (run, seq)) WITHOUT ROWID")?;
    let single_commits_per_s = commits(&mut connection, 1, seconds)?;
    let batched_rows_per_s = 100.0 * commits(&mut connection, 100, seconds)?;
    Ok(RawLimits { single_commits_per_s, batched_rows_per_s })
}

fn commits(connection: &mut Connection, rows: i64, seconds: f64) -> rusqlite::Result<f64> {
    let run = rows.to_le_bytes();
    let begun = Instant::now();
    let mut done = 0_i64;
    while begun.elapsed().as_secs_f64() < seconds {
        let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        {
            let mut insert = transaction.prepare_cached("INSERT INTO event VALUES (?, ?, ?, 'step', 1, 'a step', 'running', '')")?;
            for row in 0..rows {
                insert.execute(params![run, done * rows + row, done])?;
            }
        }
        transaction.commit()?;
        done += 1;
    }
    Ok(done as f64 / begun.elapsed().as_secs_f64())
}
