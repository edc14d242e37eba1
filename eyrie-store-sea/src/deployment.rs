//! Deployments.

use async_trait::async_trait;
use eyrie_core::{
    Result,
    id::{DeploymentId, GroupId},
    model::{AuditEntry, Deployment},
    name::Slug,
    store::{DeploymentFilter, DeploymentStore, Page, PageRequest},
};
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, Order, QueryFilter, QuerySelect, sea_query::Expr};

use crate::{
    audit,
    entity::{
        audit_entry,
        deployment::{Column, Entity, Model},
    },
    error::Failure,
    listing::{found, listed},
    monitor, queue_rule,
    readable::deployments_readable,
    rows::{FromRow, Kind, RowStatement, Rows},
    store::SeaStore,
    version::{deleted, updated},
    writer::Class,
};

/// What a deployment refers to.
const REFERRED: &str = "project, group, scope, service, branch or image";

static DEPLOYMENT: RowStatement = RowStatement::select(Model::COLUMNS, "deployments", &[("id", Kind::Uuid)], "");

#[async_trait]
impl DeploymentStore for SeaStore {
    async fn create_deployment(&self, deployment: &Deployment, audit: &AuditEntry) -> Result<()> {
        let (row, entry) = (Model::from(deployment), audit_entry::Model::from(audit));
        let rule = queue_rule::of(row.id, &deployment.settings);
        self.write(Class::Request, "create deployment", move |tx| async move {
            let done = Entity::insert(row.into_active_model()).exec_without_returning(&*tx).await;
            done.map_err(|error| Failure::from(error).on_reference_missing(REFERRED))?;
            queue_rule::keep(&tx, rule).await?;
            audit::keep(&tx, entry).await?;
            tx.commit().await
        })
        .await
    }

    async fn deployment(&self, id: DeploymentId) -> Result<Deployment> {
        self.read_row::<Model, _>("deployment", &DEPLOYMENT, Rows::from_iter([[id.uuid().into()]])).await
    }

    async fn deployment_by_slug(&self, group: GroupId, slug: &Slug) -> Result<Deployment> {
        let select = Entity::find().filter(Column::GroupId.eq(group.uuid())).filter(Column::Slug.eq(slug.as_str()));
        found(self.read(), "deployment", select).await
    }

    async fn deployments(&self, filter: DeploymentFilter, page: PageRequest) -> Result<Page<Deployment>> {
        let mut select = Entity::find();
        if let Some(project) = filter.project {
            select = select.filter(Column::ProjectId.eq(project.uuid()));
        }
        if let Some(group) = filter.group {
            select = select.filter(Column::GroupId.eq(group.uuid()));
        }
        if let Some(service) = filter.service {
            select = select.filter(Column::ServiceId.eq(service.uuid()));
        }
        if let Some(branch) = filter.branch {
            select = select.filter(Column::BranchId.eq(branch.uuid()));
        }
        if let Some(image) = filter.image {
            select = select.filter(Column::ImageId.eq(image.uuid()));
        }
        if let Some(reader) = filter.reader {
            select = select.filter(deployments_readable(Column::Id, reader));
        }
        let id_of = |deployment: &Deployment| deployment.id.uuid();
        listed(self.read(), "deployment", select, (Column::Id, Order::Asc), page, id_of).await
    }

    async fn update_deployment(&self, deployment: &Deployment, audit: &AuditEntry) -> Result<()> {
        let (row, entry) = (Model::from(deployment), audit_entry::Model::from(audit));
        let rule = queue_rule::of(row.id, &deployment.settings);
        self.write(Class::Request, "update deployment", move |tx| async move {
            let done = Entity::update_many()
                .col_expr(Column::Slug, Expr::value(row.slug))
                .col_expr(Column::Name, Expr::value(row.name))
                .col_expr(Column::ScopeId, Expr::value(row.scope_id))
                .col_expr(Column::ServiceId, Expr::value(row.service_id))
                .col_expr(Column::BranchId, Expr::value(row.branch_id))
                .col_expr(Column::ImageId, Expr::value(row.image_id))
                .col_expr(Column::RedeployOnCommit, Expr::value(row.redeploy_on_commit))
                .col_expr(Column::RedeployOnDigest, Expr::value(row.redeploy_on_digest))
                .col_expr(Column::RedeployFor, Expr::value(row.redeploy_for))
                .col_expr(Column::Settings, Expr::value(row.settings))
                .col_expr(Column::Version, Expr::value(row.version + 1))
                .filter(Column::Id.eq(row.id))
                .filter(Column::Version.eq(row.version))
                .exec(&*tx)
                .await
                .map_err(|error| Failure::from(error).on_reference_missing(REFERRED))?;
            updated::<Entity>(&tx, "deployment", row.id, Column::Id, done).await?;
            queue_rule::keep(&tx, rule).await?;
            audit::keep(&tx, entry).await?;
            tx.commit().await
        })
        .await
    }

    async fn delete_deployment(&self, id: DeploymentId, audit: &AuditEntry) -> Result<()> {
        let entry = audit_entry::Model::from(audit);
        self.write(Class::Request, "delete deployment", move |tx| async move {
            // Whoever adds to it waits, or is waited for.
            Entity::find_by_id(id.uuid()).lock_exclusive().one(&*tx).await?;
            queue_rule::forget(&tx, id.uuid()).await?;
            monitor::forget_of_deployment(&tx, id.uuid()).await?;
            let done = Entity::delete_by_id(id.uuid()).exec(&*tx).await;
            deleted("deployment", "the deployment has runs", done)?;
            audit::keep(&tx, entry).await?;
            tx.commit().await
        })
        .await
    }
}
