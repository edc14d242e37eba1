//! Carrying out commands in a single journey to a server: one statement that is a transaction of its own.

use eyrie_core::store::{Change, Command, Needs, RunBatch};

use crate::{
    error::Failure,
    run::{held::Guess, record::Outcome, write::Statements},
    store::SeaStore,
    writer::Writer,
};

/// Carries the commands out in one journey to a server, where that can be done: everything that they need is known, and what they
/// change are rows of their own runs and steps.
pub(super) async fn in_one_journey(store: &SeaStore, commands: &[Command]) -> Option<Outcome> {
    let Writer::Postgres(writer) = store.writer() else { return None };
    if !commands.iter().all(is_step_by_step) {
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
    let (statements, checked) = Statements::of(&seen, &writes).ok()?.all(&writes)?;
    let written = writer.all_or_none(statements, checked).await.map_err(Failure::on_event_raced);
    Some(written.map(|()| {
        store.held().wrote(&seen, &writes);
        answers
    }))
}

/// Whether the command's run goes on behind it.
fn is_step_by_step(command: &Command) -> bool {
    matches!(command.change, Change::Advance { end: None, .. } | Change::Progress { .. }) && !command.retried
}
