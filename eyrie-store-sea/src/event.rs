//! Reading what happened.

use async_trait::async_trait;
use eyrie_core::{
    Result,
    id::RunId,
    model::{EventCursor, RunEvent},
    store::{EventStore, FeedItem, FeedPage, unbroken},
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

static OF_RUN: RowStatement = RowStatement::query(
    Model::COLUMNS,
    &[("run_id", Uuid), ("seq", Int), ("most", Int)],
    "run_events WHERE run_id = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
);
static FEED: RowStatement = RowStatement::query(
    &columns("0"),
    &[("position", Int), ("most", Int)],
    "run_events WHERE position > ?1 ORDER BY run_events.position LIMIT ?2",
);
/// On a server. What a transaction that is still under way has written is not visible yet, so the feed ends before it.
static SERVER_FEED: RowStatement = RowStatement::query(
    &columns("xact::text::int8"),
    &[("transaction", Int), ("position", Int), ("most", Int)],
    "run_events WHERE (xact, position) > (CAST(?1 AS int8)::text::xid8, ?2) AND xact < pg_snapshot_xmin(pg_current_snapshot()) \
        ORDER BY run_events.xact, run_events.position LIMIT ?3",
);
static FLOOR: RowStatement = RowStatement::query(Place::COLUMNS, &[], "feed_floor");
static SERVER_END: RowStatement = RowStatement::query(
    &["xact::text::int8", "position"],
    &[],
    "run_events WHERE xact < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY xact DESC, position DESC LIMIT 1",
);

const OWN: usize = 3;

/// What is read of an event in the feed: the floor as it is at that moment, the transaction that wrote it, and the event.
const fn columns(transaction: &'static str) -> [&'static str; Model::COLUMNS.len() + OWN] {
    let mut columns = [transaction; Model::COLUMNS.len() + OWN];
    columns[0] = "(SELECT xact FROM feed_floor)";
    columns[1] = "(SELECT position FROM feed_floor)";
    let mut place = 0;
    while place < Model::COLUMNS.len() {
        columns[place + OWN] = Model::COLUMNS[place];
        place += 1;
    }
    columns
}

/// An event in the feed.
struct Item {
    floor: Option<Place>,
    transaction: i64,
    event: Model,
}

impl FromRow for Item {
    /// As they are in a file.
    const COLUMNS: &'static [&'static str] = &columns("0");

    fn from_row(row: &mut RowRef<'_>) -> Result<Self, Failure> {
        let floor = row.next::<Option<i64>>()?.zip(row.next::<Option<i64>>()?);
        let floor = floor.map(|(xact, position)| Place { xact, position });
        Ok(Self { floor, transaction: row.next()?, event: Model::from_row(row)? })
    }
}

impl TryFrom<Item> for (EventCursor, FeedItem) {
    type Error = Failure;

    fn try_from(item: Item) -> Result<Self, Failure> {
        let floor = item.floor.map(EventCursor::try_from).transpose()?.unwrap_or_default();
        let cursor = EventCursor::from_transaction(counted(item.transaction)?, counted(item.event.position)?);
        Ok((floor, FeedItem { event: item.event.try_into()?, cursor }))
    }
}

/// A place in the feed. In a file there are no ids of transactions.
struct Place {
    xact: i64,
    position: i64,
}

from_row!(Place { xact, position });

impl TryFrom<Place> for EventCursor {
    type Error = Failure;

    fn try_from(place: Place) -> Result<Self, Failure> {
        Ok(Self::from_transaction(counted(place.xact)?, counted(place.position)?))
    }
}

#[async_trait]
impl EventStore for SeaStore {
    async fn run_events(&self, run: RunId, after: u64, limit: u32) -> Result<Vec<RunEvent>> {
        let row = Rows::from_iter([[run.uuid().into(), count(after).into(), i64::from(limit).into()]]);
        unbroken(after, self.read_rows::<Model, _>("run events", &OF_RUN, row).await?)
    }

    async fn feed(&self, after: EventCursor, limit: u32) -> Result<FeedPage> {
        let (position, most) = (count(after.position()).into(), i64::from(limit).into());
        let (feed, row) = match self.is_server() {
            true => (&SERVER_FEED, Rows::from_iter([[count(after.transaction()).into(), position, most]])),
            false => (&FEED, Rows::from_iter([[position, most]])),
        };
        let read = self.read_rows::<Item, (EventCursor, FeedItem)>("feed", feed, row).await?;
        let floor = match read.first() {
            Some((floor, _)) => *floor,
            None => self.read_rows::<Place, EventCursor>("feed", &FLOOR, Rows::none_needed()).await?.pop().unwrap_or_default(),
        };
        Ok(FeedPage { items: read.into_iter().map(|(_, item)| item).collect(), floor })
    }

    async fn feed_end(&self) -> Result<EventCursor> {
        if self.is_server() {
            let end = self.read_rows::<Place, EventCursor>("feed end", &SERVER_END, Rows::none_needed()).await?;
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
