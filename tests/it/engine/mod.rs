//! The engine, on every store.

mod approval;
mod cancel;
mod conditions;
mod feed;
mod misbehaviour;
mod not_before;
mod plans;
mod queue;
mod redeploys;
mod resumption;
mod retention;
mod schedules;
mod takeover;
mod transactional;
mod undo;

/// Runs an async test function on the stores of these kinds, each as a test of that name.
macro_rules! on_stores {
    ($kinds:tt $($(#[$doc:meta])* $name:ident;)+) => {$(
        mod $name {
            crate::engine::on_stores! { @ $name $kinds }
        }
    )+};
    (@ $name:ident { $($test:ident: $kind:ident),+ }) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            super::$name(eyrie_tests::world::Kind::$kind).await;
        }
    )+};
}
pub(crate) use on_stores;

/// Runs an async test function on memory, SQLite and PostgreSQL.
macro_rules! on_every_store {
    ($($tests:tt)+) => {
        crate::engine::on_stores! { { memory: Memory, sqlite: Sqlite, postgres: Postgres } $($tests)+ }
    };
}
pub(crate) use on_every_store;

/// Runs an async test function on SQLite and PostgreSQL.
macro_rules! on_databases {
    ($($tests:tt)+) => {
        crate::engine::on_stores! { { sqlite: Sqlite, postgres: Postgres } $($tests)+ }
    };
}
pub(crate) use on_databases;
