//! Tokens, without their secrets.

use eyrie_core::{
    id::{ProjectId, TokenId, UserId},
    model::Token,
};
use sea_orm::entity::prelude::*;

use crate::{
    entity::column::{hash, json, maybe, maybe_micros, maybe_time, micros, parsed, time, word},
    error::Failure,
};

/// A row.
#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "tokens")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) secret_hash: Vec<u8>,
    pub(crate) created_by: Option<Uuid>,
    pub(crate) binding: String,
    pub(crate) project_id: Option<Uuid>,
    pub(crate) capabilities: String,
    pub(crate) origin: String,
    pub(crate) created_at: i64,
    pub(crate) expires_at: i64,
    pub(crate) revoked_at: Option<i64>,
    pub(crate) last_used_at: Option<i64>,
    pub(crate) replaces: Option<Uuid>,
}

/// No relation is followed by SeaORM; the references are in the migration.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<&Token> for Model {
    fn from(token: &Token) -> Self {
        Self {
            id: token.id.uuid(),
            kind: token.kind.as_str().to_owned(),
            name: token.name.to_string(),
            secret_hash: token.secret_hash.to_vec(),
            created_by: token.created_by.map(UserId::uuid),
            binding: json(&token.binding),
            project_id: token.project_id.map(ProjectId::uuid),
            capabilities: json(&token.capabilities),
            origin: token.origin.to_string(),
            created_at: micros(token.created_at),
            expires_at: micros(token.expires_at),
            revoked_at: maybe_micros(token.revoked_at),
            last_used_at: maybe_micros(token.last_used_at),
            replaces: token.replaces.map(TokenId::uuid),
        }
    }
}

impl TryFrom<Model> for Token {
    type Error = Failure;

    fn try_from(row: Model) -> Result<Self, Failure> {
        Ok(Self {
            id: TokenId::from_uuid(row.id),
            kind: word(&row.kind)?,
            name: word(&row.name)?,
            secret_hash: hash(row.secret_hash)?,
            created_by: maybe(row.created_by, UserId::from_uuid),
            binding: parsed(&row.binding)?,
            project_id: maybe(row.project_id, ProjectId::from_uuid),
            capabilities: parsed(&row.capabilities)?,
            origin: word(&row.origin)?,
            created_at: time(row.created_at),
            expires_at: time(row.expires_at),
            revoked_at: maybe_time(row.revoked_at),
            last_used_at: maybe_time(row.last_used_at),
            replaces: maybe(row.replaces, TokenId::from_uuid),
        })
    }
}
