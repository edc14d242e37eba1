//! Carrying out commands.

use std::sync::Arc;

use eyrie_core::{
    Result,
    store::{Command, Needs, RecordError, Recorded, RunBatch},
};

use crate::{
    error::Failure,
    rows::RowTx,
    run::{load::load, write::write},
    store::SeaStore,
    writer::Class,
};

/// How often a batch is begun anew when its rows changed while it was applied.
const ATTEMPTS: usize = 5;

/// Carries out the commands in order, in one transaction.
pub(super) async fn record(store: &SeaStore, commands: &[Command]) -> Result<Vec<Result<Recorded, RecordError>>> {
    if commands.is_empty() {
        return Ok(Vec::new());
    }
    let commands: Arc<[Command]> = commands.into();
    let mut outcome = Err(Failure::Raced);
    for _ in 0..ATTEMPTS {
        let batch = Arc::clone(&commands);
        outcome = store.writer().rows(Class::Engine, move |tx| apply(tx, Arc::clone(&batch))).await;
        if !matches!(outcome, Err(Failure::Raced)) {
            break;
        }
    }
    outcome.map_err(|failure| failure.into_error("record"))
}

async fn apply(mut tx: RowTx, commands: Arc<[Command]>) -> Result<Vec<Result<Recorded, RecordError>>, Failure> {
    let (views, seen) = load(&mut tx, &Needs::of(&commands)).await?;
    let at = tx.now();
    let mut batch = RunBatch::new(views.into_values(), at);
    let answers = commands.iter().map(|command| batch.apply(command)).collect();
    let writes = batch.finish();
    if writes.runs.is_empty() {
        return Ok(answers);
    }
    write(&mut tx, &seen, writes, at).await?;
    tx.commit().await?;
    Ok(answers)
}
