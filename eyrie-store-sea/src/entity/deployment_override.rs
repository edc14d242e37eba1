//! Roles of members in single deployments.

use eyrie_core::{
    id::{DeploymentId, ProjectId, UserId},
    model::{OverrideAt, RoleOverride},
};
use sea_orm::entity::prelude::*;

use crate::{entity::column::word, error::Failure};

/// A row.
#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "deployment_overrides")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) user_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) deployment_id: Uuid,
    pub(crate) project_id: Uuid,
    pub(crate) role: String,
}

/// No relation is followed by SeaORM; the references are in the migration.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl TryFrom<Model> for RoleOverride {
    type Error = Failure;

    fn try_from(row: Model) -> Result<Self, Failure> {
        Ok(Self {
            project_id: ProjectId::from_uuid(row.project_id),
            at: OverrideAt::Deployment(DeploymentId::from_uuid(row.deployment_id)),
            user_id: UserId::from_uuid(row.user_id),
            role: word(&row.role)?,
        })
    }
}
