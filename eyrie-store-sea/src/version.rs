//! Changes at an expected version, and what it means when they touch nothing.

use sea_orm::{ColumnTrait, DeleteResult, EntityTrait, PrimaryKeyTrait, QueryFilter, QuerySelect, UpdateResult, prelude::Uuid};

use crate::{error::Failure, writer::WriteTx};

/// Takes the outcome of an update at a version: nothing touched means that the thing is not there or has another version.
pub(crate) async fn updated<E>(tx: &WriteTx, what: &'static str, id: Uuid, column: E::Column, done: UpdateResult) -> Result<(), Failure>
where
    E: EntityTrait,
    E::PrimaryKey: PrimaryKeyTrait<ValueType = Uuid>,
{
    if done.rows_affected > 0 {
        return Ok(());
    }
    let there: Option<Uuid> = E::find().select_only().column(column).filter(column.eq(id)).into_tuple().one(&**tx).await?;
    Err(match there {
        Some(_) => Failure::conflict(what, format!("the {what} was changed in the meantime")),
        None => Failure::missing(what),
    })
}

/// Takes the outcome of a deletion.
pub(crate) fn deleted(what: &'static str, in_use: &'static str, done: Result<DeleteResult, sea_orm::DbErr>) -> Result<(), Failure> {
    match done.map_err(|error| Failure::from(error).on_reference_in_use(what, in_use))? {
        DeleteResult { rows_affected: 0, .. } => Err(Failure::missing(what)),
        _ => Ok(()),
    }
}
