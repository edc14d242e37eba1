//! Run logs.

use eyrie_core::{id::RunId, store::LogChunk};
use sea_orm::entity::prelude::*;

use crate::{
    entity::column::{counted, step_index, time},
    error::Failure,
};

/// A row.
#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "log_chunks")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) run_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) end_offset: i64,
    pub(crate) start_offset: i64,
    pub(crate) step: i64,
    pub(crate) at: i64,
    /// Bytes, as PostgreSQL's texts cannot hold the character NUL.
    pub(crate) text: Vec<u8>,
}

/// No relation is followed by SeaORM; the references are in the migration.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl TryFrom<Model> for LogChunk {
    type Error = Failure;

    fn try_from(row: Model) -> Result<Self, Failure> {
        Ok(Self {
            run_id: RunId::from_uuid(row.run_id),
            offset: counted(row.start_offset)?,
            step: step_index(row.step)?,
            at: time(row.at),
            text: String::from_utf8(row.text).map_err(|error| Failure::Stored(error.into()))?,
        })
    }
}
