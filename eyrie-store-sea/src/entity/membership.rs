//! Roles of users in projects.

use eyrie_core::{
    id::{ProjectId, UserId},
    model::Membership,
};
use sea_orm::entity::prelude::*;

use crate::{entity::column::word, error::Failure};

/// A row.
#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "memberships")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) project_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) user_id: Uuid,
    pub(crate) role: String,
}

/// No relation is followed by SeaORM; the references are in the migration.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<&Membership> for Model {
    fn from(membership: &Membership) -> Self {
        Self { project_id: membership.project_id.uuid(), user_id: membership.user_id.uuid(), role: membership.role.as_str().to_owned() }
    }
}

impl TryFrom<Model> for Membership {
    type Error = Failure;

    fn try_from(row: Model) -> Result<Self, Failure> {
        Ok(Self { project_id: ProjectId::from_uuid(row.project_id), user_id: UserId::from_uuid(row.user_id), role: word(&row.role)? })
    }
}
