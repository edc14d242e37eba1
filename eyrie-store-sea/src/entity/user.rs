//! Accounts.

use eyrie_core::{id::UserId, model::User};
use sea_orm::entity::prelude::*;

use crate::{
    entity::column::{count, counted, micros, time, word},
    error::Failure,
};

/// A row.
#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) password_hash: Option<String>,
    pub(crate) operator: bool,
    pub(crate) disabled: bool,
    pub(crate) created_at: i64,
    pub(crate) version: i64,
}

/// No relation is followed by SeaORM; the references are in the migration.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<&User> for Model {
    fn from(user: &User) -> Self {
        Self {
            id: user.id.uuid(),
            name: user.name.to_string(),
            password_hash: user.password_hash.clone(),
            operator: user.operator,
            disabled: user.disabled,
            created_at: micros(user.created_at),
            version: count(user.version),
        }
    }
}

impl TryFrom<Model> for User {
    type Error = Failure;

    fn try_from(row: Model) -> Result<Self, Failure> {
        Ok(Self {
            id: UserId::from_uuid(row.id),
            name: word(&row.name)?,
            password_hash: row.password_hash,
            operator: row.operator,
            disabled: row.disabled,
            created_at: time(row.created_at),
            version: counted(row.version)?,
        })
    }
}
