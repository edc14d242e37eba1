//! Secrets, without their values.

use eyrie_core::{
    id::{ProjectId, SecretId},
    model::Secret,
};
use sea_orm::entity::prelude::*;

use crate::{
    entity::column::{count, counted, json, maybe, micros, parsed, time, word},
    error::Failure,
};

/// A row.
#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "secrets")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    pub(crate) project_id: Option<Uuid>,
    pub(crate) name: String,
    pub(crate) value_version: i64,
    pub(crate) created_at: i64,
    pub(crate) created_by: String,
    pub(crate) replaced_at: i64,
    pub(crate) replaced_by: String,
    pub(crate) version: i64,
}

/// No relation is followed by SeaORM; the references are in the migration.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<&Secret> for Model {
    fn from(secret: &Secret) -> Self {
        Self {
            id: secret.id.uuid(),
            project_id: secret.project_id.map(ProjectId::uuid),
            name: secret.name.to_string(),
            value_version: count(secret.value_version),
            created_at: micros(secret.created_at),
            created_by: json(&secret.created_by),
            replaced_at: micros(secret.replaced_at),
            replaced_by: json(&secret.replaced_by),
            version: count(secret.version),
        }
    }
}

impl TryFrom<Model> for Secret {
    type Error = Failure;

    fn try_from(row: Model) -> Result<Self, Failure> {
        Ok(Self {
            id: SecretId::from_uuid(row.id),
            project_id: maybe(row.project_id, ProjectId::from_uuid),
            name: word(&row.name)?,
            value_version: counted(row.value_version)?,
            created_at: time(row.created_at),
            created_by: parsed(&row.created_by)?,
            replaced_at: time(row.replaced_at),
            replaced_by: parsed(&row.replaced_by)?,
            version: counted(row.version)?,
        })
    }
}
