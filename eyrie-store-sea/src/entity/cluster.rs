//! Clusters, also those that are gone.

use eyrie_core::{
    id::{ClusterId, SecretId},
    model::{Cluster, ClusterUid, NewCluster},
};
use sea_orm::entity::prelude::*;

use crate::{
    entity::column::{count, counted, maybe, micros, time, word},
    error::Failure,
};

/// A row.
#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "clusters")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    pub(crate) uid: String,
    pub(crate) slug: String,
    pub(crate) name: String,
    pub(crate) state: String,
    pub(crate) api_endpoint: Option<String>,
    pub(crate) credentials_secret_id: Option<Uuid>,
    pub(crate) created_at: i64,
    pub(crate) version: i64,
}

/// No relation is followed by SeaORM; the references are in the migration.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<&Cluster> for Model {
    fn from(cluster: &Cluster) -> Self {
        Self {
            id: cluster.id.uuid(),
            uid: cluster.uid.to_string(),
            slug: cluster.slug.to_string(),
            name: cluster.name.to_string(),
            state: cluster.state().as_str().to_owned(),
            api_endpoint: cluster.api_endpoint.as_ref().map(ToString::to_string),
            credentials_secret_id: cluster.credentials_secret_id.map(SecretId::uuid),
            created_at: micros(cluster.created_at),
            version: count(cluster.version),
        }
    }
}

impl TryFrom<Model> for Cluster {
    type Error = Failure;

    fn try_from(row: Model) -> Result<Self, Failure> {
        let described = NewCluster {
            name: word(&row.name)?,
            api_endpoint: row.api_endpoint.as_deref().map(word).transpose()?,
            credentials_secret_id: maybe(row.credentials_secret_id, SecretId::from_uuid),
        };
        let uid = ClusterUid::try_from(row.uid)?;
        let mut cluster = Self::draft(ClusterId::from_uuid(row.id), uid, described, time(row.created_at)).in_state(word(&row.state)?);
        cluster.slug = word(&row.slug)?;
        cluster.version = counted(row.version)?;
        Ok(cluster)
    }
}
