//! Services.

use async_trait::async_trait;
use eyrie_core::{
    Result,
    id::{ProjectId, ServiceId},
    model::{AuditEntry, Service},
    name::ServiceName,
    store::{Page, PageRequest, ServiceStore},
};
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, Order, QueryFilter, sea_query::Expr};

use crate::{
    audit,
    entity::{
        audit_entry,
        service::{Column, Entity, Model},
    },
    error::Failure,
    listing::{found, listed},
    store::SeaStore,
    version::{deleted, updated},
    writer::Class,
};

#[async_trait]
impl ServiceStore for SeaStore {
    async fn create_service(&self, service: &Service, audit: &AuditEntry) -> Result<()> {
        let (row, entry) = (Model::from(service), audit_entry::Model::from(audit));
        self.write(Class::Request, "create service", move |tx| async move {
            let done = Entity::insert(row.into_active_model()).exec_without_returning(&*tx).await;
            done.map_err(|error| Failure::from(error).on_reference_missing("project"))?;
            audit::keep(&tx, entry).await?;
            tx.commit().await
        })
        .await
    }

    async fn service(&self, id: ServiceId) -> Result<Service> {
        found(self.read(), "service", Entity::find_by_id(id.uuid())).await
    }

    async fn service_by_name(&self, project: ProjectId, name: &ServiceName) -> Result<Service> {
        let select = Entity::find().filter(Column::ProjectId.eq(project.uuid())).filter(Column::Name.eq(name.as_str()));
        found(self.read(), "service", select).await
    }

    async fn services(&self, project: ProjectId, page: PageRequest) -> Result<Page<Service>> {
        let select = Entity::find().filter(Column::ProjectId.eq(project.uuid()));
        listed(self.read(), "service", select, (Column::Id, Order::Asc), page, |service: &Service| service.id.uuid()).await
    }

    async fn update_service(&self, service: &Service, audit: &AuditEntry) -> Result<()> {
        let (row, entry) = (Model::from(service), audit_entry::Model::from(audit));
        self.write(Class::Request, "update service", move |tx| async move {
            let done = Entity::update_many()
                .col_expr(Column::Name, Expr::value(row.name))
                .col_expr(Column::Config, Expr::value(row.config))
                .col_expr(Column::Source, Expr::value(row.source))
                .col_expr(Column::Version, Expr::value(row.version + 1))
                .filter(Column::Id.eq(row.id))
                .filter(Column::Version.eq(row.version))
                .exec(&*tx)
                .await?;
            updated::<Entity>(&tx, "service", row.id, Column::Id, done).await?;
            audit::keep(&tx, entry).await?;
            tx.commit().await
        })
        .await
    }

    async fn delete_service(&self, id: ServiceId, audit: &AuditEntry) -> Result<()> {
        let entry = audit_entry::Model::from(audit);
        self.write(Class::Request, "delete service", move |tx| async move {
            let done = Entity::delete_by_id(id.uuid()).exec(&*tx).await;
            deleted("service", "a deployment still refers to the service", done)?;
            audit::keep(&tx, entry).await?;
            tx.commit().await
        })
        .await
    }
}
