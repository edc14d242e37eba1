//! Datasources.

use eyrie_core::{
    id::{DatasourceId, ProjectId, SecretId},
    model::{Datasource, DatasourceConfig},
};
use sea_orm::entity::prelude::*;

use crate::{
    entity::column::{count, counted, maybe, micros, parsed, time, word},
    error::Failure,
};

/// A row.
#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "datasources")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    pub(crate) project_id: Option<Uuid>,
    pub(crate) slug: String,
    pub(crate) name: String,
    pub(crate) data_type: String,
    pub(crate) usage: String,
    pub(crate) config: String,
    pub(crate) credentials_secret_id: Option<Uuid>,
    pub(crate) created_at: i64,
    pub(crate) version: i64,
}

/// No relation is followed by SeaORM; the references are in the migration.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<&Datasource> for Model {
    fn from(datasource: &Datasource) -> Self {
        Self {
            id: datasource.id.uuid(),
            project_id: datasource.project_id.map(ProjectId::uuid),
            slug: datasource.slug.to_string(),
            name: datasource.name.to_string(),
            data_type: datasource.config.data_type().as_str().to_owned(),
            usage: datasource.usage.as_str().to_owned(),
            config: datasource.config.to_value().to_string(),
            credentials_secret_id: datasource.credentials_secret_id.map(SecretId::uuid),
            created_at: micros(datasource.created_at),
            version: count(datasource.version),
        }
    }
}

impl TryFrom<Model> for Datasource {
    type Error = Failure;

    fn try_from(row: Model) -> Result<Self, Failure> {
        Ok(Self {
            id: DatasourceId::from_uuid(row.id),
            project_id: maybe(row.project_id, ProjectId::from_uuid),
            slug: word(&row.slug)?,
            name: word(&row.name)?,
            usage: word(&row.usage)?,
            config: DatasourceConfig::parse(word(&row.data_type)?, &parsed(&row.config)?)?,
            credentials_secret_id: maybe(row.credentials_secret_id, SecretId::from_uuid),
            created_at: time(row.created_at),
            version: counted(row.version)?,
        })
    }
}
