//! Deployments.

use eyrie_core::{
    id::{BranchId, DeploymentId, GroupId, ImageId, ProjectId, ScopeId, ServiceId},
    model::Deployment,
};
use sea_orm::entity::prelude::*;

use crate::{
    entity::column::{count, counted, json, maybe, maybe_parsed, micros, parsed, time, word},
    error::Failure,
    rows::from_row,
};

/// A row.
#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "deployments")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    pub(crate) project_id: Uuid,
    pub(crate) group_id: Uuid,
    pub(crate) slug: String,
    pub(crate) name: String,
    pub(crate) scope_id: Option<Uuid>,
    pub(crate) service_id: Option<Uuid>,
    pub(crate) branch_id: Option<Uuid>,
    pub(crate) image_id: Option<Uuid>,
    pub(crate) redeploy_on_commit: bool,
    pub(crate) redeploy_on_digest: bool,
    pub(crate) redeploy_for: Option<String>,
    pub(crate) settings: String,
    pub(crate) created_at: i64,
    pub(crate) version: i64,
}

from_row!(Model {
    id,
    project_id,
    group_id,
    slug,
    name,
    scope_id,
    service_id,
    branch_id,
    image_id,
    redeploy_on_commit,
    redeploy_on_digest,
    redeploy_for,
    settings,
    created_at,
    version,
});

/// No relation is followed by SeaORM; the references are in the migration.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<&Deployment> for Model {
    fn from(deployment: &Deployment) -> Self {
        Self {
            id: deployment.id.uuid(),
            project_id: deployment.project_id.uuid(),
            group_id: deployment.group_id.uuid(),
            slug: deployment.slug.to_string(),
            name: deployment.name.to_string(),
            scope_id: deployment.scope_id.map(ScopeId::uuid),
            service_id: deployment.service_id.map(ServiceId::uuid),
            branch_id: deployment.branch_id.map(BranchId::uuid),
            image_id: deployment.image_id.map(ImageId::uuid),
            redeploy_on_commit: deployment.redeploy_on_commit,
            redeploy_on_digest: deployment.redeploy_on_digest,
            redeploy_for: deployment.redeploy_for.as_ref().map(json),
            settings: json(&deployment.settings),
            created_at: micros(deployment.created_at),
            version: count(deployment.version),
        }
    }
}

impl TryFrom<Model> for Deployment {
    type Error = Failure;

    fn try_from(row: Model) -> Result<Self, Failure> {
        Ok(Self {
            id: DeploymentId::from_uuid(row.id),
            project_id: ProjectId::from_uuid(row.project_id),
            group_id: GroupId::from_uuid(row.group_id),
            slug: word(&row.slug)?,
            name: word(&row.name)?,
            scope_id: maybe(row.scope_id, ScopeId::from_uuid),
            service_id: maybe(row.service_id, ServiceId::from_uuid),
            branch_id: maybe(row.branch_id, BranchId::from_uuid),
            image_id: maybe(row.image_id, ImageId::from_uuid),
            redeploy_on_commit: row.redeploy_on_commit,
            redeploy_on_digest: row.redeploy_on_digest,
            redeploy_for: maybe_parsed(row.redeploy_for.as_deref())?,
            settings: parsed(&row.settings)?,
            created_at: time(row.created_at),
            version: counted(row.version)?,
        })
    }
}
