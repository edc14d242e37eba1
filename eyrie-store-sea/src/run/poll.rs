//! What there is to do for a worker, read without writing.

use std::time::Duration;

use eyrie_core::{
    Result,
    id::{RunId, WorkerId},
    store::Poll,
};
use sea_orm::prelude::Uuid;

use crate::{
    entity::column::micros,
    rows::{Kind, RowStatement, Rows, from_row},
    run::lanes::{holders, some_may_begin},
    store::{SeaStore, now},
};

const MAY_BEGIN: i64 = 1;
const CANCELLING: i64 = 2;
const HELD: i64 = 3;
const DEFERRED: i64 = 4;
const SCHEDULED: i64 = 5;

/// One line per thing to know: a run may begin; a run of the worker is to be cancelled; somebody holds runs, with how much is left
/// of the lease in microseconds; how much is left until the time of the next run that has one, and of the next schedule.
static LOOK: RowStatement = RowStatement::written(
    &[("worker_id", Kind::Uuid), ("now", Kind::Int)],
    concat!(
        "SELECT 1 AS what, NULL AS id, NULL AS time_left WHERE ",
        some_may_begin!(),
        " UNION ALL SELECT 2, id, NULL FROM runs WHERE worker_id = ?1 AND state = 'cancelling' \
            AND state IN ('running', 'cancelling', 'undoing') \
        UNION ALL SELECT 3, h.worker_id, w.lease_until - ?2 FROM ",
        holders!(),
        " UNION ALL SELECT 4, NULL, (SELECT min(queued_at) FROM runs WHERE deferred) - ?2 \
        UNION ALL SELECT 5, NULL, (SELECT min(next_fire_at) FROM schedules WHERE next_fire_at IS NOT NULL) - ?2"
    ),
);
/// The same on a server, by whose clock leases end.
static SERVER_LOOK: RowStatement = RowStatement::written(
    &[("worker_id", Kind::Uuid)],
    concat!(
        "SELECT 1::int8 AS what, NULL::uuid AS id, NULL::int8 AS time_left WHERE ",
        some_may_begin!(),
        " UNION ALL SELECT 2, id, NULL FROM runs WHERE worker_id = ?1 AND state = 'cancelling' \
            AND state IN ('running', 'cancelling', 'undoing') \
        UNION ALL SELECT 3, h.worker_id, w.lease_until - (extract(epoch FROM clock_timestamp()) * 1000000)::int8 \
            FROM ",
        holders!(),
        " UNION ALL SELECT 4, NULL, (SELECT min(queued_at) FROM runs WHERE deferred) \
            - (extract(epoch FROM clock_timestamp()) * 1000000)::int8 \
        UNION ALL SELECT 5, NULL, (SELECT min(next_fire_at) FROM schedules WHERE next_fire_at IS NOT NULL) \
            - (extract(epoch FROM clock_timestamp()) * 1000000)::int8"
    ),
);

#[derive(Debug)]
struct Line {
    what: i64,
    id: Option<Uuid>,
    time_left: Option<i64>,
}

from_row!(Line { what, id, time_left });

/// What there is to do for the worker.
pub(super) async fn poll(store: &SeaStore, worker: WorkerId) -> Result<Poll> {
    let (look, row) = match store.is_server() {
        true => (&SERVER_LOOK, Rows::from_iter([[worker.uuid().into()]])),
        false => (&LOOK, Rows::from_iter([[worker.uuid().into(), micros(now()).into()]])),
    };
    let mut poll = Poll::default();
    let mut others = Vec::new();
    for line in store.read_rows::<Line, Line>("poll", look, row).await? {
        match (line.what, line.id) {
            (MAY_BEGIN, _) | (HELD, None) => poll.claimable = true,
            (DEFERRED, _) => {
                poll.claimable |= line.time_left.is_some_and(|left| left <= 0);
                poll.next_due = line.time_left.map(time_left);
            }
            (SCHEDULED, _) => poll.next_fire = line.time_left.map(time_left),
            (CANCELLING, Some(run)) => poll.cancelling.push(RunId::from_uuid(run)),
            (HELD, Some(_)) if line.time_left.is_none_or(|left| left <= 0) => poll.claimable = true,
            (HELD, Some(holder)) if holder != worker.uuid() => others.push(WorkerId::from_uuid(holder)),
            _ => {}
        }
    }
    if !poll.claimable && !others.is_empty() {
        poll.claimable = store.locks().dead_of_lately(&others);
    }
    Ok(poll)
}

/// A time that is left, in microseconds; none is left of one that has come.
fn time_left(micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}
