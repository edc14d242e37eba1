//! Namespaces. A row outlives its project, so that its uid is never used again.

use eyrie_core::model::Project;
use sea_orm::entity::prelude::*;

use crate::entity::column::micros;

/// A row.
#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "namespaces")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) uid: String,
    pub(crate) project_id: Uuid,
    pub(crate) created_at: i64,
}

/// No relation is followed by SeaORM; the references are in the migration.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<&Project> for Model {
    fn from(project: &Project) -> Self {
        Self { uid: project.namespace.uid.to_string(), project_id: project.id.uuid(), created_at: micros(project.created_at) }
    }
}
