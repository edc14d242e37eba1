//! What is known of the keys that values are sealed by.

use eyrie_core::{
    model::SealingKey,
    secret::{KeyVersion, SealedValue},
};
use sea_orm::entity::prelude::*;

use crate::{
    entity::column::{counted_small, micros, time},
    error::Failure,
};

/// A row.
#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "sealing_keys")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) version: i64,
    pub(crate) sealed: Vec<u8>,
    pub(crate) created_at: i64,
}

/// No relation is followed by SeaORM; the references are in the migration.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<&SealingKey> for Model {
    fn from(key: &SealingKey) -> Self {
        let SealedValue { key_version, bytes } = &key.check;
        Self { version: key_version.number().into(), sealed: bytes.clone(), created_at: micros(key.created_at) }
    }
}

impl TryFrom<Model> for SealingKey {
    type Error = Failure;

    fn try_from(row: Model) -> Result<Self, Failure> {
        let key_version = KeyVersion::new(counted_small(row.version)?);
        Ok(Self { check: SealedValue { key_version, bytes: row.sealed }, created_at: time(row.created_at) })
    }
}
