//! Branches.

use eyrie_core::{
    id::{BranchId, ProjectId, RepositoryId},
    model::{Branch, BranchHead},
};
use sea_orm::entity::prelude::*;

use crate::{
    entity::column::{count, counted, maybe, micros, time, word},
    error::Failure,
    rows::from_row,
};

/// A row.
#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "branches")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    pub(crate) repository_id: Uuid,
    pub(crate) project_id: Option<Uuid>,
    pub(crate) name: String,
    pub(crate) head_commit: Option<String>,
    pub(crate) head_recorded_at: Option<i64>,
    pub(crate) created_at: i64,
    pub(crate) version: i64,
}

from_row!(Model { id, repository_id, project_id, name, head_commit, head_recorded_at, created_at, version });

/// No relation is followed by SeaORM; the references are in the migration.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<&Branch> for Model {
    fn from(branch: &Branch) -> Self {
        Self {
            id: branch.id.uuid(),
            repository_id: branch.repository_id.uuid(),
            project_id: branch.project_id.map(ProjectId::uuid),
            name: branch.name.to_string(),
            head_commit: branch.head.as_ref().map(|head| head.commit.to_string()),
            head_recorded_at: branch.head.as_ref().map(|head| micros(head.recorded_at)),
            created_at: micros(branch.created_at),
            version: count(branch.version),
        }
    }
}

impl TryFrom<Model> for Branch {
    type Error = Failure;

    fn try_from(row: Model) -> Result<Self, Failure> {
        let head = match (row.head_commit, row.head_recorded_at) {
            (Some(commit), Some(at)) => Some(BranchHead { commit: word(&commit)?, recorded_at: time(at) }),
            _ => None,
        };
        Ok(Self {
            id: BranchId::from_uuid(row.id),
            repository_id: RepositoryId::from_uuid(row.repository_id),
            project_id: maybe(row.project_id, ProjectId::from_uuid),
            name: word(&row.name)?,
            head,
            created_at: time(row.created_at),
            version: counted(row.version)?,
        })
    }
}
