//! Tokens.

use std::time::Duration;

use async_trait::async_trait;
use eyrie_core::{
    Result, Timestamp,
    clock::earlier,
    id::TokenId,
    model::{AuditEntry, Token},
    store::{Page, PageRequest, Pruning, TokenFilter, TokenStore},
};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, IntoActiveModel, Order, QueryFilter, QuerySelect,
    prelude::Uuid,
    sea_query::{Expr, ExprTrait},
};

use crate::{
    audit,
    entity::{
        audit_entry,
        column::micros,
        token::{Column, Entity, Model},
    },
    error::Failure,
    listing::{found, listed},
    store::{SeaStore, now},
    writer::{Class, WriteTx},
};

#[async_trait]
impl TokenStore for SeaStore {
    async fn create_token(&self, token: &Token, audit: &AuditEntry) -> Result<()> {
        let (row, entry) = (Model::from(token), audit_entry::Model::from(audit));
        self.write(Class::Request, "create token", move |tx| async move {
            Entity::insert(row.into_active_model()).exec_without_returning(&*tx).await?;
            audit::keep(&tx, entry).await?;
            tx.commit().await
        })
        .await
    }

    async fn token(&self, id: TokenId) -> Result<Token> {
        found(self.read(), "token", Entity::find_by_id(id.uuid())).await
    }

    async fn token_by_hash(&self, hash: &[u8; 32]) -> Result<Token> {
        found(self.read(), "token", Entity::find().filter(Column::SecretHash.eq(hash.to_vec()))).await
    }

    async fn tokens(&self, filter: TokenFilter, page: PageRequest) -> Result<Page<Token>> {
        let mut select = Entity::find();
        if let Some(creator) = filter.creator {
            select = select.filter(Column::CreatedBy.eq(creator.uuid()));
        }
        if let Some(project) = filter.project {
            select = select.filter(Column::ProjectId.eq(project.uuid()));
        }
        if let Some(kind) = filter.kind {
            select = select.filter(Column::Kind.eq(kind.as_str()));
        }
        listed(self.read(), "token", select, (Column::Id, Order::Asc), page, |token: &Token| token.id.uuid()).await
    }

    async fn replace_token(&self, token: &Token, old_ends_at: Timestamp, audit: &AuditEntry) -> Result<()> {
        let (row, entry) = (Model::from(token), audit_entry::Model::from(audit));
        self.write(Class::Request, "replace token", move |tx| async move {
            let old = row.replaces.ok_or_else(|| Failure::missing("token"))?;
            let ends_at = Expr::case(Expr::col(Column::ExpiresAt).lt(micros(old_ends_at)), Expr::col(Column::ExpiresAt));
            let ended = Entity::update_many()
                .col_expr(Column::ExpiresAt, ends_at.finally(micros(old_ends_at)).into())
                .filter(Column::Id.eq(old))
                .filter(Column::RevokedAt.is_null())
                .filter(Column::ExpiresAt.gt(row.created_at))
                .exec(&*tx)
                .await?;
            if ended.rows_affected == 0 {
                is_there(&tx, old).await?;
                return Err(Failure::conflict("replace token", "the token is not valid any more"));
            }
            Entity::insert(row.into_active_model()).exec_without_returning(&*tx).await?;
            audit::keep(&tx, entry).await?;
            tx.commit().await
        })
        .await
    }

    async fn note_token_use(&self, id: TokenId, at: Timestamp) -> Result<()> {
        self.write(Class::Background, "note token use", move |tx| async move {
            let is_later = Condition::any().add(Column::LastUsedAt.is_null()).add(Column::LastUsedAt.lt(micros(at)));
            Entity::update_many()
                .col_expr(Column::LastUsedAt, Expr::value(micros(at)))
                .filter(Column::Id.eq(id.uuid()))
                .filter(is_later)
                .exec(&*tx)
                .await?;
            tx.commit().await
        })
        .await
    }

    async fn revoke_token(&self, id: TokenId, audit: &AuditEntry) -> Result<()> {
        let entry = audit_entry::Model::from(audit);
        self.write(Class::Request, "revoke token", move |tx| async move {
            let done = Entity::update_many()
                .col_expr(Column::RevokedAt, Expr::value(micros(now())))
                .filter(Column::Id.eq(id.uuid()))
                .filter(Column::RevokedAt.is_null())
                .exec(&*tx)
                .await?;
            if done.rows_affected == 0 {
                // Revoked before: nothing changes, and nothing is recorded again.
                return is_there(&tx, id.uuid()).await;
            }
            audit::keep(&tx, entry).await?;
            tx.commit().await
        })
        .await
    }
}

async fn is_there(tx: &WriteTx, token: Uuid) -> Result<(), Failure> {
    let found: Option<Uuid> = Entity::find_by_id(token).select_only().column(Column::Id).into_tuple().one(&**tx).await?;
    found.map(drop).ok_or_else(|| Failure::missing("token"))
}

/// Deletes tokens that ended long ago. Nothing makes one valid again, so which they are is read before.
pub(crate) async fn prune(store: &SeaStore, age: Duration, limit: u32) -> Result<Pruning> {
    let before = micros(earlier(now(), age));
    let ended = Condition::any().add(Column::ExpiresAt.lte(before)).add(Column::RevokedAt.lte(before));
    let select = Entity::find().select_only().column(Column::Id).filter(ended).limit(u64::from(limit));
    let old: Result<Vec<Uuid>, Failure> = select.into_tuple().all(store.read()).await.map_err(Failure::from);
    let old = old.map_err(|failure| failure.into_error("prune"))?;
    if old.is_empty() {
        return Ok(Pruning::default());
    }
    let (tokens, more) = (old.len() as u64, old.len() >= limit as usize);
    let drop_old = move |tx: WriteTx| async move {
        Entity::delete_many().filter(Column::Id.is_in(old)).exec(&*tx).await?;
        tx.commit().await
    };
    store.write(Class::Background, "prune", drop_old).await?;
    Ok(Pruning { tokens, more, ..Pruning::default() })
}
