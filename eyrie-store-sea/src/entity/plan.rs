//! Plans, once per hash.

use eyrie_core::model::Plan;
use sea_orm::entity::prelude::*;

use crate::error::Failure;

/// A row.
#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "plans")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) hash: Vec<u8>,
    pub(crate) json: String,
}

/// No relation is followed by SeaORM; the references are in the migration.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl TryFrom<Model> for Plan {
    type Error = Failure;

    fn try_from(row: Model) -> Result<Self, Failure> {
        // A plan of a newer version is refused as such, by the field that this program cannot take.
        Ok(Self::decode(&row.json)?)
    }
}
