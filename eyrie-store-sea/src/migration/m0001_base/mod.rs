//! The tables and indexes of the first version.
//!
//! Ids are UUIDs, times microseconds since 1970, states their words, structured values JSON as text. Steps, events and log
//! chunks hold no foreign keys: they are written only together with their run, by the million.

mod index;
mod outside;
mod people;
mod projects;
mod runs;
mod secrets;
mod table;

use index::{INDEXES, POSTGRES_ONLY, SQLITE_ONLY};
use outside::{links, outside};
use people::people;
use projects::{projects, resources};
use runs::{clustered, position, results, runs};
use sea_orm_migration::{
    prelude::{async_trait::async_trait, *},
    sea_orm::DbBackend,
};
use secrets::secrets;

#[derive(Debug)]
pub(super) struct Base;

impl MigrationName for Base {
    fn name(&self) -> &str {
        "m0001_base"
    }
}

#[async_trait]
impl MigrationTrait for Base {
    #[allow(elided_lifetimes_in_paths, reason = "the trait is declared that way, and the lifetimes must match")]
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let backend = manager.get_database_backend();
        let what_people_make = people().into_iter().chain(projects()).chain(secrets()).chain(outside()).chain(resources());
        let what_comes_of_it = runs(position(backend), clustered(backend)).into_iter().chain(results()).chain(links());
        for table in what_people_make.chain(what_comes_of_it) {
            manager.create_table(table).await?;
        }
        let own: &[_] = if backend == DbBackend::Postgres { POSTGRES_ONLY } else { SQLITE_ONLY };
        for statement in INDEXES.iter().chain(own) {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }
}
