//! Keeps a copy of every row that is deleted, and says when it was: by triggers beside the store's tables, so that an oracle sees
//! everything that there ever was.

use std::path::Path;

use rusqlite::Connection;
use sea_orm::{ConnectionTrait, Database};

/// What pruning deletes from, and what the oracle wants to see of it.
pub const TABLES: [&str; 5] = ["runs", "run_steps", "run_events", "plans", "request_keys"];

/// From now on, in this file. SQLite tells the time in whole milliseconds: what went is taken to have gone at the end of one.
pub fn keep_in_file(file: &Path) {
    let db = Connection::open(file).expect("the database opens");
    db.busy_timeout(std::time::Duration::from_secs(10)).expect("a time-out");
    for table in TABLES {
        let mut columns = db.prepare(&format!("SELECT name FROM pragma_table_info('{table}')")).expect("a table");
        let names: Vec<String> =
            columns.query_map([], |row| row.get(0)).and_then(Iterator::collect).expect("the columns of a table can be read");
        let old = names.iter().map(|name| format!("OLD.{name}")).collect::<Vec<_>>().join(", ");
        db.execute_batch(&format!(
            "CREATE TABLE gone_{table} AS SELECT *, 0 AS gone_at FROM {table} WHERE false;
            CREATE TRIGGER {table}_go AFTER DELETE ON {table} BEGIN
                INSERT INTO gone_{table} SELECT {old}, CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000 + 999;
            END;"
        ))
        .expect("a trigger");
    }
}

/// From now on, in this database of a server.
pub async fn keep_on_server(url: &str) {
    let db = Database::connect(url).await.expect("the server answers");
    for table in TABLES {
        db.execute_unprepared(&format!(
            "CREATE TABLE gone_{table} AS SELECT *, 0::int8 AS gone_at FROM {table} WHERE false;
            CREATE FUNCTION {table}_go() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                INSERT INTO gone_{table} SELECT OLD.*, (extract(epoch FROM clock_timestamp()) * 1000000)::int8;
                RETURN NULL;
            END $$;
            CREATE TRIGGER {table}_go AFTER DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION {table}_go();"
        ))
        .await
        .expect("a trigger");
    }
    db.close().await.expect("the connection closes");
}
