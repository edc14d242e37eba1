//! What settings say that others must find without reading them, kept beside them under the id of whose settings they are: about the
//! queue, for queueing and claims, and which secrets they name, so that none of those is deleted.

use eyrie_core::{id::SecretId, model::Settings};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, DatabaseConnection, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect, QueryTrait, prelude::Uuid,
    sea_query::OnConflict,
};

use crate::{
    entity::{
        column::counted_small,
        queue_rule::{Column, Entity, Model},
        scope, secret_use,
    },
    error::Failure,
    writer::WriteTx,
};

/// What settings say.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    rule: Model,
    secrets: Vec<Uuid>,
}

/// What the settings of `id` say.
pub(crate) fn of(id: Uuid, settings: &Settings) -> Said {
    let queue_policy = settings.queue_policy().map(|policy| policy.as_str().to_owned());
    let rule = Model { id, queue_policy, max_running: settings.max_running().map(i64::from) };
    Said { rule, secrets: settings.secrets().into_iter().map(SecretId::uuid).collect() }
}

/// A limit that no settings say: that of a cluster.
pub(crate) fn limit(id: Uuid, most: Option<u32>) -> Said {
    Said { rule: Model { id, queue_policy: None, max_running: most.map(i64::from) }, secrets: Vec::new() }
}

/// The limit that is kept for that id.
pub(crate) async fn limit_of(db: &DatabaseConnection, id: Uuid) -> Result<Option<u32>, Failure> {
    let rule = Entity::find_by_id(id).one(db).await?;
    rule.and_then(|rule| rule.max_running).map(counted_small).transpose()
}

/// Keeps that instead of what was there; a rule that says nothing is not kept.
pub(crate) async fn keep(tx: &WriteTx, said: Said) -> Result<(), Failure> {
    let Said { rule, secrets } = said;
    forget_secrets(tx, rule.id).await?;
    if !secrets.is_empty() {
        let named = |secret_id| secret_use::ActiveModel { holder_id: Set(rule.id), secret_id: Set(secret_id) };
        let done = secret_use::Entity::insert_many(secrets.into_iter().map(named)).exec_without_returning(&**tx).await;
        done.map_err(|error| Failure::from(error).on_reference_missing("secret"))?;
    }
    if rule.queue_policy.is_none() && rule.max_running.is_none() {
        Entity::delete_by_id(rule.id).exec(&**tx).await?;
        return Ok(());
    }
    let replace = OnConflict::column(Column::Id).update_columns([Column::QueuePolicy, Column::MaxRunning]).to_owned();
    Entity::insert(rule.into_active_model()).on_conflict(replace).exec_without_returning(&**tx).await?;
    Ok(())
}

/// Forgets what was said, if anything.
pub(crate) async fn forget(tx: &WriteTx, id: Uuid) -> Result<(), Failure> {
    Entity::delete_by_id(id).exec(&**tx).await?;
    forget_secrets(tx, id).await?;
    Ok(())
}

async fn forget_secrets(tx: &WriteTx, id: Uuid) -> Result<(), Failure> {
    secret_use::Entity::delete_many().filter(secret_use::Column::HolderId.eq(id)).exec(&**tx).await?;
    Ok(())
}

/// Forgets what was said by a group and by all its scopes.
pub(crate) async fn forget_group(tx: &WriteTx, group: Uuid) -> Result<(), Failure> {
    let scopes = scope::Entity::find().select_only().column(scope::Column::Id).filter(scope::Column::GroupId.eq(group)).into_query();
    Entity::delete_many().filter(Column::Id.in_subquery(scopes.clone())).exec(&**tx).await?;
    secret_use::Entity::delete_many().filter(secret_use::Column::HolderId.in_subquery(scopes)).exec(&**tx).await?;
    forget(tx, group).await
}
