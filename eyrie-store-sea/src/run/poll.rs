//! What there is to do for a worker, read without writing.

use eyrie_core::{
    Result,
    id::{RunId, WorkerId},
    store::Poll,
};
use sea_orm::{ConnectionTrait, FromQueryResult, Statement, prelude::Uuid};

use crate::{
    entity::column::micros,
    error::Failure,
    store::{SeaStore, now},
};

const READY: i64 = 1;
const CANCELLING: i64 = 2;
const HELD: i64 = 3;

/// One line per thing to know: a run is ready; a run of the worker is to be cancelled; somebody holds runs, until when.
const LOOK: &str = "SELECT 1 AS what, NULL AS id, NULL AS lease_until WHERE EXISTS (SELECT 1 FROM runs WHERE ready) \
    UNION ALL SELECT 2, id, NULL FROM runs WHERE worker_id = ? AND state = 'cancelling' \
        AND state IN ('running', 'cancelling', 'undoing') \
    UNION ALL SELECT 3, h.worker_id, w.lease_until FROM (SELECT DISTINCT worker_id FROM runs \
        WHERE state IN ('running', 'cancelling', 'undoing')) h LEFT JOIN workers w ON w.id = h.worker_id";

#[derive(Debug, FromQueryResult)]
struct Line {
    what: i64,
    id: Option<Uuid>,
    lease_until: Option<i64>,
}

/// What there is to do for the worker.
pub(super) async fn poll(store: &SeaStore, worker: WorkerId) -> Result<Poll> {
    look(store, worker).await.map_err(|failure| failure.into_error("poll"))
}

async fn look(store: &SeaStore, worker: WorkerId) -> Result<Poll, Failure> {
    let db = store.read();
    let statement = Statement::from_sql_and_values(db.get_database_backend(), LOOK, [worker.uuid().into()]);
    let at = micros(now());
    let mut poll = Poll::default();
    let mut others = Vec::new();
    for row in db.query_all_raw(statement).await? {
        let line = Line::from_query_result(&row, "")?;
        match (line.what, line.id) {
            (READY, _) | (HELD, None) => poll.claimable = true,
            (CANCELLING, Some(run)) => poll.cancelling.push(RunId::from_uuid(run)),
            (HELD, Some(_)) if line.lease_until.is_none_or(|until| until <= at) => poll.claimable = true,
            (HELD, Some(holder)) if holder != worker.uuid() => others.push(WorkerId::from_uuid(holder)),
            _ => {}
        }
    }
    if !poll.claimable && !others.is_empty() {
        poll.claimable = store.locks().dead_of_lately(&others);
    }
    Ok(poll)
}
