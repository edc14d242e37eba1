//! Monitors that are gone, of whose logs something may be left.

use sea_orm::entity::prelude::*;

/// A row.
#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "forgotten_monitors")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) monitor_id: Uuid,
}

/// None: the monitor is gone.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
