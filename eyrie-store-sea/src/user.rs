//! Accounts.

use async_trait::async_trait;
use eyrie_core::{
    Result,
    id::UserId,
    model::{AuditEntry, TokenBinding, TokenKind, User},
    name::UserName,
    store::{NewUserRule, Page, PageRequest, UserStore},
};
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, Order, QueryFilter, QuerySelect, prelude::Uuid, sea_query::Expr};

use crate::{
    audit,
    entity::{
        audit_entry,
        column::{json, micros},
        token,
        user::{Column, Entity, Model},
    },
    error::Failure,
    listing::{found, listed},
    store::SeaStore,
    version::updated,
    writer::Class,
};

#[async_trait]
impl UserStore for SeaStore {
    async fn create_user(&self, user: &User, rule: NewUserRule, audit: &AuditEntry) -> Result<()> {
        let (row, entry) = (Model::from(user), audit_entry::Model::from(audit));
        self.write(Class::Request, "create user", move |tx| async move {
            if rule == NewUserRule::NobodyYet {
                tx.alone("users").await?;
                let somebody: Option<Uuid> = Entity::find().select_only().column(Column::Id).limit(1).into_tuple().one(&*tx).await?;
                if somebody.is_some() {
                    return Err(Failure::conflict("user", "there are users already"));
                }
            }
            Entity::insert(row.into_active_model()).exec_without_returning(&*tx).await?;
            audit::keep(&tx, entry).await?;
            tx.commit().await
        })
        .await
    }

    async fn user(&self, id: UserId) -> Result<User> {
        found(self.read(), "user", Entity::find_by_id(id.uuid())).await
    }

    async fn user_by_name(&self, name: &UserName) -> Result<User> {
        found(self.read(), "user", Entity::find().filter(Column::Name.eq(name.as_str()))).await
    }

    async fn users(&self, page: PageRequest) -> Result<Page<User>> {
        listed(self.read(), "user", Entity::find(), (Column::Id, Order::Asc), page, |user: &User| user.id.uuid()).await
    }

    async fn update_user(&self, user: &User, end_sessions: bool, audit: &AuditEntry) -> Result<()> {
        let (row, entry) = (Model::from(user), audit_entry::Model::from(audit));
        let binding = json(&TokenBinding::User(user.id));
        self.write(Class::Request, "update user", move |tx| async move {
            let done = Entity::update_many()
                .col_expr(Column::Name, Expr::value(row.name))
                .col_expr(Column::PasswordHash, Expr::value(row.password_hash))
                .col_expr(Column::Operator, Expr::value(row.operator))
                .col_expr(Column::Disabled, Expr::value(row.disabled))
                .col_expr(Column::Version, Expr::value(row.version + 1))
                .filter(Column::Id.eq(row.id))
                .filter(Column::Version.eq(row.version))
                .exec(&*tx)
                .await?;
            updated::<Entity>(&tx, "user", row.id, Column::Id, done).await?;
            if end_sessions {
                token::Entity::update_many()
                    .col_expr(token::Column::RevokedAt, Expr::value(micros(tx.now())))
                    .filter(token::Column::Binding.eq(binding))
                    .filter(token::Column::Kind.eq(TokenKind::Session.as_str()))
                    .filter(token::Column::RevokedAt.is_null())
                    .exec(&*tx)
                    .await?;
            }
            audit::keep(&tx, entry).await?;
            tx.commit().await
        })
        .await
    }
}
