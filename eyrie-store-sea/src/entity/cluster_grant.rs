//! Which projects may use which clusters.

use eyrie_core::{
    id::{ClusterId, ProjectId},
    model::ClusterGrant,
};
use sea_orm::entity::prelude::*;

use crate::{
    entity::column::{json, micros, parsed, time},
    error::Failure,
};

/// A row.
#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "cluster_grants")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) cluster_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) project_id: Uuid,
    pub(crate) created_at: i64,
    pub(crate) granted_by: String,
}

/// No relation is followed by SeaORM; the references are in the migration.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<&ClusterGrant> for Model {
    fn from(grant: &ClusterGrant) -> Self {
        Self {
            cluster_id: grant.cluster_id.uuid(),
            project_id: grant.project_id.uuid(),
            created_at: micros(grant.created_at),
            granted_by: json(&grant.granted_by),
        }
    }
}

impl TryFrom<Model> for ClusterGrant {
    type Error = Failure;

    fn try_from(row: Model) -> Result<Self, Failure> {
        Ok(Self {
            cluster_id: ClusterId::from_uuid(row.cluster_id),
            project_id: ProjectId::from_uuid(row.project_id),
            created_at: time(row.created_at),
            granted_by: parsed(&row.granted_by)?,
        })
    }
}
