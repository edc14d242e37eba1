//! The audit.

use async_trait::async_trait;
use eyrie_core::{
    Result,
    model::{AuditEntry, Verdict},
    store::{AuditFilter, AuditStore, Page, PageRequest},
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, Order, QueryFilter, Statement, Value,
    sea_query::{Expr, ExprTrait, OnConflict},
};

use crate::{
    entity::audit_entry::{Column, Entity, Model},
    error::Failure,
    listing::listed,
    row_statement::{RowStatement, Rows},
    store::SeaStore,
    writer::{Class, WriteTx},
};

/// The most refusals that are kept; older ones go first.
const MAX_REFUSALS: i64 = 10_000;

const KEEP: RowStatement = RowStatement {
    columns: "id,at,principal,origin,action,resource,project_id,verdict,reason,count,refusal_key",
    then: "INSERT INTO audit_entries (id, at, principal, origin, action, resource, project_id, verdict, reason, count, refusal_key) \
        SELECT id, at, principal, origin, action, resource, project_id, verdict, reason, count, refusal_key FROM v WHERE id IS NOT NULL \
        ON CONFLICT (id) DO NOTHING",
};

/// Keeps an entry in the transaction of what it records.
pub(crate) async fn keep(tx: &WriteTx, entry: Model) -> Result<(), Failure> {
    Entity::insert(entry.into_active_model()).exec_without_returning(&**tx).await?;
    Ok(())
}

/// Keeps many entries in the transaction of what they record. One that is there already came with a command that is repeated.
pub(crate) async fn keep_all(tx: &WriteTx, entries: impl Iterator<Item = Model>) -> Result<(), Failure> {
    let rows: Rows = entries.map(row).collect();
    KEEP.execute(&**tx, rows).await?;
    Ok(())
}

fn row(entry: Model) -> [Value; 11] {
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
            let cut = "DELETE FROM audit_entries WHERE refusal_key IS NOT NULL AND id <= \
                (SELECT id FROM audit_entries WHERE refusal_key IS NOT NULL ORDER BY id DESC LIMIT 1 OFFSET ?)";
            tx.execute_raw(Statement::from_sql_and_values(tx.get_database_backend(), cut, [MAX_REFUSALS.into()])).await?;
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
