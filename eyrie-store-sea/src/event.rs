//! Reading what happened.

use async_trait::async_trait;
use eyrie_core::{
    Result,
    id::RunId,
    model::{EventCursor, RunEvent},
    store::{EventStore, FeedItem},
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use tokio::sync::watch;

use crate::{
    entity::{
        column::{count, counted},
        run_event::{Column, Entity, Model},
    },
    error::Failure,
    listing::all_found,
    store::SeaStore,
};

impl TryFrom<Model> for FeedItem {
    type Error = Failure;

    fn try_from(row: Model) -> Result<Self, Failure> {
        let cursor = EventCursor::from_position(counted(row.position)?);
        Ok(Self { event: row.try_into()?, cursor })
    }
}

#[async_trait]
impl EventStore for SeaStore {
    async fn run_events(&self, run: RunId, after: u64, limit: u32) -> Result<Vec<RunEvent>> {
        let select = Entity::find()
            .filter(Column::RunId.eq(run.uuid()))
            .filter(Column::Seq.gt(count(after)))
            .order_by_asc(Column::Seq)
            .limit(u64::from(limit));
        all_found(self.read(), "run events", select).await
    }

    async fn feed(&self, after: EventCursor, limit: u32) -> Result<Vec<FeedItem>> {
        let select =
            Entity::find().filter(Column::Position.gt(count(after.position()))).order_by_asc(Column::Position).limit(u64::from(limit));
        all_found(self.read(), "feed", select).await
    }

    async fn feed_end(&self) -> Result<EventCursor> {
        let select = Entity::find().select_only().column(Column::Position).order_by_desc(Column::Position).limit(1);
        let newest = select.into_tuple::<i64>().one(self.read()).await.map_err(Failure::from);
        let position = newest.and_then(|newest| counted(newest.unwrap_or_default()));
        position.map(EventCursor::from_position).map_err(|failure| failure.into_error("feed end"))
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes_of_file().subscribe()
    }
}
