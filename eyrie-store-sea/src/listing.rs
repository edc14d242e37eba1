//! Reading one thing, or a page of them.

use eyrie_core::{
    Result,
    store::{Page, PageRequest},
};
use sea_orm::{ColumnTrait, DatabaseConnection, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect, Select, prelude::Uuid};

use crate::error::Failure;

/// The one thing that `select` finds.
pub(crate) async fn found<E, T>(db: &DatabaseConnection, what: &'static str, select: Select<E>) -> Result<T>
where
    E: EntityTrait,
    T: TryFrom<E::Model, Error = Failure>,
{
    let row = select.one(db).await.map_err(Failure::from);
    row.and_then(|row| row.ok_or_else(|| Failure::missing(what))?.try_into()).map_err(|failure| failure.into_error(what))
}

/// Everything that `select` finds.
pub(crate) async fn all_found<E, T>(db: &DatabaseConnection, what: &'static str, select: Select<E>) -> Result<Vec<T>>
where
    E: EntityTrait,
    T: TryFrom<E::Model, Error = Failure>,
{
    let rows = select.all(db).await.map_err(Failure::from);
    rows.and_then(|rows| rows.into_iter().map(TryInto::try_into).collect()).map_err(|failure| failure.into_error(what))
}

/// A page of what `select` finds, in the order of `id`: ids grow with the time of their making.
pub(crate) async fn listed<E, T>(
    db: &DatabaseConnection,
    what: &'static str,
    select: Select<E>,
    (id, order): (E::Column, Order),
    page: PageRequest,
    id_of: impl Fn(&T) -> Uuid,
) -> Result<Page<T>>
where
    E: EntityTrait,
    T: TryFrom<E::Model, Error = Failure>,
{
    let mut select = select.order_by(id, order.clone()).limit(u64::from(page.limit()) + 1);
    if let Some(cursor) = page.cursor() {
        select = select.filter(if order == Order::Desc { id.lt(cursor) } else { id.gt(cursor) });
    }
    Ok(Page::cut(all_found(db, what, select).await?, &page, id_of))
}
