//! Eyrie's store on SeaORM, for embedded SQLite.
//!
//! ```no_run
//! # async fn open() -> eyrie_core::Result<()> {
//! let store = eyrie_store_sea::SeaStore::open("sqlite:/var/lib/eyrie/eyrie.db").await?;
//! assert_eq!(store.synchronous().await?, "full");
//! store.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! Several processes on one machine may open the same file. Every write is one transaction that runs to its end also when the
//! caller goes away in the middle.

mod access;
mod audit;
mod branch;
mod cluster;
mod datasource;
mod deployment;
mod entity;
mod error;
mod event;
mod fault;
mod group;
mod image;
mod listing;
mod log;
mod migration;
mod monitor;
mod options;
mod own_thread;
#[cfg(feature = "postgres")]
mod postgres;
mod project;
mod queue_rule;
mod readable;
mod release;
mod repository;
mod retention;
mod rows;
mod run;
mod schedule;
mod schema_check;
mod scope;
mod secret;
mod service;
mod sign_in;
mod sqlite;
mod store;
mod token;
mod user;
mod version;
mod worker;
mod writer;

pub use options::{Options, Synchronous};
pub use store::SeaStore;
