//! The schema's history. A name that is applied is never changed or taken away again.

mod m0001_base;

use sea_orm_migration::{MigrationTrait, MigratorTrait};

/// Every migration, in order.
#[derive(Debug)]
pub(crate) struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m0001_base::Base)]
    }
}

impl Migrator {
    /// The names of every migration, in order.
    pub(crate) fn names() -> Vec<String> {
        Self::migrations().iter().map(|migration| migration.name().to_owned()).collect()
    }
}
