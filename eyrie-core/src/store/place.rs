//! Where a new run stands in its deployment's queue: shared by every store, so that they cannot differ in it.

use crate::{
    clock::Timestamp,
    model::{Run, RunRow},
};

/// The run as it is queued at `now`, with its first event. Behind a run of its deployment that has the turn (or waits for it) it is
/// not ready. One whose time has not come stands outside the queue, and keeps nobody from their turn; its place there will be the one
/// of somebody who asks at that time, so that it overtakes nobody who waits by then.
#[must_use]
pub fn queued(run: &Run, has_current: bool, now: Timestamp) -> Run {
    let later = run.not_before.filter(|at| *at > now);
    Run::from_row(RunRow {
        queued_at: later.unwrap_or(now),
        deferred: later.is_some(),
        ready: later.is_none() && !has_current,
        last_seq: 1,
        ..run.row().clone()
    })
}
