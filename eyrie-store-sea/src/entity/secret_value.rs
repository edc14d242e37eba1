//! The values of secrets, sealed.

use eyrie_core::{
    id::SecretId,
    model::SealedSecret,
    secret::{KeyVersion, SealedValue, SecretRef},
};
use sea_orm::entity::prelude::*;

use crate::{
    entity::column::{count, counted, counted_small, json, micros, parsed, time},
    error::Failure,
};

/// A row.
#[derive(Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "secret_values")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) secret_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) version: i64,
    pub(crate) key_version: i64,
    pub(crate) sealed: Vec<u8>,
    pub(crate) created_at: i64,
    pub(crate) created_by: String,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model").field("secret_id", &self.secret_id).field("version", &self.version).finish_non_exhaustive()
    }
}

/// No relation is followed by SeaORM; the references are in the migration.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<&SealedSecret> for Model {
    fn from(sealed: &SealedSecret) -> Self {
        Self {
            secret_id: sealed.of.id.uuid(),
            version: count(sealed.of.version),
            key_version: sealed.value.key_version.number().into(),
            sealed: sealed.value.bytes.clone(),
            created_at: micros(sealed.created_at),
            created_by: json(&sealed.created_by),
        }
    }
}

impl TryFrom<Model> for SealedSecret {
    type Error = Failure;

    fn try_from(row: Model) -> Result<Self, Failure> {
        let key_version = KeyVersion::new(counted_small(row.key_version)?);
        Ok(Self {
            of: SecretRef { id: SecretId::from_uuid(row.secret_id), version: counted(row.version)? },
            value: SealedValue { key_version, bytes: row.sealed },
            created_at: time(row.created_at),
            created_by: parsed(&row.created_by)?,
        })
    }
}
