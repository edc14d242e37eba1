//! Repositories.

use async_trait::async_trait;
use eyrie_core::{
    Result,
    id::{ProjectId, RepositoryId},
    model::{AuditEntry, Repository},
    store::{Page, PageRequest, RepositoryFilter, RepositoryStore},
};
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, Order, QueryFilter, sea_query::Expr};

use crate::{
    audit,
    entity::{
        audit_entry,
        repository::{Column, Entity, Model},
    },
    error::Failure,
    listing::{found, listed},
    store::SeaStore,
    version::{deleted, updated},
    writer::Class,
};

#[async_trait]
impl RepositoryStore for SeaStore {
    async fn create_repository(&self, repository: &Repository, audit: &AuditEntry) -> Result<()> {
        let (row, entry) = (Model::from(repository), audit_entry::Model::from(audit));
        self.write(Class::Request, "create repository", move |tx| async move {
            let done = Entity::insert(row.into_active_model()).exec_without_returning(&*tx).await;
            done.map_err(|error| Failure::from(error).on_reference_missing("project or secret"))?;
            audit::keep(&tx, entry).await?;
            tx.commit().await
        })
        .await
    }

    async fn repository(&self, id: RepositoryId) -> Result<Repository> {
        found(self.read(), "repository", Entity::find_by_id(id.uuid())).await
    }

    async fn repositories(&self, filter: RepositoryFilter, page: PageRequest) -> Result<Page<Repository>> {
        let mut select = Entity::find().filter(owned_by(Column::ProjectId, filter.owner));
        if let Some(group_type) = &filter.group_type {
            select = select.filter(Column::GroupType.eq(group_type.as_str()));
        }
        let id_of = |repository: &Repository| repository.id.uuid();
        listed(self.read(), "repository", select, (Column::Id, Order::Asc), page, id_of).await
    }

    async fn update_repository(&self, repository: &Repository, audit: &AuditEntry) -> Result<()> {
        let (row, entry) = (Model::from(repository), audit_entry::Model::from(audit));
        self.write(Class::Request, "update repository", move |tx| async move {
            let done = Entity::update_many()
                .col_expr(Column::Slug, Expr::value(row.slug))
                .col_expr(Column::Name, Expr::value(row.name))
                .col_expr(Column::Url, Expr::value(row.url))
                .col_expr(Column::GroupType, Expr::value(row.group_type))
                .col_expr(Column::CredentialsSecretId, Expr::value(row.credentials_secret_id))
                .col_expr(Column::Version, Expr::value(row.version + 1))
                .filter(Column::Id.eq(row.id))
                .filter(Column::Version.eq(row.version))
                .exec(&*tx)
                .await
                .map_err(|error| Failure::from(error).on_reference_missing("secret"))?;
            updated::<Entity>(&tx, "repository", row.id, Column::Id, done).await?;
            audit::keep(&tx, entry).await?;
            tx.commit().await
        })
        .await
    }

    async fn delete_repository(&self, id: RepositoryId, audit: &AuditEntry) -> Result<()> {
        let entry = audit_entry::Model::from(audit);
        self.write(Class::Request, "delete repository", move |tx| async move {
            let done = Entity::delete_by_id(id.uuid()).exec(&*tx).await;
            deleted("repository", "an image or a deployment still refers to the repository", done)?;
            audit::keep(&tx, entry).await?;
            tx.commit().await
        })
        .await
    }
}

/// What belongs to the project, or to none.
pub(crate) fn owned_by<C: ColumnTrait>(column: C, owner: Option<ProjectId>) -> Expr {
    match owner {
        Some(project) => column.eq(project.uuid()),
        None => column.is_null(),
    }
}
