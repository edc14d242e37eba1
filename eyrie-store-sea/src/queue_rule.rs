//! What settings say about the queue, kept beside them where queueing and claims find it by an id.

use eyrie_core::model::Settings;
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect, QueryTrait, prelude::Uuid, sea_query::OnConflict};

use crate::{
    entity::{
        queue_rule::{Column, Entity, Model},
        scope,
    },
    error::Failure,
    writer::WriteTx,
};

/// What the settings of `id` say.
pub(crate) fn of(id: Uuid, settings: &Settings) -> Model {
    let queue_policy = settings.queue_policy().map(|policy| policy.as_str().to_owned());
    Model { id, queue_policy, max_running: settings.max_running().map(i64::from) }
}

/// Keeps the rule instead of the one that was there; one that says nothing is not kept.
pub(crate) async fn keep(tx: &WriteTx, rule: Model) -> Result<(), Failure> {
    if rule.queue_policy.is_none() && rule.max_running.is_none() {
        return forget(tx, rule.id).await;
    }
    let replace = OnConflict::column(Column::Id).update_columns([Column::QueuePolicy, Column::MaxRunning]).to_owned();
    Entity::insert(rule.into_active_model()).on_conflict(replace).exec_without_returning(&**tx).await?;
    Ok(())
}

/// Forgets the rule, if there is one.
pub(crate) async fn forget(tx: &WriteTx, id: Uuid) -> Result<(), Failure> {
    Entity::delete_by_id(id).exec(&**tx).await?;
    Ok(())
}

/// Forgets the rules of a group and of all its scopes.
pub(crate) async fn forget_group(tx: &WriteTx, group: Uuid) -> Result<(), Failure> {
    let scopes = scope::Entity::find().select_only().column(scope::Column::Id).filter(scope::Column::GroupId.eq(group));
    Entity::delete_many().filter(Column::Id.in_subquery(scopes.into_query())).exec(&**tx).await?;
    forget(tx, group).await
}
