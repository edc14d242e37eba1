//! Repositories.

use eyrie_core::{
    id::{ProjectId, RepositoryId, SecretId},
    model::Repository,
};
use sea_orm::entity::prelude::*;

use crate::{
    entity::column::{count, counted, maybe, micros, time, word},
    error::Failure,
};

/// A row.
#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "repositories")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    pub(crate) project_id: Option<Uuid>,
    pub(crate) slug: String,
    pub(crate) name: String,
    pub(crate) url: String,
    pub(crate) group_type: Option<String>,
    pub(crate) credentials_secret_id: Option<Uuid>,
    pub(crate) created_at: i64,
    pub(crate) version: i64,
}

/// No relation is followed by SeaORM; the references are in the migration.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<&Repository> for Model {
    fn from(repository: &Repository) -> Self {
        Self {
            id: repository.id.uuid(),
            project_id: repository.project_id.map(ProjectId::uuid),
            slug: repository.slug.to_string(),
            name: repository.name.to_string(),
            url: repository.url.to_string(),
            group_type: repository.group_type.as_ref().map(ToString::to_string),
            credentials_secret_id: repository.credentials_secret_id.map(SecretId::uuid),
            created_at: micros(repository.created_at),
            version: count(repository.version),
        }
    }
}

impl TryFrom<Model> for Repository {
    type Error = Failure;

    fn try_from(row: Model) -> Result<Self, Failure> {
        Ok(Self {
            id: RepositoryId::from_uuid(row.id),
            project_id: maybe(row.project_id, ProjectId::from_uuid),
            slug: word(&row.slug)?,
            name: word(&row.name)?,
            url: word(&row.url)?,
            group_type: row.group_type.as_deref().map(word).transpose()?,
            credentials_secret_id: maybe(row.credentials_secret_id, SecretId::from_uuid),
            created_at: time(row.created_at),
            version: counted(row.version)?,
        })
    }
}
