//! Services.

use eyrie_core::{
    id::{ProjectId, ServiceId},
    model::Service,
};
use sea_orm::entity::prelude::*;

use crate::{
    entity::column::{count, counted, json, micros, parsed, time, word},
    error::Failure,
};

/// A row.
#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "services")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    pub(crate) project_id: Uuid,
    pub(crate) name: String,
    pub(crate) config: String,
    pub(crate) source: String,
    pub(crate) created_at: i64,
    pub(crate) version: i64,
}

/// No relation is followed by SeaORM; the references are in the migration.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<&Service> for Model {
    fn from(service: &Service) -> Self {
        Self {
            id: service.id.uuid(),
            project_id: service.project_id.uuid(),
            name: service.name.to_string(),
            config: json(&service.config),
            source: service.source.as_str().to_owned(),
            created_at: micros(service.created_at),
            version: count(service.version),
        }
    }
}

impl TryFrom<Model> for Service {
    type Error = Failure;

    fn try_from(row: Model) -> Result<Self, Failure> {
        Ok(Self {
            id: ServiceId::from_uuid(row.id),
            project_id: ProjectId::from_uuid(row.project_id),
            name: word(&row.name)?,
            config: parsed(&row.config)?,
            source: word(&row.source)?,
            created_at: time(row.created_at),
            version: counted(row.version)?,
        })
    }
}
