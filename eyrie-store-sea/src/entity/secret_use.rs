//! Which secrets the settings of which thing name.

use sea_orm::entity::prelude::*;

/// A row.
#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "secret_uses")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) holder_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) secret_id: Uuid,
}

/// No relation is followed by SeaORM; the references are in the migration.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
