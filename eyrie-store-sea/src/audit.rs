//! The audit.

use async_trait::async_trait;
use eyrie_core::{
    Result,
    model::{AuditEntry, Verdict},
    store::{AuditFilter, AuditStore, Page, PageRequest},
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, Order, QueryFilter,
    sea_query::{Expr, ExprTrait, OnConflict},
};

use crate::{
    entity::audit_entry::{Column, Entity, Model},
    error::Failure,
    listing::listed,
    rows::{
        Cell,
        Kind::{Int, Text, Uuid},
        RowStatement, Rows,
    },
    store::SeaStore,
    writer::{Class, WriteTx},
};

/// The most refusals that are kept; older ones go first.
const MAX_REFUSALS: i64 = 10_000;

/// Keeps entries. One that is there already came with a command that is repeated.
pub(crate) static KEEP: RowStatement = RowStatement::insert(
    "audit_entries",
    &[
        ("id", Uuid),
        ("at", Int),
        ("principal", Text),
        ("origin", Text),
        ("action", Text),
        ("resource", Text),
        ("project_id", Uuid),
        ("verdict", Text),
        ("reason", Text),
        ("count", Int),
        ("refusal_key", Text),
    ],
    "ON CONFLICT (id) DO NOTHING",
);

/// Keeps an entry in the transaction of what it records.
pub(crate) async fn keep(tx: &WriteTx, entry: Model) -> Result<(), Failure> {
    tx.prove_by(entry.id);
    Entity::insert(entry.into_active_model()).exec_without_returning(&**tx).await?;
    Ok(())
}

/// The rows of entries.
pub(crate) fn rows<'a>(entries: impl Iterator<Item = &'a AuditEntry>) -> Rows {
    entries.map(row).collect()
}

fn row(entry: &AuditEntry) -> [Cell; 11] {
    let entry = Model::from(entry);
    [
        entry.id.into(),
        entry.at.into(),
        entry.principal.into(),
        entry.origin.into(),
        entry.action.into(),
        entry.resource.into(),
        entry.project_id.into(),
        entry.verdict.into(),
        entry.reason.into(),
        entry.count.into(),
        entry.refusal_key.into(),
    ]
}

#[async_trait]
impl AuditStore for SeaStore {
    async fn record_refusal(&self, entry: &AuditEntry) -> Result<()> {
        let row = Model::from(&AuditEntry { verdict: Verdict::Refused, ..entry.clone() });
        self.write(Class::Background, "record refusal", move |tx| async move {
            let counted = OnConflict::column(Column::RefusalKey)
                .target_and_where(Expr::col(Column::RefusalKey).is_not_null())
                .value(Column::Count, Expr::col((Entity, Column::Count)).add(row.count))
                .to_owned();
            Entity::insert(row.into_active_model()).on_conflict(counted).exec_without_returning(&*tx).await?;
            let cut = format!(
                "DELETE FROM audit_entries WHERE refusal_key IS NOT NULL AND id <= \
                (SELECT id FROM audit_entries WHERE refusal_key IS NOT NULL ORDER BY id DESC LIMIT 1 OFFSET {MAX_REFUSALS})"
            );
            tx.execute_unprepared(&cut).await?;
            tx.commit().await
        })
        .await
    }

    async fn audit(&self, filter: AuditFilter, page: PageRequest) -> Result<Page<AuditEntry>> {
        let mut select = Entity::find();
        if let Some(project) = filter.project {
            select = select.filter(Column::ProjectId.eq(project.uuid()));
        }
        if let Some(resource) = filter.resource {
            select = select.filter(Column::Resource.eq(resource));
        }
        listed(self.read(), "audit", select, (Column::Id, Order::Desc), page, |entry: &AuditEntry| entry.id.uuid()).await
    }
}
