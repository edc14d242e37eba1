//! Deployment groups.

use eyrie_core::{
    id::{GroupId, ProjectId},
    model::DeploymentGroup,
};
use sea_orm::entity::prelude::*;

use crate::{
    entity::column::{count, counted, json, micros, parsed, time, word},
    error::Failure,
};

/// A row.
#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "deployment_groups")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    pub(crate) project_id: Uuid,
    pub(crate) slug: String,
    pub(crate) name: String,
    pub(crate) group_type: String,
    pub(crate) settings: String,
    pub(crate) created_at: i64,
    pub(crate) version: i64,
}

/// No relation is followed by SeaORM; the references are in the migration.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<&DeploymentGroup> for Model {
    fn from(group: &DeploymentGroup) -> Self {
        Self {
            id: group.id.uuid(),
            project_id: group.project_id.uuid(),
            slug: group.slug.to_string(),
            name: group.name.to_string(),
            group_type: group.group_type.to_string(),
            settings: json(&group.settings),
            created_at: micros(group.created_at),
            version: count(group.version),
        }
    }
}

impl TryFrom<Model> for DeploymentGroup {
    type Error = Failure;

    fn try_from(row: Model) -> Result<Self, Failure> {
        Ok(Self {
            id: GroupId::from_uuid(row.id),
            project_id: ProjectId::from_uuid(row.project_id),
            slug: word(&row.slug)?,
            name: word(&row.name)?,
            group_type: word(&row.group_type)?,
            settings: parsed(&row.settings)?,
            created_at: time(row.created_at),
            version: counted(row.version)?,
        })
    }
}
