//! Reading what happened.

use async_trait::async_trait;
use eyrie_core::{
    Result,
    id::RunId,
    model::{EventCursor, RunEvent},
    store::{EventStore, FeedItem},
};
use sea_orm::{EntityTrait, QueryOrder, QuerySelect};
use tokio::sync::watch;

use crate::{
    entity::{
        column::{count, counted},
        run_event::{Column, Entity, Model},
    },
    error::Failure,
    rows::{
        FromRow,
        Kind::{Int, Uuid},
        RowStatement, Rows,
    },
    store::SeaStore,
};

impl TryFrom<Model> for FeedItem {
    type Error = Failure;

    fn try_from(row: Model) -> Result<Self, Failure> {
        let cursor = EventCursor::from_position(counted(row.position)?);
        Ok(Self { event: row.try_into()?, cursor })
    }
}

static OF_RUN: RowStatement = RowStatement::query(
    Model::COLUMNS,
    &[("run_id", Uuid), ("seq", Int), ("most", Int)],
    "run_events WHERE run_id = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
);
static FEED: RowStatement =
    RowStatement::query(Model::COLUMNS, &[("position", Int), ("most", Int)], "run_events WHERE position > ?1 ORDER BY position LIMIT ?2");

#[async_trait]
impl EventStore for SeaStore {
    async fn run_events(&self, run: RunId, after: u64, limit: u32) -> Result<Vec<RunEvent>> {
        let row = Rows::from_iter([[run.uuid().into(), count(after).into(), i64::from(limit).into()]]);
        self.read_rows::<Model, _>("run events", &OF_RUN, row).await
    }

    async fn feed(&self, after: EventCursor, limit: u32) -> Result<Vec<FeedItem>> {
        let row = Rows::from_iter([[count(after.position()).into(), i64::from(limit).into()]]);
        self.read_rows::<Model, _>("feed", &FEED, row).await
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
