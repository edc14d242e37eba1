//! Copies a server's tables into a file, so that one oracle judges both.

use std::path::Path;

use rusqlite::{Connection, types::Value as Cell};
use sea_orm::{ConnectionTrait, Database, DbBackend, Statement};
use serde_json::Value;
use uuid::Uuid;

/// What the oracle reads.
const TABLES: &str = "'runs', 'run_steps', 'run_events', 'plans', 'request_keys', 'forgotten_runs', 'log_chunks', 'deployments', \
    'deployed_services', 'releases'";

/// Copies the tables of the database at `url` into a new file.
pub async fn copy_tables(url: &str, file: &Path) {
    let _ = std::fs::remove_file(file);
    let mut to = Connection::open(file).expect("tables that can be copied");
    let from = Database::connect(url).await.expect("tables that can be copied");
    let rows =
        async |sql: String| from.query_all_raw(Statement::from_string(DbBackend::Postgres, sql)).await.expect("tables that can be copied");
    let tables =
        format!("SELECT table_name::text FROM information_schema.tables WHERE table_name IN ({TABLES}) OR table_name LIKE 'gone\\_%'");
    let tables = rows(tables).await;
    for table in tables.iter().map(|row| row.try_get_by_index::<String>(0).expect("tables that can be copied")) {
        let about = format!("SELECT column_name::text, data_type::text FROM information_schema.columns WHERE table_name = '{table}'");
        let columns: Vec<(String, String)> = rows(about)
            .await
            .iter()
            .map(|row| {
                (row.try_get_by_index(0).expect("tables that can be copied"), row.try_get_by_index(1).expect("tables that can be copied"))
            })
            .collect();
        let names = columns.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
        to.execute_batch(&format!("CREATE TABLE {table} ({names})")).expect("tables that can be copied");
        let marks = vec!["?"; columns.len()].join(", ");
        let transaction = to.transaction().expect("tables that can be copied");
        for row in rows(format!("SELECT row_to_json(t)::text FROM {table} t")).await {
            let row: Value = serde_json::from_str(&row.try_get_by_index::<String>(0).expect("tables that can be copied"))
                .expect("tables that can be copied");
            let cells = columns.iter().map(|(name, kind)| cell(&row[name], kind));
            transaction
                .execute(&format!("INSERT INTO {table} VALUES ({marks})"), rusqlite::params_from_iter(cells))
                .expect("tables that can be copied");
        }
        transaction.commit().expect("tables that can be copied");
    }
    from.close().await.expect("tables that can be copied");
}

fn cell(value: &Value, kind: &str) -> Cell {
    match (value, kind) {
        (Value::Null, _) => Cell::Null,
        (Value::Bool(yes), _) => Cell::Integer(i64::from(*yes)),
        (Value::Number(number), _) => Cell::Integer(number.as_i64().expect("tables that can be copied")),
        (Value::String(text), "uuid") => Cell::Blob(text.parse::<Uuid>().expect("tables that can be copied").as_bytes().to_vec()),
        (Value::String(text), "bytea") => Cell::Blob(bytes(text.strip_prefix("\\x").expect("tables that can be copied"))),
        (Value::String(text), _) => Cell::Text(text.clone()),
        (other, _) => panic!("a column of {other}"),
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).map(|place| u8::from_str_radix(&hex[2 * place..2 * place + 2], 16).expect("tables that can be copied")).collect()
}
