//! Projects.

use eyrie_core::{
    id::{ProjectId, UserId},
    model::{Namespace, NamespaceUid, Project},
};
use sea_orm::entity::prelude::*;

use crate::{
    entity::column::{count, counted, json, maybe, micros, parsed, time, word},
    error::Failure,
};

/// A row.
#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "projects")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    pub(crate) slug: String,
    pub(crate) name: String,
    pub(crate) owner_id: Option<Uuid>,
    pub(crate) namespace_uid: String,
    pub(crate) namespace_name: String,
    pub(crate) settings: String,
    pub(crate) created_at: i64,
    pub(crate) version: i64,
}

/// No relation is followed by SeaORM; the references are in the migration.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<&Project> for Model {
    fn from(project: &Project) -> Self {
        Self {
            id: project.id.uuid(),
            slug: project.slug.to_string(),
            name: project.name.to_string(),
            owner_id: project.owner_id.map(UserId::uuid),
            namespace_uid: project.namespace.uid.to_string(),
            namespace_name: project.namespace.name.to_string(),
            settings: json(&project.settings),
            created_at: micros(project.created_at),
            version: count(project.version),
        }
    }
}

impl TryFrom<Model> for Project {
    type Error = Failure;

    fn try_from(row: Model) -> Result<Self, Failure> {
        Ok(Self {
            id: ProjectId::from_uuid(row.id),
            slug: word(&row.slug)?,
            name: word(&row.name)?,
            owner_id: maybe(row.owner_id, UserId::from_uuid),
            namespace: Namespace { uid: NamespaceUid::try_from(row.namespace_uid)?, name: word(&row.namespace_name)? },
            settings: parsed(&row.settings)?,
            created_at: time(row.created_at),
            version: counted(row.version)?,
        })
    }
}
