//! Counts of failed sign-ins.

use eyrie_core::model::SignInFailures;
use sea_orm::entity::prelude::*;

use crate::{
    entity::column::{counted_small, micros, time},
    error::Failure,
};

/// A row.
#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "failed_sign_ins")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: i64,
    pub(crate) number: i64,
    pub(crate) last_at: i64,
}

/// No relation is followed by SeaORM.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    pub(crate) fn new(id: i64, failures: SignInFailures) -> Self {
        Self { id, number: i64::from(failures.number), last_at: micros(failures.last_at) }
    }
}

impl TryFrom<Model> for SignInFailures {
    type Error = Failure;

    fn try_from(row: Model) -> Result<Self, Failure> {
        Ok(Self { number: counted_small(row.number)?, last_at: time(row.last_at) })
    }
}
