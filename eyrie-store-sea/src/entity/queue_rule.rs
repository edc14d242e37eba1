//! What settings say about the queue.

use sea_orm::entity::prelude::*;

/// A row, under the id of the project, group, scope, deployment or cluster that it is of.
#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "queue_rules")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    pub(crate) queue_policy: Option<String>,
    pub(crate) max_running: Option<i64>,
}

/// No relation is followed by SeaORM; the references are in the migration.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
