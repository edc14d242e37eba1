//! Scopes.

use eyrie_core::{
    id::{DatasourceId, GroupId, ScopeId},
    model::Scope,
};
use sea_orm::entity::prelude::*;

use crate::{
    entity::column::{count, counted, json, maybe, micros, parsed, time, word},
    error::Failure,
};

/// A row.
#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "scopes")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    pub(crate) group_id: Uuid,
    pub(crate) slug: String,
    pub(crate) name: String,
    pub(crate) settings: String,
    pub(crate) backup_dest_datasource_id: Option<Uuid>,
    pub(crate) monitor_log_delete_after_seconds: Option<i64>,
    pub(crate) created_at: i64,
    pub(crate) version: i64,
}

/// No relation is followed by SeaORM; the references are in the migration.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<&Scope> for Model {
    fn from(scope: &Scope) -> Self {
        Self {
            id: scope.id.uuid(),
            group_id: scope.group_id.uuid(),
            slug: scope.slug.to_string(),
            name: scope.name.to_string(),
            settings: json(&scope.settings),
            backup_dest_datasource_id: scope.backup_dest_datasource_id.map(DatasourceId::uuid),
            monitor_log_delete_after_seconds: scope.monitor_log_delete_after_seconds.map(count),
            created_at: micros(scope.created_at),
            version: count(scope.version),
        }
    }
}

impl TryFrom<Model> for Scope {
    type Error = Failure;

    fn try_from(row: Model) -> Result<Self, Failure> {
        Ok(Self {
            id: ScopeId::from_uuid(row.id),
            group_id: GroupId::from_uuid(row.group_id),
            slug: word(&row.slug)?,
            name: word(&row.name)?,
            settings: parsed(&row.settings)?,
            backup_dest_datasource_id: maybe(row.backup_dest_datasource_id, DatasourceId::from_uuid),
            monitor_log_delete_after_seconds: row.monitor_log_delete_after_seconds.map(counted).transpose()?,
            created_at: time(row.created_at),
            version: counted(row.version)?,
        })
    }
}
