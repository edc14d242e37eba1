//! What runs because of releases.

use eyrie_core::{
    id::{ClusterId, DeployedServiceId, DeploymentId, ProjectId, ReleaseId, RunId},
    model::DeployedService,
};
use sea_orm::entity::prelude::*;

use crate::{
    entity::column::{maybe, micros, time, word},
    error::Failure,
    rows::from_row,
};

/// A row.
#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "deployed_services")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    pub(crate) project_id: Uuid,
    pub(crate) deployment_id: Uuid,
    pub(crate) cluster_id: Option<Uuid>,
    pub(crate) state: String,
    pub(crate) release_id: Uuid,
    pub(crate) run_id: Uuid,
    pub(crate) updated_at: i64,
}

from_row!(Model { id, project_id, deployment_id, cluster_id, state, release_id, run_id, updated_at });

/// No relation is followed by SeaORM; the references are in the migration.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<&DeployedService> for Model {
    fn from(service: &DeployedService) -> Self {
        Self {
            id: service.id.uuid(),
            project_id: service.project_id.uuid(),
            deployment_id: service.deployment_id.uuid(),
            cluster_id: service.cluster_id.map(ClusterId::uuid),
            state: service.state.as_str().to_owned(),
            release_id: service.release_id.uuid(),
            run_id: service.run_id.uuid(),
            updated_at: micros(service.updated_at),
        }
    }
}

impl TryFrom<Model> for DeployedService {
    type Error = Failure;

    fn try_from(row: Model) -> Result<Self, Failure> {
        Ok(Self {
            id: DeployedServiceId::from_uuid(row.id),
            project_id: ProjectId::from_uuid(row.project_id),
            deployment_id: DeploymentId::from_uuid(row.deployment_id),
            cluster_id: maybe(row.cluster_id, ClusterId::from_uuid),
            state: word(&row.state)?,
            release_id: ReleaseId::from_uuid(row.release_id),
            run_id: RunId::from_uuid(row.run_id),
            updated_at: time(row.updated_at),
        })
    }
}
