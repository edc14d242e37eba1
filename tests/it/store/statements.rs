//! The statements of transactional steps, in the database that the store is kept in.

use std::time::Instant;

use eyrie_core::{
    conformance::{
        commands::{Held, again, at, held, lease_lost, record},
        fixtures::{chain, worker},
    },
    model::StepState,
    store::{Change, Command, Fence, MAX_STATEMENTS, Parameter, RecordError, Statement, Statements},
};
use eyrie_tests::world::{Ground, Kind};
use serde_json::json;

use crate::engine::on_databases;

const COUNT: &str = "UPDATE counters SET n = n + 1 WHERE name = $1";

on_databases! {
    recorded_together;
    every_kind_of_value;
    neither_eyries_tables_nor_the_schema;
    long_ones_are_ended;
    what_spoils_the_transaction;
}

async fn ground(kind: Kind) -> Ground {
    let ground = Ground::new(kind).await;
    ground.sql("CREATE TABLE counters (name TEXT PRIMARY KEY, n BIGINT NOT NULL CHECK (n < 3))").await;
    ground.sql("INSERT INTO counters VALUES ('a', 0), ('b', 0)").await;
    ground
}

fn statement(sql: &str) -> Statement {
    Statement::new(sql).unwrap()
}

fn transact(statements: impl IntoIterator<Item = Statement>) -> Change {
    let mut all = Statements::default();
    statements.into_iter().for_each(|statement| all.push(statement).unwrap());
    Change::Transact { step: at(0), attempt: 1, output: Some(json!(1)), statements: all }
}

/// Why the step's statements are not carried out; nothing of them, and of the step, is recorded.
async fn refused(ground: &Ground, held: &Held, statements: impl IntoIterator<Item = Statement>) -> String {
    let answer = held.change(&*ground.store, transact(statements)).await;
    let Err(RecordError::Statement(why)) = answer else { panic!("{answer:?}") };
    assert_eq!(ground.store.steps(held.run.id).await.unwrap()[0].state, StepState::Running);
    why
}

async fn counted(ground: &Ground, name: &str) -> i64 {
    ground.number(&format!("SELECT n FROM counters WHERE name = '{name}'")).await
}

async fn recorded_together(kind: Kind) {
    let ground = ground(kind).await;
    let store = &*ground.store;
    let (one, two) = (held(store, "one", &chain(&["a"])).await, held(store, "two", &chain(&["a"])).await);
    let count = || statement(COUNT).bind("a");
    // Who does not hold the run has nothing carried out.
    let zombie = Fence { worker: worker(store).await, ..one.fence };
    lease_lost(record(store, Command::fenced(one.run.id, zombie, transact([count()]))).await, 1);
    assert_eq!(counted(&ground, "a").await, 0);
    // The second one fails; the first has left nothing, and the neighbour everything.
    let failing = one.command(transact([count(), statement("INSERT INTO counters VALUES ($1, $2)").bind("b").bind(1_i64)]));
    let beside = two.command(transact([count()]));
    let answers = store.record(&[failing, beside.clone()]).await.unwrap();
    let [Err(RecordError::Statement(why)), Ok(done)] = &answers[..] else { panic!("{answers:?}") };
    assert!(why.starts_with("statement 2 failed: ") && why.to_lowercase().contains("unique"), "{why}");
    assert_eq!((counted(&ground, "a").await, done.events.len()), (1, 1));
    assert_eq!(store.steps(two.run.id).await.unwrap()[0].state, StepState::Succeeded);
    // Its answer was lost; it is sent again.
    record(store, again(&beside)).await.unwrap();
    assert_eq!(counted(&ground, "a").await, 1, "carried out once");
    let why = refused(&ground, &one, [count(), statement(COUNT).bind("nobody").touching(1)]).await;
    assert_eq!(why, "statement 2 failed: touched 0 rows instead of 1");
    let why = refused(&ground, &one, [count(), count()]).await;
    assert!(why.starts_with("statement 2 failed: ") && why.to_lowercase().contains("check"), "{why}");
    let many = (1..MAX_STATEMENTS).map(|_| statement("UPDATE counters SET n = n WHERE name = 'b'"));
    one.change(store, transact(many.chain([count().touching(1)]))).await.unwrap();
    assert_eq!(counted(&ground, "a").await, 2);
}

async fn every_kind_of_value(kind: Kind) {
    let ground = ground(kind).await;
    let (bytes, id, same) = match kind {
        Kind::Postgres => ("BYTEA", "UUID", r"y = '\x00ff'"),
        _ => ("BLOB", "BLOB", "y = X'00FF'"),
    };
    ground.sql(&format!("CREATE TABLE kinds (b BOOLEAN, i BIGINT, f DOUBLE PRECISION, t TEXT, y {bytes}, u {id})")).await;
    let held = held(&*ground.store, "one", &chain(&["a"])).await;
    let insert = || statement("INSERT INTO kinds (u, y, t, f, i, b) VALUES ($6, $5, $4, $3, $2, $1)");
    let whole = insert().bind(true).bind(-7_i64).bind(0.5).bind("it's").bind(vec![0_u8, 255]).bind(uuid::Uuid::from_u128(9));
    let nothing = insert().bind(None::<bool>).bind(None::<i64>).bind(None::<f64>).bind(None::<String>);
    let nothing = nothing.bind(None::<Vec<u8>>).bind(Parameter::Uuid(None));
    let why = refused(&ground, &held, [insert().bind(true)]).await;
    assert!(why.contains("parameter"), "{why}");
    // What a value was is said nowhere.
    let why = refused(&ground, &held, [statement("DELETE FROM kinds WHERE nonesuch = $1").bind("hunter2-secret")]).await;
    assert!(why.contains("nonesuch") && !why.contains("hunter2"), "{why}");
    if kind == Kind::Postgres {
        let cast = "INSERT INTO kinds (i) VALUES (CAST($1::text AS bigint))";
        let why = refused(&ground, &held, [statement(cast).bind("hunter2-secret")]).await;
        assert!(why.contains("invalid input syntax") && why.contains('…') && !why.contains("hunter2"), "{why}");
    }
    held.change(&*ground.store, transact([whole, nothing])).await.unwrap();
    let whole = format!("SELECT COUNT(*) FROM kinds WHERE b AND i = -7 AND f = 0.5 AND t = 'it''s' AND {same} AND u IS NOT NULL");
    let null = "SELECT COUNT(*) FROM kinds WHERE b IS NULL AND i IS NULL AND f IS NULL AND t IS NULL AND y IS NULL AND u IS NULL";
    assert_eq!((ground.number(&whole).await, ground.number(null).await), (1, 1));
}

async fn neither_eyries_tables_nor_the_schema(kind: Kind) {
    let ground = ground(kind).await;
    let held = held(&*ground.store, "one", &chain(&["a"])).await;
    let (tables, trigger, drop) = match kind {
        Kind::Postgres => {
            let spoil = "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS \
                'BEGIN UPDATE runs SET state = state; RETURN NEW; END'";
            ground.sql(spoil).await;
            (
                "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema()",
                "CREATE TRIGGER spoiling AFTER UPDATE ON counters FOR EACH ROW EXECUTE FUNCTION spoil()",
                "DROP TRIGGER spoiling ON counters",
            )
        }
        _ => (
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'",
            "CREATE TRIGGER spoiling AFTER UPDATE ON counters BEGIN UPDATE runs SET state = state; END",
            "DROP TRIGGER spoiling",
        ),
    };
    let tables: Vec<String> = ground.column(tables).await;
    assert!(tables.len() > 20, "{tables:?}");
    for table in tables.iter().filter(|table| *table != "counters") {
        for sql in [format!("DELETE FROM {table}"), format!("SELECT * FROM {table}")] {
            refused(&ground, &held, [statement(COUNT).bind("a"), statement(&sql)]).await;
        }
    }
    ground.sql(trigger).await;
    refused(&ground, &held, [statement(COUNT).bind("a")]).await;
    ground.sql(drop).await;
    refused(&ground, &held, [statement("UPDATE counters SET n = 2; COMMIT")]).await;
    if kind == Kind::Sqlite {
        refused(&ground, &held, [statement("SELECT * FROM pragma_journal_mode")]).await;
        refused(&ground, &held, [statement("DELETE FROM sqlite_master")]).await;
    }
    assert_eq!(counted(&ground, "a").await, 0);
    held.change(&*ground.store, transact([statement(COUNT).bind("a")])).await.unwrap();
    assert_eq!(counted(&ground, "a").await, 1);
}

async fn long_ones_are_ended(kind: Kind) {
    let ground = ground(kind).await;
    let held = held(&*ground.store, "one", &chain(&["a"])).await;
    let long = match kind {
        Kind::Postgres => "SELECT pg_sleep(60)",
        _ => "WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT COUNT(*) FROM c",
    };
    let begun = Instant::now();
    let why = refused(&ground, &held, [statement(COUNT).bind("a"), statement(long)]).await;
    assert!(why.contains("ended after 2s") && begun.elapsed().as_secs() < 20, "{why}");
    held.change(&*ground.store, transact([statement(COUNT).bind("a")])).await.unwrap();
    assert_eq!(counted(&ground, "a").await, 1);
}

/// A reference that is looked at with the commit, and a conflict that ends the transaction.
async fn what_spoils_the_transaction(kind: Kind) {
    let ground = ground(kind).await;
    ground.sql("CREATE TABLE marks (name TEXT REFERENCES counters (name) DEFERRABLE INITIALLY DEFERRED)").await;
    let (one, two) = (held(&*ground.store, "one", &chain(&["a"])).await, held(&*ground.store, "two", &chain(&["a"])).await);
    let mark = |name: &str| statement("INSERT INTO marks VALUES ($1)").bind(name);
    let why = refused(&ground, &one, [mark("nobody")]).await;
    assert!(why.to_lowercase().contains("foreign key"), "{why}");
    if kind == Kind::Sqlite {
        let why = refused(&ground, &one, [statement("INSERT OR ROLLBACK INTO counters VALUES ('b', 0)")]).await;
        assert!(why.contains("ended the transaction"), "{why}");
    }
    two.change(&*ground.store, transact([mark("a")])).await.unwrap();
    assert_eq!(ground.number("SELECT COUNT(*) FROM marks").await, 1);
}
