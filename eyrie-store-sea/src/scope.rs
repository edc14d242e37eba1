//! Scopes.

use async_trait::async_trait;
use eyrie_core::{
    Result,
    id::{GroupId, ScopeId},
    model::{AuditEntry, Scope},
    store::{Page, PageRequest, ScopeStore},
};
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, Order, QueryFilter, sea_query::Expr};

use crate::{
    audit,
    entity::{
        audit_entry,
        scope::{Column, Entity, Model},
    },
    error::Failure,
    listing::{found, listed},
    queue_rule,
    store::SeaStore,
    version::{deleted, updated},
    writer::Class,
};

#[async_trait]
impl ScopeStore for SeaStore {
    async fn create_scope(&self, scope: &Scope, audit: &AuditEntry) -> Result<()> {
        let (row, entry) = (Model::from(scope), audit_entry::Model::from(audit));
        let rule = queue_rule::of(row.id, &scope.settings);
        self.write(Class::Request, "create scope", move |tx| async move {
            let done = Entity::insert(row.into_active_model()).exec_without_returning(&*tx).await;
            done.map_err(|error| Failure::from(error).on_reference_missing("group or datasource"))?;
            queue_rule::keep(&tx, rule).await?;
            audit::keep(&tx, entry).await?;
            tx.commit().await
        })
        .await
    }

    async fn scope(&self, id: ScopeId) -> Result<Scope> {
        found(self.read(), "scope", Entity::find_by_id(id.uuid())).await
    }

    async fn scopes(&self, group: GroupId, page: PageRequest) -> Result<Page<Scope>> {
        let select = Entity::find().filter(Column::GroupId.eq(group.uuid()));
        listed(self.read(), "scope", select, (Column::Id, Order::Asc), page, |scope: &Scope| scope.id.uuid()).await
    }

    async fn update_scope(&self, scope: &Scope, audit: &AuditEntry) -> Result<()> {
        let (row, entry) = (Model::from(scope), audit_entry::Model::from(audit));
        let rule = queue_rule::of(row.id, &scope.settings);
        self.write(Class::Request, "update scope", move |tx| async move {
            let done = Entity::update_many()
                .col_expr(Column::Slug, Expr::value(row.slug))
                .col_expr(Column::Name, Expr::value(row.name))
                .col_expr(Column::BackupDestDatasourceId, Expr::value(row.backup_dest_datasource_id))
                .col_expr(Column::Settings, Expr::value(row.settings))
                .col_expr(Column::MonitorLogDeleteAfterSeconds, Expr::value(row.monitor_log_delete_after_seconds))
                .col_expr(Column::Version, Expr::value(row.version + 1))
                .filter(Column::Id.eq(row.id))
                .filter(Column::Version.eq(row.version))
                .exec(&*tx)
                .await
                .map_err(|error| Failure::from(error).on_reference_missing("datasource"))?;
            updated::<Entity>(&tx, "scope", row.id, Column::Id, done).await?;
            queue_rule::keep(&tx, rule).await?;
            audit::keep(&tx, entry).await?;
            tx.commit().await
        })
        .await
    }

    async fn delete_scope(&self, id: ScopeId, audit: &AuditEntry) -> Result<()> {
        let entry = audit_entry::Model::from(audit);
        self.write(Class::Request, "delete scope", move |tx| async move {
            queue_rule::forget(&tx, id.uuid()).await?;
            let done = Entity::delete_by_id(id.uuid()).exec(&*tx).await;
            deleted("scope", "the scope still has deployments", done)?;
            audit::keep(&tx, entry).await?;
            tx.commit().await
        })
        .await
    }
}
