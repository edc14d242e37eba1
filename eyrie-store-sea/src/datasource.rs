//! Datasources.

use async_trait::async_trait;
use eyrie_core::{
    Result,
    id::DatasourceId,
    model::{AuditEntry, Datasource, Owner},
    store::{DatasourceStore, Page, PageRequest},
};
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, Order, QueryFilter, sea_query::Expr};

use crate::{
    audit,
    entity::{
        audit_entry,
        datasource::{Column, Entity, Model},
        project,
    },
    error::Failure,
    listing::{found, listed},
    store::SeaStore,
    version::{deleted, updated},
    writer::{Class, WriteTx},
};

#[async_trait]
impl DatasourceStore for SeaStore {
    async fn create_datasource(&self, datasource: &Datasource, audit: &AuditEntry) -> Result<()> {
        let (row, entry) = (Model::from(datasource), audit_entry::Model::from(audit));
        self.write(Class::Request, "create datasource", move |tx| async move {
            need_project(&tx, &row).await?;
            let done = Entity::insert(row.into_active_model()).exec_without_returning(&*tx).await;
            done.map_err(|error| Failure::from(error).on_reference_missing("secret"))?;
            audit::keep(&tx, entry).await?;
            tx.commit().await
        })
        .await
    }

    async fn datasource(&self, id: DatasourceId) -> Result<Datasource> {
        found(self.read(), "datasource", Entity::find_by_id(id.uuid())).await
    }

    async fn datasources(&self, owner: Owner, page: PageRequest) -> Result<Page<Datasource>> {
        let select = match owner {
            Owner::Project(project) => Entity::find().filter(Column::ProjectId.eq(project.uuid())),
            Owner::Operators => Entity::find().filter(Column::ProjectId.is_null()),
        };
        listed(self.read(), "datasource", select, (Column::Id, Order::Asc), page, |datasource: &Datasource| datasource.id.uuid()).await
    }

    async fn update_datasource(&self, datasource: &Datasource, audit: &AuditEntry) -> Result<()> {
        let (row, entry) = (Model::from(datasource), audit_entry::Model::from(audit));
        self.write(Class::Request, "update datasource", move |tx| async move {
            let done = Entity::update_many()
                .col_expr(Column::Slug, Expr::value(row.slug))
                .col_expr(Column::Name, Expr::value(row.name))
                .col_expr(Column::DataType, Expr::value(row.data_type))
                .col_expr(Column::Usage, Expr::value(row.usage))
                .col_expr(Column::Config, Expr::value(row.config))
                .col_expr(Column::CredentialsSecretId, Expr::value(row.credentials_secret_id))
                .col_expr(Column::Version, Expr::value(row.version + 1))
                .filter(Column::Id.eq(row.id))
                .filter(Column::Version.eq(row.version))
                .exec(&*tx)
                .await
                .map_err(|error| Failure::from(error).on_reference_missing("secret"))?;
            updated::<Entity>(&tx, "datasource", row.id, Column::Id, done).await?;
            audit::keep(&tx, entry).await?;
            tx.commit().await
        })
        .await
    }

    async fn delete_datasource(&self, id: DatasourceId, audit: &AuditEntry) -> Result<()> {
        let entry = audit_entry::Model::from(audit);
        self.write(Class::Request, "delete datasource", move |tx| async move {
            let done = Entity::delete_by_id(id.uuid()).exec(&*tx).await;
            deleted("datasource", "backups of a scope go there", done)?;
            audit::keep(&tx, entry).await?;
            tx.commit().await
        })
        .await
    }
}

/// A broken reference does not say which of the two it is.
async fn need_project(tx: &WriteTx, row: &Model) -> Result<(), Failure> {
    match row.project_id {
        Some(id) if project::Entity::find_by_id(id).one(&**tx).await?.is_none() => Err(Failure::missing("project")),
        _ => Ok(()),
    }
}
