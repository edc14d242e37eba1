//! Keys against doing a request twice.

use sea_orm::entity::prelude::*;

/// A row.
#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "request_keys")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) request_key: String,
    pub(crate) content: Vec<u8>,
    pub(crate) run_id: Uuid,
    pub(crate) created_at: i64,
}

crate::rows::from_row!(Model { request_key, content, run_id, created_at });

/// No relation is followed by SeaORM; the references are in the migration.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
