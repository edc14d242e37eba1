//! Secrets and the keys that they are sealed by. That no key is given up while a value needs it, and no value goes while a plan names
//! it, is what the references between the tables say.

use std::collections::HashMap;

use async_trait::async_trait;
use eyrie_core::{
    Result,
    id::SecretId,
    model::{AuditEntry, Owner, SealedSecret, SealingKey, Secret},
    secret::{KeyVersion, SealedValue, SecretRef},
    store::{KEPT_VALUES, Page, PageRequest, SealingKeyStore, SecretStore},
};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, Order, QueryFilter, QueryOrder, QuerySelect, Statement,
    sea_query::Expr,
};

use crate::{
    audit,
    entity::{
        audit_entry,
        column::count,
        sealing_key,
        secret::{Column, Entity, Model},
        secret_value,
    },
    error::Failure,
    listing::{all_found, found, listed},
    store::SeaStore,
    version::{deleted, updated},
    writer::{Class, WriteTx},
};

const KEY_GONE: &str = "the key that the value is sealed by is not known, or was retired";

#[async_trait]
impl SecretStore for SeaStore {
    async fn create_secret(&self, secret: &Secret, value: &SealedSecret, audit: &AuditEntry) -> Result<()> {
        let (row, value, entry) = (Model::from(secret), secret_value::Model::from(value), audit_entry::Model::from(audit));
        self.write(Class::Request, "create secret", move |tx| async move {
            let done = Entity::insert(row.into_active_model()).exec_without_returning(&*tx).await;
            done.map_err(|error| Failure::from(error).on_reference_missing("project"))?;
            keep_value(&tx, value).await?;
            audit::keep(&tx, entry).await?;
            tx.commit().await
        })
        .await
    }

    async fn secret(&self, id: SecretId) -> Result<Secret> {
        found(self.read(), "secret", Entity::find_by_id(id.uuid())).await
    }

    async fn secrets(&self, owner: Owner, page: PageRequest) -> Result<Page<Secret>> {
        let select = match owner {
            Owner::Project(project) => Entity::find().filter(Column::ProjectId.eq(project.uuid())),
            Owner::Operators => Entity::find().filter(Column::ProjectId.is_null()),
        };
        listed(self.read(), "secret", select, (Column::Id, Order::Asc), page, |secret: &Secret| secret.id.uuid()).await
    }

    async fn replace_secret_value(&self, secret: &Secret, value: &SealedSecret, audit: &AuditEntry) -> Result<()> {
        let (row, value, entry) = (Model::from(secret), secret_value::Model::from(value), audit_entry::Model::from(audit));
        self.write(Class::Request, "replace secret value", move |tx| async move {
            let done = Entity::update_many()
                .col_expr(Column::ValueVersion, Expr::value(row.value_version))
                .col_expr(Column::ReplacedAt, Expr::value(row.replaced_at))
                .col_expr(Column::ReplacedBy, Expr::value(row.replaced_by))
                .col_expr(Column::Version, Expr::value(row.version + 1))
                .filter(Column::Id.eq(row.id))
                .filter(Column::Version.eq(row.version))
                .exec(&*tx)
                .await?;
            updated::<Entity>(&tx, "secret", row.id, Column::Id, done).await?;
            keep_value(&tx, value).await?;
            drop_old_values(&tx, &row.id.into(), row.value_version.saturating_sub(count(KEPT_VALUES))).await?;
            audit::keep(&tx, entry).await?;
            tx.commit().await
        })
        .await
    }

    async fn delete_secret(&self, id: SecretId, audit: &AuditEntry) -> Result<()> {
        let entry = audit_entry::Model::from(audit);
        self.write(Class::Request, "delete secret", move |tx| async move {
            let done = Entity::delete_by_id(id.uuid()).exec(&*tx).await;
            deleted("secret", "something still names the secret", done)?;
            audit::keep(&tx, entry).await?;
            tx.commit().await
        })
        .await
    }

    async fn secret_values(&self, id: SecretId) -> Result<Vec<SealedSecret>> {
        let select = secret_value::Entity::find().filter(secret_value::Column::SecretId.eq(id.uuid()));
        all_found(self.read(), "secret value", select.order_by_asc(secret_value::Column::Version)).await
    }

    async fn secret_value(&self, of: SecretRef) -> Result<SealedSecret> {
        found(self.read(), "secret value", secret_value::Entity::find_by_id((of.id.uuid(), count(of.version)))).await
    }
}

async fn keep_value(tx: &WriteTx, value: secret_value::Model) -> Result<(), Failure> {
    let done = secret_value::Entity::insert(value.into_active_model()).exec_without_returning(&**tx).await;
    done.map_err(|error| Failure::from(error).on_reference_in_use("secret", KEY_GONE))?;
    Ok(())
}

/// Drops values up to a version, but for those that plans name.
async fn drop_old_values(tx: &WriteTx, secret: &sea_orm::Value, last: i64) -> Result<(), Failure> {
    let text = "DELETE FROM secret_values WHERE secret_id = $1 AND version <= $2 AND NOT EXISTS (SELECT 1 FROM plan_secrets p \
        WHERE p.secret_id = secret_values.secret_id AND p.version = secret_values.version)";
    let statement = Statement::from_sql_and_values(tx.get_database_backend(), text, [secret.clone(), last.into()]);
    tx.execute_raw(statement).await?;
    Ok(())
}

#[async_trait]
impl SealingKeyStore for SeaStore {
    async fn sealing_keys(&self) -> Result<Vec<(SealingKey, u64)>> {
        let read = async {
            let keys = sealing_key::Entity::find().order_by_asc(sealing_key::Column::Version).all(self.read()).await?;
            let counted: Vec<(i64, i64)> = secret_value::Entity::find()
                .select_only()
                .column(secret_value::Column::KeyVersion)
                .column_as(secret_value::Column::Version.count(), "values")
                .group_by(secret_value::Column::KeyVersion)
                .into_tuple()
                .all(self.read())
                .await?;
            let counted: HashMap<_, _> = counted.into_iter().collect();
            let with_count = |key: sealing_key::Model| {
                let count = counted.get(&key.version).copied().unwrap_or_default();
                Ok((SealingKey::try_from(key)?, u64::try_from(count).unwrap_or_default()))
            };
            keys.into_iter().map(with_count).collect::<Result<Vec<_>, Failure>>()
        };
        read.await.map_err(|failure| failure.into_error("sealing keys"))
    }

    async fn keep_sealing_key(&self, key: &SealingKey, audit: &AuditEntry) -> Result<()> {
        let (row, entry) = (sealing_key::Model::from(key), audit_entry::Model::from(audit));
        self.write(Class::Request, "keep sealing key", move |tx| async move {
            sealing_key::Entity::insert(row.into_active_model()).exec_without_returning(&*tx).await?;
            audit::keep(&tx, entry).await?;
            tx.commit().await
        })
        .await
    }

    async fn retire_sealing_key(&self, version: KeyVersion, audit: &AuditEntry) -> Result<()> {
        let entry = audit_entry::Model::from(audit);
        self.write(Class::Request, "retire sealing key", move |tx| async move {
            let done = sealing_key::Entity::delete_by_id(i64::from(version.number())).exec(&*tx).await;
            deleted("sealing key", "values are still sealed by the key", done)?;
            audit::keep(&tx, entry).await?;
            tx.commit().await
        })
        .await
    }

    async fn sealed_by_others(&self, newest: KeyVersion, after: Option<SecretRef>, limit: u32) -> Result<Vec<SealedSecret>> {
        use secret_value::Column as C;
        let mut select = secret_value::Entity::find().filter(C::KeyVersion.ne(newest.number()));
        if let Some(SecretRef { id, version }) = after {
            let same = Condition::all().add(C::SecretId.eq(id.uuid())).add(C::Version.gt(count(version)));
            select = select.filter(Condition::any().add(C::SecretId.gt(id.uuid())).add(same));
        }
        let select = select.order_by_asc(C::SecretId).order_by_asc(C::Version).limit(u64::from(limit));
        all_found(self.read(), "secret value", select).await
    }

    async fn reseal(&self, pairs: &[(SealedSecret, SealedValue)]) -> Result<u64> {
        let rows: Vec<_> = pairs.iter().map(|(from, to)| (secret_value::Model::from(from), to.clone())).collect();
        self.write(Class::Background, "reseal", move |tx| async move {
            use secret_value::Column as C;
            let mut done = 0;
            for (from, to) in rows {
                let update = secret_value::Entity::update_many()
                    .col_expr(C::KeyVersion, Expr::value(i64::from(to.key_version.number())))
                    .col_expr(C::Sealed, Expr::value(to.bytes))
                    .filter(C::SecretId.eq(from.secret_id))
                    .filter(C::Version.eq(from.version))
                    .filter(C::KeyVersion.eq(from.key_version))
                    .filter(C::Sealed.eq(from.sealed));
                let touched = update.exec(&*tx).await.map_err(|error| Failure::from(error).on_reference_in_use("secret", KEY_GONE))?;
                done += touched.rows_affected;
            }
            tx.commit().await?;
            Ok(done)
        })
        .await
    }
}
