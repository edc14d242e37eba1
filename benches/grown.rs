//! A database with a long past: copies of one finished run, by the hundred thousand.

use std::error::Error;

use eyrie_core::id::RunId;
use sea_orm::sqlx::{self, AssertSqlSafe, Connection, PgConnection};

/// How many runs are copied in one transaction.
const PIECE: u64 = 10_000;
/// Numbers that the database gives by itself.
const OWN_NUMBERS: [&str; 2] = ["position", "xact"];
/// The tables of a run, with the column that names it.
const TABLES: [(&str, &str); 3] = [("runs", "id"), ("run_steps", "run_id"), ("run_events", "run_id")];

/// Copies the finished run so many times in a file of SQLite's.
///
/// # Errors
/// When the database fails.
pub fn in_file(path: &std::path::Path, run: RunId, copies: u64) -> Result<(), Box<dyn Error>> {
    let mut connection = rusqlite::Connection::open(path)?;
    connection.busy_timeout(std::time::Duration::from_secs(60))?;
    let mut statements = Vec::new();
    for (table, key) in TABLES {
        let mut columns = connection.prepare(&format!("SELECT name FROM pragma_table_info('{table}')"))?;
        let columns: Vec<String> = columns.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        statements.push(copy(table, key, &columns, "CAST(unhex(printf('%012x7000800000000000%04x', n / 65536, n % 65536)) AS BLOB)"));
    }
    for piece in pieces(copies) {
        let transaction = connection.transaction()?;
        for statement in &statements {
            let numbers =
                format!("WITH RECURSIVE numbers (n) AS (SELECT {} UNION ALL SELECT n + 1 FROM numbers WHERE n < {})", piece.0, piece.1);
            transaction.execute(&format!("{numbers} {statement}"), [run.uuid()])?;
        }
        transaction.commit()?;
    }
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE); ANALYZE;")?;
    Ok(())
}

/// Copies the finished run so many times on a server.
///
/// # Errors
/// When the database fails.
pub async fn on_server(url: &str, run: RunId, copies: u64) -> Result<(), Box<dyn Error>> {
    let mut connection = PgConnection::connect(url).await?;
    let mut statements = Vec::new();
    for (table, key) in TABLES {
        let columns = "SELECT column_name::text FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = $1";
        let columns: Vec<String> = sqlx::query_scalar(columns).bind(table).fetch_all(&mut connection).await?;
        let id = "(lpad(to_hex(n / 65536), 12, '0') || '7000800000000000' || lpad(to_hex(n % 65536), 4, '0'))::uuid";
        statements.push(copy(table, key, &columns, id).replace("?1", "$1"));
    }
    for (first, last) in pieces(copies) {
        for statement in &statements {
            let statement = format!("WITH numbers (n) AS (SELECT generate_series({first}::int8, {last}::int8)) {statement}");
            sqlx::query(AssertSqlSafe(statement)).bind(run.uuid()).execute(&mut connection).await?;
        }
    }
    sqlx::query("VACUUM ANALYZE").execute(&mut connection).await?;
    sqlx::query("CHECKPOINT").execute(&mut connection).await?;
    Ok(())
}

fn pieces(copies: u64) -> impl Iterator<Item = (u64, u64)> {
    (0..copies).step_by(PIECE as usize).map(move |first| (first, (first + PIECE).min(copies) - 1))
}

/// Copies the rows of the run `?1`, once for each number `n`; `id` is the copy's. The copies are older than everything else.
fn copy(table: &str, key: &str, columns: &[String], id: &str) -> String {
    let columns: Vec<&str> = columns.iter().map(String::as_str).filter(|column| !OWN_NUMBERS.contains(column)).collect();
    let values: Vec<String> = columns.iter().map(|column| if *column == key { id.to_owned() } else { format!("t.{column}") }).collect();
    format!("INSERT INTO {table} ({}) SELECT {} FROM numbers, {table} t WHERE t.{key} = ?1", columns.join(", "), values.join(", "))
}
