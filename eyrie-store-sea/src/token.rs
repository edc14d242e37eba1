//! Tokens.

use async_trait::async_trait;
use eyrie_core::{
    Result,
    id::{TokenId, UserId},
    model::{AuditEntry, Token},
    store::{Page, PageRequest, TokenStore},
};
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, Order, QueryFilter, QuerySelect, prelude::Uuid, sea_query::Expr};

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
    writer::Class,
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

    async fn tokens(&self, creator: Option<UserId>, page: PageRequest) -> Result<Page<Token>> {
        let mut select = Entity::find();
        if let Some(creator) = creator {
            select = select.filter(Column::CreatedBy.eq(creator.uuid()));
        }
        listed(self.read(), "token", select, (Column::Id, Order::Asc), page, |token: &Token| token.id.uuid()).await
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
                let there: Option<Uuid> = Entity::find_by_id(id.uuid()).select_only().column(Column::Id).into_tuple().one(&*tx).await?;
                // Revoked before: nothing changes, and nothing is recorded again.
                return there.map(drop).ok_or_else(|| Failure::missing("token"));
            }
            audit::keep(&tx, entry).await?;
            tx.commit().await
        })
        .await
    }
}
