//! Giving queued runs to a worker in a single journey to a server, behind those that read which.

use eyrie_core::{
    id::WorkerId,
    store::{Claim, fair_shares},
};

use crate::{
    entity::column::micros,
    error::Failure,
    rows::{Kind::Uuid, RowStatement, Rows},
    run::{
        claim::{DEFERRED, HOLDER, Line, OUTLOOK, STEPS, Taken},
        ends::Settled,
        lanes::{CANDIDATES, LANES, lanes_of, limits_of, share_rows},
        write::Statements,
    },
    store::SeaStore,
    writer::Writer,
};

/// The worker, if its lease is valid.
static LEASED: RowStatement = RowStatement::call(
    &[("id", Uuid)],
    "",
    "SELECT id FROM workers WHERE id = ANY ($1::uuid[]) AND lease_until > (extract(epoch FROM clock_timestamp()) * 1000000)::int8",
);

/// Gives up to `limit` runs to the worker in one journey to a server, where that can be done: nothing is to be taken over, or let in,
/// and no limit is to be obeyed. The runs are not locked when they are read: where another worker takes one of them first, all is
/// done the long way.
pub(in crate::run) async fn claim_in_one_journey(store: &SeaStore, worker: WorkerId, limit: u32) -> Option<Result<Vec<Claim>, Failure>> {
    let Writer::Postgres(writer) = store.writer() else { return None };
    let outlook: Vec<Line> = writer.read(&OUTLOOK, Rows::from_iter([[worker.uuid().into()]])).await.ok()?;
    let at = writer.time()?;
    let is_over = |time: Option<i64>| time.is_none_or(|time| time <= micros(at));
    let is_plain = |line: &Line| match line.what {
        DEFERRED => line.time.is_none() || !is_over(line.time),
        HOLDER => line.id.is_some_and(|id| id == worker.uuid() || !is_over(line.time)),
        _ => true,
    };
    if !outlook.iter().all(is_plain) {
        return None;
    }
    let (waiting, loads) = lanes_of(writer.read(&LANES, Rows::from_iter([[i64::from(limit).into()]])).await.ok()?).ok()?;
    let shares = fair_shares(&waiting, &loads, limit);
    if !limits_of(shares.iter().map(|(lane, _)| lane), &loads).is_empty() {
        return None;
    }
    let mut rows = writer.read(&CANDIDATES, share_rows(&shares)).await.ok()?;
    if rows.is_empty() {
        return None;
    }
    let steps = writer.read(&STEPS, rows.iter().map(|row: &crate::entity::run::Model| [row.id.into()]).collect()).await.ok()?;
    rows.sort_by_key(|row| (row.queued_at, row.id));
    // No run begins before it was queued, by whomsoever's estimate of the server's time.
    let at = rows.iter().map(|row| eyrie_core::clock::from_micros(row.queued_at)).max().map_or(at, |queued| queued.max(at));
    let Taken { seen, writes, claims } = Taken::of(rows, steps, worker, at);
    let leased = (&LEASED, Rows::from_iter([[worker.uuid().into()]]));
    let (statements, checked) = Statements::of(&seen, &writes).ok()?.at_once(Settled::default(), &[])?;
    let statements = std::iter::once(leased).chain(statements).collect();
    match writer.all_or_none(statements, checked + 1).await {
        Ok(()) => Some(Ok(claims)),
        Err(failure) if failure.is_without_answer() => Some(Err(failure)),
        Err(_) => None,
    }
}
