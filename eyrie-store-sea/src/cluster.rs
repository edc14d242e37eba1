//! Clusters, whom they are granted to, and what is linked to them. That nothing is linked to what is not granted, and no grant is taken
//! back while something is linked, is what the references between the tables say.

use std::collections::HashMap;

use async_trait::async_trait;
use eyrie_core::{
    Result,
    id::{ClusterId, DeploymentId, ProjectId},
    model::{AuditEntry, Cluster, ClusterGrant, ClusterLink, ClusterState, Linked},
    store::{ClusterLinkStore, ClusterStore, Page, PageRequest},
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, Order, QueryFilter, QuerySelect, QueryTrait, Statement, prelude::Uuid,
    sea_query::Expr,
};

use crate::{
    audit,
    entity::{
        audit_entry,
        cluster::{Column, Entity, Model},
        cluster_grant, cluster_link, deployment,
    },
    error::Failure,
    listing::{all_found, found, listed},
    queue_rule,
    store::SeaStore,
    version::{deleted, updated},
    writer::{Class, WriteTx},
};

#[async_trait]
impl ClusterStore for SeaStore {
    async fn create_cluster(&self, cluster: &Cluster, audit: &AuditEntry) -> Result<()> {
        let (row, entry) = (Model::from(cluster), audit_entry::Model::from(audit));
        self.write(Class::Request, "create cluster", move |tx| async move {
            let done = Entity::insert(row.into_active_model()).exec_without_returning(&*tx).await;
            done.map_err(|error| Failure::from(error).on_reference_missing("secret"))?;
            audit::keep(&tx, entry).await?;
            tx.commit().await
        })
        .await
    }

    async fn cluster(&self, id: ClusterId) -> Result<Cluster> {
        found(self.read(), "cluster", Entity::find_by_id(id.uuid())).await
    }

    async fn clusters(&self, granted_to: Option<ProjectId>, page: PageRequest) -> Result<Page<Cluster>> {
        let mut select = Entity::find().filter(Column::State.ne(ClusterState::Delete.as_str()));
        if let Some(project) = granted_to {
            let granted = cluster_grant::Entity::find()
                .select_only()
                .column(cluster_grant::Column::ClusterId)
                .filter(cluster_grant::Column::ProjectId.eq(project.uuid()));
            select = select.filter(Column::Id.in_subquery(granted.into_query()));
        }
        listed(self.read(), "cluster", select, (Column::Id, Order::Asc), page, |cluster: &Cluster| cluster.id.uuid()).await
    }

    async fn update_cluster(&self, cluster: &Cluster, audit: &AuditEntry) -> Result<()> {
        let (row, entry) = (Model::from(cluster), audit_entry::Model::from(audit));
        let goes = cluster.state() == ClusterState::Delete;
        self.write(Class::Request, "update cluster", move |tx| async move {
            let id = row.id;
            let done = Entity::update_many()
                .col_expr(Column::Slug, Expr::value(row.slug))
                .col_expr(Column::Name, Expr::value(row.name))
                .col_expr(Column::State, Expr::value(row.state))
                .col_expr(Column::ApiEndpoint, Expr::value(row.api_endpoint))
                .col_expr(Column::CredentialsSecretId, Expr::value(row.credentials_secret_id))
                .col_expr(Column::Version, Expr::value(row.version + 1))
                .filter(Column::Id.eq(id))
                .filter(Column::Version.eq(row.version))
                .exec(&*tx)
                .await
                .map_err(|error| Failure::from(error).on_reference_missing("secret"))?;
            updated::<Entity>(&tx, "cluster", id, Column::Id, done).await?;
            if goes {
                give_up(&tx, id).await?;
            }
            audit::keep(&tx, entry).await?;
            tx.commit().await
        })
        .await
    }
}

/// Takes away what a cluster that is gone has no use for; refused while it is in use.
async fn give_up(tx: &WriteTx, id: Uuid) -> Result<(), Failure> {
    let text = "SELECT 1 FROM runs WHERE cluster_id = $1 AND finished_at IS NULL LIMIT 1";
    let open = Statement::from_sql_and_values(tx.get_database_backend(), text, [id.into()]);
    if tx.query_one_raw(open).await?.is_some() {
        return Err(Failure::conflict("cluster", "a run on the cluster has not ended"));
    }
    let done = cluster_grant::Entity::delete_many().filter(cluster_grant::Column::ClusterId.eq(id)).exec(&**tx).await;
    done.map_err(|error| Failure::from(error).on_reference_in_use("cluster", "something is linked to the cluster"))?;
    queue_rule::forget(tx, id).await
}

#[async_trait]
impl ClusterLinkStore for SeaStore {
    async fn grant_cluster(&self, grant: &ClusterGrant, audit: &AuditEntry) -> Result<()> {
        let (row, entry) = (cluster_grant::Model::from(grant), audit_entry::Model::from(audit));
        self.write(Class::Request, "grant cluster", move |tx| async move {
            // The row is locked where others write at the same time, so that the cluster does not go meanwhile.
            let cluster = Entity::find_by_id(row.cluster_id).lock_exclusive().one(&*tx).await?;
            let cluster = Cluster::try_from(cluster.ok_or_else(|| Failure::missing("cluster"))?)?;
            if cluster.state() == ClusterState::Delete {
                return Err(Failure::conflict("cluster", "the cluster is gone"));
            }
            let done = cluster_grant::Entity::insert(row.into_active_model()).exec_without_returning(&*tx).await;
            done.map_err(|error| Failure::from(error).on_reference_missing("project"))?;
            audit::keep(&tx, entry).await?;
            tx.commit().await
        })
        .await
    }

    async fn revoke_cluster(&self, cluster: ClusterId, project: ProjectId, audit: &AuditEntry) -> Result<()> {
        let entry = audit_entry::Model::from(audit);
        self.write(Class::Request, "revoke cluster", move |tx| async move {
            let done = cluster_grant::Entity::delete_by_id((cluster.uuid(), project.uuid())).exec(&*tx).await;
            deleted("cluster grant", "something of the project is linked to the cluster", done)?;
            audit::keep(&tx, entry).await?;
            tx.commit().await
        })
        .await
    }

    async fn cluster_grants(&self, cluster: ClusterId) -> Result<Vec<ClusterGrant>> {
        let select = cluster_grant::Entity::find().filter(cluster_grant::Column::ClusterId.eq(cluster.uuid()));
        all_found(self.read(), "cluster grant", select).await
    }

    async fn link_cluster(&self, link: &ClusterLink, audit: &AuditEntry) -> Result<()> {
        let (row, to, entry) = (cluster_link::Model::from(link), link.to, audit_entry::Model::from(audit));
        self.write(Class::Request, "link cluster", move |tx| async move {
            let granted = cluster_grant::Entity::find_by_id((row.cluster_id, row.project_id)).one(&*tx).await?.is_some();
            let done = cluster_link::Entity::insert(row.into_active_model()).exec_without_returning(&*tx).await;
            done.map_err(|error| match (granted, Failure::from(error)) {
                (true, failure) => failure.on_reference_missing(to.level().as_str()),
                (false, failure) => failure.on_reference_in_use("cluster", "the cluster is not granted to the project"),
            })?;
            audit::keep(&tx, entry).await?;
            tx.commit().await
        })
        .await
    }

    async fn unlink_cluster(&self, cluster: ClusterId, to: Linked, audit: &AuditEntry) -> Result<()> {
        let entry = audit_entry::Model::from(audit);
        self.write(Class::Request, "unlink cluster", move |tx| async move {
            let done = cluster_link::Entity::delete_by_id((to.uuid(), cluster.uuid())).exec(&*tx).await;
            deleted("cluster link", "the link is in use", done)?;
            audit::keep(&tx, entry).await?;
            tx.commit().await
        })
        .await
    }

    async fn cluster_links(&self, cluster: ClusterId, project: Option<ProjectId>) -> Result<Vec<ClusterLink>> {
        let mut select = cluster_link::Entity::find().filter(cluster_link::Column::ClusterId.eq(cluster.uuid()));
        if let Some(project) = project {
            select = select.filter(cluster_link::Column::ProjectId.eq(project.uuid()));
        }
        all_found(self.read(), "cluster link", select).await
    }

    async fn clusters_of(&self, deployment: DeploymentId) -> Result<Vec<(Linked, Cluster)>> {
        let read = async {
            let row = deployment::Entity::find_by_id(deployment.uuid()).one(self.read()).await?;
            let row = row.ok_or_else(|| Failure::missing("deployment"))?;
            let levels = [Some(row.id), row.scope_id, Some(row.group_id)].into_iter().flatten();
            let links = cluster_link::Entity::find().filter(cluster_link::Column::LinkedId.is_in(levels)).all(self.read()).await?;
            if links.is_empty() {
                return Ok(Vec::new());
            }
            let clusters = Entity::find().filter(Column::Id.is_in(links.iter().map(|link| link.cluster_id))).all(self.read()).await?;
            let clusters: HashMap<_, _> = clusters.into_iter().map(|cluster| (cluster.id, cluster)).collect();
            let known = links.iter().filter_map(|link| Some((link, clusters.get(&link.cluster_id)?.clone())));
            known.map(|(link, cluster)| Ok((link.linked()?, Cluster::try_from(cluster)?))).collect::<Result<Vec<_>, Failure>>()
        };
        read.await.map_err(|failure| failure.into_error("cluster"))
    }
}
