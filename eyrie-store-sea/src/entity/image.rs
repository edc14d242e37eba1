//! Container images.

use eyrie_core::{
    id::{ImageId, ProjectId, RepositoryId},
    model::{Image, RecordedDigest},
};
use sea_orm::entity::prelude::*;

use crate::{
    entity::column::{count, counted, maybe, micros, time, word},
    error::Failure,
    rows::from_row,
};

/// A row.
#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "images")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    pub(crate) project_id: Option<Uuid>,
    pub(crate) repository_id: Option<Uuid>,
    pub(crate) reference: String,
    pub(crate) digest: Option<String>,
    pub(crate) digest_recorded_at: Option<i64>,
    pub(crate) created_at: i64,
    pub(crate) version: i64,
}

from_row!(Model { id, project_id, repository_id, reference, digest, digest_recorded_at, created_at, version });

/// No relation is followed by SeaORM; the references are in the migration.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<&Image> for Model {
    fn from(image: &Image) -> Self {
        Self {
            id: image.id.uuid(),
            project_id: image.project_id.map(ProjectId::uuid),
            repository_id: image.repository_id.map(RepositoryId::uuid),
            reference: image.reference.to_string(),
            digest: image.current.as_ref().map(|current| current.digest.to_string()),
            digest_recorded_at: image.current.as_ref().map(|current| micros(current.recorded_at)),
            created_at: micros(image.created_at),
            version: count(image.version),
        }
    }
}

impl TryFrom<Model> for Image {
    type Error = Failure;

    fn try_from(row: Model) -> Result<Self, Failure> {
        let current = match (row.digest, row.digest_recorded_at) {
            (Some(digest), Some(at)) => Some(RecordedDigest { digest: word(&digest)?, recorded_at: time(at) }),
            _ => None,
        };
        Ok(Self {
            id: ImageId::from_uuid(row.id),
            project_id: maybe(row.project_id, ProjectId::from_uuid),
            repository_id: maybe(row.repository_id, RepositoryId::from_uuid),
            reference: word(&row.reference)?,
            current,
            created_at: time(row.created_at),
            version: counted(row.version)?,
        })
    }
}
