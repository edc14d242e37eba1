//! What a claim costs does not grow with the queue: counted in steps of SQLite's machine, not timed.
#![allow(clippy::unwrap_used)]

use rusqlite::{Connection, StatementStatus, params};

use super::*;
use crate::store::SeaStore;

/// So many runs that are next in their deployments' queues, all of one group.
const FILL: &str = "INSERT INTO runs (id, project_id, deployment_id, group_id, cluster_id, kind, state, message, requested_by, origin, \
    context, plan_hash, first_steps, step_count, ready, deferred, epoch, last_seq, queued_at) \
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) \
    SELECT randomblob(16), ?2, randomblob(16), ?3, zeroblob(16), 'deploy', 'queued', '', '{}', 'cli', '{}', x'00', '[]', 1, TRUE, FALSE, 0, 1, i \
    FROM n";

fn fill(connection: &Connection, count: i64, project: u128, group: u128) {
    let bytes = |id: u128| Id::from_u128(id).as_bytes().to_vec();
    connection.execute(FILL, params![count, bytes(project), bytes(group)]).unwrap();
}

/// How many steps the statement takes, and how many rows it finds.
fn steps(connection: &Connection, statement: &RowStatement, row: &[Cell]) -> (i32, usize) {
    let mut prepared = connection.prepare(statement.one_row()).unwrap();
    let found = prepared.query(rusqlite::params_from_iter(row)).unwrap().mapped(|_| Ok(())).count();
    (prepared.get_status(StatementStatus::VmStep), found)
}

/// An empty database.
async fn database(folder: &std::path::Path) -> Connection {
    let path = folder.join("eyrie.db");
    let store = SeaStore::open(&format!("sqlite:{}", path.display())).await.unwrap();
    store.close().await;
    let connection = Connection::open(&path).unwrap();
    connection.pragma_update(None, "foreign_keys", false).unwrap();
    connection
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_past_costs_a_claim_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let connection = database(folder.path()).await;
    let measure = || {
        fill(&connection, 1, 1, 10);
        let (steps, found) = steps(&connection, &LANES, &[Cell::from(64)]);
        connection.execute("DELETE FROM runs WHERE ready", []).unwrap();
        assert_eq!(found, 1);
        steps
    };
    let young = measure();
    fill(&connection, 20_000, 1, 10);
    connection.execute("UPDATE runs SET ready = FALSE, state = 'succeeded', finished_at = queued_at", []).unwrap();
    assert_eq!(measure(), young);
    // Statistics from a time when the queue was empty say nothing good of its indexes.
    connection.execute_batch("ANALYZE").unwrap();
    let old = measure();
    assert!(old < 2 * young, "{young} steps, with statistics {old}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_queue_costs_a_claim_no_more_than_a_short_one() {
    let folder = tempfile::tempdir().unwrap();
    let connection = database(folder.path()).await;
    fill(&connection, 100, 1, 10);
    fill(&connection, 1, 2, 20);
    let lane = |group: u128, most: i64| {
        let project = if group == 20 { 2 } else { 1 };
        [Id::from_u128(project).into(), Id::from_u128(group).into(), Id::nil().into(), most.into()]
    };
    let measure = || {
        let (lanes, found) = steps(&connection, &LANES, &[Cell::from(64)]);
        let (first, one) = steps(&connection, &READY, &lane(20, 64));
        let (many, all) = steps(&connection, &READY, &lane(10, 64));
        assert_eq!((found, one, all), (2, 1, 64));
        [lanes, first, many]
    };
    let short = measure();
    fill(&connection, 20_000, 1, 10);
    assert_eq!(measure(), short, "twenty thousand more that could begin");
    // A full group is passed over as cheaply, and so is one that is nobody's to look at.
    let polled = || {
        let text = concat!("SELECT 1 WHERE ", some_may_begin!());
        let mut prepared = connection.prepare(text).unwrap();
        (prepared.exists([]).unwrap(), prepared.get_status(StatementStatus::VmStep))
    };
    let (is_there, free) = polled();
    assert!(is_there && free < 40, "without a limit a poll is one look: {free}");
    let id = |id: u128| Id::from_u128(id).as_bytes().to_vec();
    connection.execute("INSERT INTO queue_rules (id, max_running) VALUES (?1, 0)", params![id(10)]).unwrap();
    let (is_there, one_full) = polled();
    assert!(is_there && one_full < 400, "{one_full}");
    connection.execute("INSERT INTO queue_rules (id, max_running) VALUES (?1, 0)", params![id(2)]).unwrap();
    let (is_there, all_full) = polled();
    assert!(!is_there && all_full < 400, "{all_full}");
}
