//! Copies a server's tables into a file, so that one oracle judges both.

use std::path::Path;

use rusqlite::{Connection, types::Value as Cell};
use sea_orm::{ConnectionTrait, Database, DbBackend, Statement};
use serde_json::Value;
use uuid::Uuid;

/// What the oracle reads.
const TABLES: [&str; 5] = ["runs", "run_steps", "run_events", "plans", "request_keys"];

/// Copies the tables of the database at `url` into a new file.
pub(super) async fn copy_tables(url: &str, file: &Path) {
    let _ = std::fs::remove_file(file);
    let mut to = Connection::open(file).unwrap();
    let from = Database::connect(url).await.unwrap();
    let rows = async |sql: String| from.query_all_raw(Statement::from_string(DbBackend::Postgres, sql)).await.unwrap();
    for table in TABLES {
        let about = format!("SELECT column_name::text, data_type::text FROM information_schema.columns WHERE table_name = '{table}'");
        let columns: Vec<(String, String)> =
            rows(about).await.iter().map(|row| (row.try_get_by_index(0).unwrap(), row.try_get_by_index(1).unwrap())).collect();
        let names = columns.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
        to.execute_batch(&format!("CREATE TABLE {table} ({names})")).unwrap();
        let marks = vec!["?"; columns.len()].join(", ");
        let transaction = to.transaction().unwrap();
        for row in rows(format!("SELECT row_to_json(t)::text FROM {table} t")).await {
            let row: Value = serde_json::from_str(&row.try_get_by_index::<String>(0).unwrap()).unwrap();
            let cells = columns.iter().map(|(name, kind)| cell(&row[name], kind));
            transaction.execute(&format!("INSERT INTO {table} VALUES ({marks})"), rusqlite::params_from_iter(cells)).unwrap();
        }
        transaction.commit().unwrap();
    }
    from.close().await.unwrap();
}

fn cell(value: &Value, kind: &str) -> Cell {
    match (value, kind) {
        (Value::Null, _) => Cell::Null,
        (Value::Bool(yes), _) => Cell::Integer(i64::from(*yes)),
        (Value::Number(number), _) => Cell::Integer(number.as_i64().unwrap()),
        (Value::String(text), "uuid") => Cell::Blob(text.parse::<Uuid>().unwrap().as_bytes().to_vec()),
        (Value::String(text), "bytea") => Cell::Blob(bytes(text.strip_prefix("\\x").unwrap())),
        (Value::String(text), _) => Cell::Text(text.clone()),
        (other, _) => panic!("a column of {other}"),
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).map(|place| u8::from_str_radix(&hex[2 * place..2 * place + 2], 16).unwrap()).collect()
}
