//! Queueing runs in a single journey to a server, behind one that reads what their deployments are.

use std::collections::HashSet;

use eyrie_core::{
    Result,
    store::{Enqueue, Enqueued},
};

use crate::{
    error::Failure,
    rows::{
        Kind::{Bool, Uuid},
        RowStatement,
    },
    run::enqueue::{DEPLOYMENTS, Keys, Place, Queueing, kept, places_asked},
    store::SeaStore,
    writer::Writer,
};

/// Keeps others from the queues of these deployments, and finds those of which some run has the turn, or none has, as it was seen.
static STANDING: RowStatement = RowStatement::call(&[("id", Uuid), ("seen", Bool)], "", "SELECT eyrie_standing($1::uuid[], $2::bool[])");

/// Queues the runs in one journey to a server, where that can be done: all of them are new, and take no other's place. What stands in
/// the way, if anything does, is found out by who does it the long way.
pub(in crate::run) async fn queue_in_one_journey(store: &SeaStore, runs: &[Enqueue]) -> Option<Result<Vec<Result<Enqueued>>, Failure>> {
    let Writer::Postgres(writer) = store.writer() else { return None };
    let places: Vec<Place> = writer.read(&DEPLOYMENTS, places_asked(runs)).await.ok()?;
    let standing = places.iter().map(|place| [place.id.into(), place.has_current.into()]).collect();
    let at = writer.time()?;
    let Queueing { answers, new, newest } = Queueing::of(runs, at, Keys::new(), places, HashSet::new()).ok()?;
    if !newest.is_empty() || new.len() < runs.len() {
        return None;
    }
    let statements = std::iter::once((&STANDING, standing)).chain(kept(&new, at)).filter(|(_, rows)| !rows.is_empty()).collect();
    match writer.all_or_none(statements, 1).await {
        Ok(()) => Some(Ok(answers)),
        Err(failure) if failure.is_without_answer() => Some(Err(failure)),
        Err(_) => None,
    }
}
