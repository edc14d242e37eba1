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
        RowRef, RowStatement, Rows, from_row,
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
/// On a server. What a transaction that is still under way has written is not visible yet, so the feed ends before it.
static SERVER_FEED: RowStatement = RowStatement::query(
    ServerItem::COLUMNS,
    &[("transaction", Int), ("position", Int), ("most", Int)],
    "run_events WHERE (xact, position) > (CAST(?1 AS int8)::text::xid8, ?2) AND xact < pg_snapshot_xmin(pg_current_snapshot()) \
        ORDER BY xact, position LIMIT ?3",
);
static SERVER_END: RowStatement = RowStatement::query(
    ServerEnd::COLUMNS,
    &[],
    "run_events WHERE xact < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY xact DESC, position DESC LIMIT 1",
);

const SERVER_COLUMNS: [&str; Model::COLUMNS.len() + 1] = {
    let mut columns = ["xact::text::int8"; Model::COLUMNS.len() + 1];
    let mut place = 0;
    while place < Model::COLUMNS.len() {
        columns[place + 1] = Model::COLUMNS[place];
        place += 1;
    }
    columns
};

/// An event with the id of the transaction that wrote it.
struct ServerItem {
    transaction: i64,
    event: Model,
}

impl FromRow for ServerItem {
    const COLUMNS: &'static [&'static str] = &SERVER_COLUMNS;

    fn from_row(row: &mut RowRef<'_>) -> Result<Self, Failure> {
        Ok(Self { transaction: row.next()?, event: Model::from_row(row)? })
    }
}

impl TryFrom<ServerItem> for FeedItem {
    type Error = Failure;

    fn try_from(item: ServerItem) -> Result<Self, Failure> {
        let cursor = EventCursor::from_transaction(counted(item.transaction)?, counted(item.event.position)?);
        Ok(Self { event: item.event.try_into()?, cursor })
    }
}

/// Where the feed ends now.
struct ServerEnd {
    xact: i64,
    position: i64,
}

from_row!(ServerEnd { xact = "xact::text::int8", position });

impl TryFrom<ServerEnd> for EventCursor {
    type Error = Failure;

    fn try_from(end: ServerEnd) -> Result<Self, Failure> {
        Ok(Self::from_transaction(counted(end.xact)?, counted(end.position)?))
    }
}

#[async_trait]
impl EventStore for SeaStore {
    async fn run_events(&self, run: RunId, after: u64, limit: u32) -> Result<Vec<RunEvent>> {
        let row = Rows::from_iter([[run.uuid().into(), count(after).into(), i64::from(limit).into()]]);
        self.read_rows::<Model, _>("run events", &OF_RUN, row).await
    }

    async fn feed(&self, after: EventCursor, limit: u32) -> Result<Vec<FeedItem>> {
        let (position, most) = (count(after.position()).into(), i64::from(limit).into());
        if self.is_server() {
            let row = Rows::from_iter([[count(after.transaction()).into(), position, most]]);
            return self.read_rows::<ServerItem, _>("feed", &SERVER_FEED, row).await;
        }
        let row = Rows::from_iter([[position, most]]);
        self.read_rows::<Model, _>("feed", &FEED, row).await
    }

    async fn feed_end(&self) -> Result<EventCursor> {
        if self.is_server() {
            let end = self.read_rows::<ServerEnd, EventCursor>("feed end", &SERVER_END, Rows::none_needed()).await?;
            return Ok(end.first().copied().unwrap_or_default());
        }
        let select = Entity::find().select_only().column(Column::Position).order_by_desc(Column::Position).limit(1);
        let newest = select.into_tuple::<i64>().one(self.read()).await.map_err(Failure::from);
        let position = newest.and_then(|newest| counted(newest.unwrap_or_default()));
        position.map(EventCursor::from_position).map_err(|failure| failure.into_error("feed end"))
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.heard()
    }
}
