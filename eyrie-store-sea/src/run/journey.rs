//! Carrying out commands in a single journey to a server: one statement that is a transaction of its own.

mod claiming;
mod queueing;

pub(super) use claiming::claim_in_one_journey;
pub(super) use queueing::queue_in_one_journey;

use eyrie_core::store::{Change, Command, Needs, RunBatch};

use crate::{
    error::Failure,
    run::{
        ends::{DEPLOYED_HERE, Settled},
        held::Guess,
        record::Outcome,
        write::Statements,
    },
    store::SeaStore,
    writer::Writer,
};

/// Carries the commands out in one journey to a server, where that can be done: everything that they need is known, but for what runs
/// of the deployments whose runs end. Only the ends of their runs change that.
pub(super) async fn in_one_journey(store: &SeaStore, commands: &[Command]) -> Option<Outcome> {
    let Writer::Postgres(writer) = store.writer() else { return None };
    if !commands.iter().all(is_usual) {
        return None;
    }
    let at = writer.time()?;
    let Guess { views, seen, unknown } = store.held().guess(commands, &Needs::of(commands));
    if !unknown.runs.is_empty() {
        return None;
    }
    let mut batch = RunBatch::new(views.into_values(), at);
    let answers: Vec<_> = commands.iter().map(|command| batch.apply(command)).collect();
    if answers.iter().any(Result::is_err) {
        return None;
    }
    let writes = batch.finish();
    let settled = if writes.outcomes.is_empty() {
        Settled::default()
    } else {
        let here = writer.read(&DEPLOYED_HERE, Settled::needs(&writes.outcomes)).await.ok()?;
        Settled::of(&writes, here, at).ok()?
    };
    let (statements, checked) = Statements::of(&seen, &writes).ok()?.at_once(settled, &writes.freed)?;
    let written = writer.all_or_none(statements, checked).await.map_err(Failure::on_event_raced);
    Some(written.map(|()| {
        store.held().wrote(&seen, &writes);
        answers
    }))
}

/// Whether the command is what drivers send most, and for the first time.
fn is_usual(command: &Command) -> bool {
    matches!(command.change, Change::Advance { .. } | Change::Progress { .. }) && !command.retried
}
