//! Branches.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use eyrie_core::{
    Result,
    id::{BranchId, RepositoryId},
    model::{AuditEntry, Branch},
    store::{BranchMove, BranchStore, Enqueue, Enqueued, Moved, Page, PageRequest},
};
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, Order, QueryFilter};

use crate::{
    audit,
    entity::{
        audit_entry,
        branch::{Column, Entity, Model},
        column::{count, micros},
    },
    error::Failure,
    listing::{found, listed},
    rows::{
        FromRow,
        Kind::{Int, Text, Uuid},
        RowStatement, RowTx, Rows,
    },
    run::{lock_deployments, queue_in},
    store::SeaStore,
    version::deleted,
    writer::Class,
};

static BRANCH: RowStatement = RowStatement::select(Model::COLUMNS, "branches", &[("id", Uuid)], "");
static MOVE: RowStatement = RowStatement::update(
    "branches",
    2,
    &[("id", Uuid), ("version", Int), ("version", Int), ("head_commit", Text), ("head_recorded_at", Int)],
);

#[async_trait]
impl BranchStore for SeaStore {
    async fn create_branch(&self, branch: &Branch, audit: &AuditEntry) -> Result<()> {
        let (row, entry) = (Model::from(branch), audit_entry::Model::from(audit));
        self.write(Class::Request, "create branch", move |tx| async move {
            let done = Entity::insert(row.into_active_model()).exec_without_returning(&*tx).await;
            done.map_err(|error| Failure::from(error).on_reference_missing("repository"))?;
            audit::keep(&tx, entry).await?;
            tx.commit().await
        })
        .await
    }

    async fn branch(&self, id: BranchId) -> Result<Branch> {
        found(self.read(), "branch", Entity::find_by_id(id.uuid())).await
    }

    async fn branches(&self, repository: RepositoryId, page: PageRequest) -> Result<Page<Branch>> {
        let select = Entity::find().filter(Column::RepositoryId.eq(repository.uuid()));
        listed(self.read(), "branch", select, (Column::Id, Order::Asc), page, |branch: &Branch| branch.id.uuid()).await
    }

    async fn move_branch(&self, to: &BranchMove) -> Result<Moved<Branch>> {
        let to = Arc::new(to.clone());
        self.rows(Class::Engine, "record commit", move |tx| move_in(tx, Arc::clone(&to))).await
    }

    async fn delete_branch(&self, id: BranchId, audit: &AuditEntry) -> Result<()> {
        let entry = audit_entry::Model::from(audit);
        self.write(Class::Request, "delete branch", move |tx| async move {
            let done = Entity::delete_by_id(id.uuid()).exec(&*tx).await;
            deleted("branch", "a deployment follows the branch", done)?;
            audit::keep(&tx, entry).await?;
            tx.commit().await
        })
        .await
    }
}

async fn move_in(mut tx: RowTx, to: Arc<BranchMove>) -> Result<Moved<Branch>, Failure> {
    // Deployments before what they follow: whoever changes one comes that way, too.
    lock_deployments(&mut tx, deployments_of(&to.runs)).await?;
    let id = to.branch.uuid();
    let moved = [id.into(), count(to.version).into(), count(to.version + 1).into(), to.commit.as_str().into(), micros(tx.now()).into()];
    let touched = tx.execute(&MOVE, Rows::from_iter([moved])).await?;
    let row: Option<Model> = tx.read(&BRANCH, Rows::from_iter([[id.into()]])).await?.pop();
    let Some(row) = row else { return Err(Failure::missing("branch")) };
    if touched == 0 {
        return Err(Failure::conflict("branch", "the branch was changed in the meantime"));
    }
    let queued = queue_and_note(&mut tx, &to.runs, &to.audit).await?;
    tx.commit().await?;
    Ok(Moved { now: row.try_into()?, queued })
}

pub(crate) fn deployments_of(runs: &[Enqueue]) -> BTreeSet<eyrie_core::id::DeploymentId> {
    runs.iter().map(|request| request.run.deployment_id).collect()
}

/// Queues all of the runs, or fails, and keeps the entry.
pub(crate) async fn queue_and_note(tx: &mut RowTx, runs: &[Enqueue], entry: &AuditEntry) -> Result<Vec<Enqueued>, Failure> {
    let queued = match runs {
        [] => Vec::new(),
        runs => queue_in(tx, runs).await?.into_iter().collect::<Result<_>>().map_err(Failure::Refused)?,
    };
    tx.execute(&audit::KEEP, audit::rows([entry].into_iter())).await?;
    Ok(queued)
}
