//! The audit.

use async_trait::async_trait;
use eyrie_core::{
    Result,
    model::{AuditEntry, Verdict},
    store::{AuditFilter, AuditStore, Page, PageRequest},
};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, IntoActiveModel, Order, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait, OnConflict},
};

use crate::{
    entity::{
        audit_entry::{Column, Entity, Model},
        column::micros,
    },
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
const MAX_REFUSALS: u64 = 10_000;
/// The most of one principal and origin.
const MAX_REFUSALS_OF_ONE: u64 = 1_000;

/// Keeps entries. One that is there already came with a command that is repeated.
pub(crate) static KEEP: RowStatement = RowStatement::insert(
    "audit_entries",
    &[
        ("id", Uuid),
        ("at", Int),
        ("principal", Text),
        ("person_id", Uuid),
        ("token_id", Uuid),
        ("origin", Text),
        ("request_id", Text),
        ("action", Text),
        ("resource", Text),
        ("project_id", Uuid),
        ("verdict", Text),
        ("reason", Text),
        ("count", Int),
        ("refusal_key", Text),
        ("refused_source", Text),
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

fn row(entry: &AuditEntry) -> [Cell; 15] {
    let entry = Model::from(entry);
    [
        entry.id.into(),
        entry.at.into(),
        entry.principal.into(),
        entry.person_id.into(),
        entry.token_id.into(),
        entry.origin.into(),
        entry.request_id.into(),
        entry.action.into(),
        entry.resource.into(),
        entry.project_id.into(),
        entry.verdict.into(),
        entry.reason.into(),
        entry.count.into(),
        entry.refusal_key.into(),
        entry.refused_source.into(),
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
            let of_one = Condition::all().add(Column::RefusedSource.eq(row.refused_source.clone()));
            Entity::insert(row.into_active_model()).on_conflict(counted).exec_without_returning(&*tx).await?;
            for (those, most) in [(of_one, MAX_REFUSALS_OF_ONE), (Condition::all().add(Column::RefusalKey.is_not_null()), MAX_REFUSALS)] {
                let newest = Entity::find().select_only().column(Column::Id).filter(those.clone()).order_by_desc(Column::Id);
                let first_too_many = newest.offset(most).limit(1).into_tuple::<sea_orm::prelude::Uuid>().one(&*tx).await?;
                if let Some(first) = first_too_many {
                    Entity::delete_many().filter(those).filter(Column::Id.lte(first)).exec(&*tx).await?;
                }
            }
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
        if let Some(person) = filter.person {
            select = select.filter(Column::PersonId.eq(person.uuid()));
        }
        if let Some(token) = filter.token {
            select = select.filter(Column::TokenId.eq(token.uuid()));
        }
        if let Some(action) = filter.action {
            select = select.filter(Column::Action.eq(action));
        }
        if let Some(verdict) = filter.verdict {
            select = select.filter(Column::Verdict.eq(verdict.as_str()));
        }
        if let Some(since) = filter.since {
            select = select.filter(Column::At.gte(micros(since)));
        }
        if let Some(until) = filter.until {
            select = select.filter(Column::At.lt(micros(until)));
        }
        listed(self.read(), "audit", select, (Column::Id, Order::Desc), page, |entry: &AuditEntry| entry.id.uuid()).await
    }
}
