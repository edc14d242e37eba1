//! Roles of members in single groups.

use eyrie_core::{
    id::{GroupId, ProjectId, UserId},
    model::{OverrideAt, RoleOverride},
};
use sea_orm::entity::prelude::*;

use crate::{entity::column::word, error::Failure};

/// A row.
#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "group_overrides")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) user_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) group_id: Uuid,
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
            at: OverrideAt::Group(GroupId::from_uuid(row.group_id)),
            user_id: UserId::from_uuid(row.user_id),
            role: word(&row.role)?,
        })
    }
}
