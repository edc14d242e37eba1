//! What is linked to which clusters: one of the three columns that refer to it, and the same id once more as part of the key.

use eyrie_core::{
    id::{ClusterId, DeploymentId, GroupId, ProjectId, ScopeId},
    model::{ClusterLink, Linked},
};
use sea_orm::entity::prelude::*;

use crate::{
    entity::column::{micros, time},
    error::Failure,
};

/// A row.
#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "cluster_links")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) linked_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) cluster_id: Uuid,
    pub(crate) project_id: Uuid,
    pub(crate) deployment_id: Option<Uuid>,
    pub(crate) scope_id: Option<Uuid>,
    pub(crate) group_id: Option<Uuid>,
    pub(crate) created_at: i64,
}

/// No relation is followed by SeaORM; the references are in the migration.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// What is linked.
    pub(crate) fn linked(&self) -> Result<Linked, Failure> {
        match (self.deployment_id, self.scope_id, self.group_id) {
            (Some(id), None, None) => Ok(Linked::Deployment(DeploymentId::from_uuid(id))),
            (None, Some(id), None) => Ok(Linked::Scope(ScopeId::from_uuid(id))),
            (None, None, Some(id)) => Ok(Linked::Group(GroupId::from_uuid(id))),
            _ => Err(Failure::Stored("a cluster's link to not exactly one thing".into())),
        }
    }
}

impl From<&ClusterLink> for Model {
    fn from(link: &ClusterLink) -> Self {
        let (mut deployment_id, mut scope_id, mut group_id) = (None, None, None);
        match link.to {
            Linked::Deployment(id) => deployment_id = Some(id.uuid()),
            Linked::Scope(id) => scope_id = Some(id.uuid()),
            Linked::Group(id) => group_id = Some(id.uuid()),
        }
        Self {
            linked_id: link.to.uuid(),
            cluster_id: link.cluster_id.uuid(),
            project_id: link.project_id.uuid(),
            deployment_id,
            scope_id,
            group_id,
            created_at: micros(link.created_at),
        }
    }
}

impl TryFrom<Model> for ClusterLink {
    type Error = Failure;

    fn try_from(row: Model) -> Result<Self, Failure> {
        Ok(Self {
            to: row.linked()?,
            cluster_id: ClusterId::from_uuid(row.cluster_id),
            project_id: ProjectId::from_uuid(row.project_id),
            created_at: time(row.created_at),
        })
    }
}
