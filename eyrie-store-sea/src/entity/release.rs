//! Releases.

use eyrie_core::{
    id::{DeploymentId, ReleaseId, RunId},
    model::{PlanHash, Release},
};
use sea_orm::entity::prelude::*;

use crate::{
    entity::column::{hash, json, micros, parsed, time},
    error::Failure,
};

/// A row.
#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "releases")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    pub(crate) deployment_id: Uuid,
    pub(crate) run_id: Uuid,
    pub(crate) plan_hash: Vec<u8>,
    pub(crate) config: String,
    pub(crate) created_at: i64,
}

/// No relation is followed by SeaORM; the references are in the migration.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<&Release> for Model {
    fn from(release: &Release) -> Self {
        Self {
            id: release.id.uuid(),
            deployment_id: release.deployment_id.uuid(),
            run_id: release.run_id.uuid(),
            plan_hash: release.plan_hash.as_bytes().to_vec(),
            config: json(&release.config),
            created_at: micros(release.created_at),
        }
    }
}

impl TryFrom<Model> for Release {
    type Error = Failure;

    fn try_from(row: Model) -> Result<Self, Failure> {
        Ok(Self {
            id: ReleaseId::from_uuid(row.id),
            deployment_id: DeploymentId::from_uuid(row.deployment_id),
            run_id: RunId::from_uuid(row.run_id),
            plan_hash: PlanHash::from_bytes(hash(row.plan_hash)?),
            config: parsed(&row.config)?,
            created_at: time(row.created_at),
        })
    }
}
