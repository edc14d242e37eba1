//! Container images.

use std::sync::Arc;

use async_trait::async_trait;
use eyrie_core::{
    Result,
    id::ImageId,
    model::{AuditEntry, Image},
    store::{ImageFilter, ImageMove, ImageStore, Moved, Page, PageRequest},
};
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, Order, QueryFilter, sea_query::Expr};

use crate::{
    audit,
    branch::{deployments_of, queue_and_note},
    entity::{
        audit_entry,
        column::{count, micros},
        image::{Column, Entity, Model},
    },
    error::Failure,
    listing::{found, listed},
    repository::owned_by,
    rows::{
        FromRow,
        Kind::{Int, Text, Uuid},
        RowStatement, RowTx, Rows,
    },
    run::lock_deployments,
    store::SeaStore,
    version::{deleted, updated},
    writer::Class,
};

static IMAGE: RowStatement = RowStatement::select(Model::COLUMNS, "images", &[("id", Uuid)], "");
static MOVE: RowStatement =
    RowStatement::update("images", 2, &[("id", Uuid), ("version", Int), ("version", Int), ("digest", Text), ("digest_recorded_at", Int)]);

#[async_trait]
impl ImageStore for SeaStore {
    async fn create_image(&self, image: &Image, audit: &AuditEntry) -> Result<()> {
        let (row, entry) = (Model::from(image), audit_entry::Model::from(audit));
        self.write(Class::Request, "create image", move |tx| async move {
            let done = Entity::insert(row.into_active_model()).exec_without_returning(&*tx).await;
            done.map_err(|error| Failure::from(error).on_reference_missing("project or repository"))?;
            audit::keep(&tx, entry).await?;
            tx.commit().await
        })
        .await
    }

    async fn image(&self, id: ImageId) -> Result<Image> {
        found(self.read(), "image", Entity::find_by_id(id.uuid())).await
    }

    async fn images(&self, filter: ImageFilter, page: PageRequest) -> Result<Page<Image>> {
        let mut select = Entity::find().filter(owned_by(Column::ProjectId, filter.owner));
        if let Some(repository) = filter.repository {
            select = select.filter(Column::RepositoryId.eq(repository.uuid()));
        }
        listed(self.read(), "image", select, (Column::Id, Order::Asc), page, |image: &Image| image.id.uuid()).await
    }

    async fn update_image(&self, image: &Image, audit: &AuditEntry) -> Result<()> {
        let (row, entry) = (Model::from(image), audit_entry::Model::from(audit));
        self.write(Class::Request, "update image", move |tx| async move {
            let done = Entity::update_many()
                .col_expr(Column::RepositoryId, Expr::value(row.repository_id))
                .col_expr(Column::Version, Expr::value(row.version + 1))
                .filter(Column::Id.eq(row.id))
                .filter(Column::Version.eq(row.version))
                .exec(&*tx)
                .await
                .map_err(|error| Failure::from(error).on_reference_missing("repository"))?;
            updated::<Entity>(&tx, "image", row.id, Column::Id, done).await?;
            audit::keep(&tx, entry).await?;
            tx.commit().await
        })
        .await
    }

    async fn move_image(&self, to: &ImageMove) -> Result<Moved<Image>> {
        let to = Arc::new(to.clone());
        self.rows(Class::Engine, "record digest", move |tx| move_in(tx, Arc::clone(&to))).await
    }

    async fn delete_image(&self, id: ImageId, audit: &AuditEntry) -> Result<()> {
        let entry = audit_entry::Model::from(audit);
        self.write(Class::Request, "delete image", move |tx| async move {
            let done = Entity::delete_by_id(id.uuid()).exec(&*tx).await;
            deleted("image", "a deployment runs the image", done)?;
            audit::keep(&tx, entry).await?;
            tx.commit().await
        })
        .await
    }
}

async fn move_in(mut tx: RowTx, to: Arc<ImageMove>) -> Result<Moved<Image>, Failure> {
    // Deployments before what they run: whoever changes one comes that way, too.
    lock_deployments(&mut tx, deployments_of(&to.runs)).await?;
    let id = to.image.uuid();
    let moved = [id.into(), count(to.version).into(), count(to.version + 1).into(), to.digest.as_str().into(), micros(tx.now()).into()];
    let touched = tx.execute(&MOVE, Rows::from_iter([moved])).await?;
    let row: Option<Model> = tx.read(&IMAGE, Rows::from_iter([[id.into()]])).await?.pop();
    let Some(row) = row else { return Err(Failure::missing("image")) };
    if touched == 0 {
        return Err(Failure::conflict("image", "the image was changed in the meantime"));
    }
    let queued = queue_and_note(&mut tx, &to.runs, &to.audit).await?;
    tx.commit().await?;
    Ok(Moved { now: row.try_into()?, queued })
}
