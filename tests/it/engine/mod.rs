//! The engine, on every store.

mod approval;
mod cancel;
mod feed;
mod misbehaviour;
mod not_before;
mod plans;
mod resumption;
mod retention;
mod schedules;
mod takeover;
mod undo;

/// Runs an async test function on memory, SQLite and PostgreSQL.
macro_rules! on_every_store {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn memory() {
                super::$name(eyrie_tests::world::Kind::Memory).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                super::$name(eyrie_tests::world::Kind::Sqlite).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                super::$name(eyrie_tests::world::Kind::Postgres).await;
            }
        }
    )+};
}
pub(crate) use on_every_store;
