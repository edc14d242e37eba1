//! Deployment groups.

use async_trait::async_trait;
use eyrie_core::{
    Result,
    id::{GroupId, ProjectId, UserId},
    model::{AuditEntry, DeploymentGroup},
    name::Slug,
    store::{GroupStore, Page, PageRequest},
};
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, Order, QueryFilter, sea_query::Expr};

use crate::{
    audit,
    entity::{
        audit_entry,
        deployment_group::{Column, Entity, Model},
    },
    error::Failure,
    listing::{found, listed},
    queue_rule,
    readable::groups_readable,
    store::SeaStore,
    version::{deleted, updated},
    writer::Class,
};

#[async_trait]
impl GroupStore for SeaStore {
    async fn create_group(&self, group: &DeploymentGroup, audit: &AuditEntry) -> Result<()> {
        let (row, entry) = (Model::from(group), audit_entry::Model::from(audit));
        let rule = queue_rule::of(row.id, &group.settings);
        self.write(Class::Request, "create group", move |tx| async move {
            let done = Entity::insert(row.into_active_model()).exec_without_returning(&*tx).await;
            done.map_err(|error| Failure::from(error).on_reference_missing("project"))?;
            queue_rule::keep(&tx, rule).await?;
            audit::keep(&tx, entry).await?;
            tx.commit().await
        })
        .await
    }

    async fn group(&self, id: GroupId) -> Result<DeploymentGroup> {
        found(self.read(), "group", Entity::find_by_id(id.uuid())).await
    }

    async fn group_by_slug(&self, project: ProjectId, slug: &Slug) -> Result<DeploymentGroup> {
        let select = Entity::find().filter(Column::ProjectId.eq(project.uuid())).filter(Column::Slug.eq(slug.as_str()));
        found(self.read(), "group", select).await
    }

    async fn groups(&self, project: ProjectId, reader: Option<UserId>, page: PageRequest) -> Result<Page<DeploymentGroup>> {
        let mut select = Entity::find().filter(Column::ProjectId.eq(project.uuid()));
        if let Some(reader) = reader {
            select = select.filter(groups_readable(Column::Id, reader));
        }
        listed(self.read(), "group", select, (Column::Id, Order::Asc), page, |group: &DeploymentGroup| group.id.uuid()).await
    }

    async fn update_group(&self, group: &DeploymentGroup, audit: &AuditEntry) -> Result<()> {
        let (row, entry) = (Model::from(group), audit_entry::Model::from(audit));
        let rule = queue_rule::of(row.id, &group.settings);
        self.write(Class::Request, "update group", move |tx| async move {
            let done = Entity::update_many()
                .col_expr(Column::Slug, Expr::value(row.slug))
                .col_expr(Column::Name, Expr::value(row.name))
                .col_expr(Column::GroupType, Expr::value(row.group_type))
                .col_expr(Column::Settings, Expr::value(row.settings))
                .col_expr(Column::Version, Expr::value(row.version + 1))
                .filter(Column::Id.eq(row.id))
                .filter(Column::Version.eq(row.version))
                .exec(&*tx)
                .await?;
            updated::<Entity>(&tx, "group", row.id, Column::Id, done).await?;
            queue_rule::keep(&tx, rule).await?;
            audit::keep(&tx, entry).await?;
            tx.commit().await
        })
        .await
    }

    async fn delete_group(&self, id: GroupId, audit: &AuditEntry) -> Result<()> {
        let entry = audit_entry::Model::from(audit);
        self.write(Class::Request, "delete group", move |tx| async move {
            queue_rule::forget_group(&tx, id.uuid()).await?;
            let done = Entity::delete_by_id(id.uuid()).exec(&*tx).await;
            deleted("group", "the group still has deployments", done)?;
            audit::keep(&tx, entry).await?;
            tx.commit().await
        })
        .await
    }
}
