//! Carrying out commands.

use std::{collections::BTreeSet, sync::Arc};

use eyrie_core::{
    Result,
    id::RunId,
    store::{Command, Needs, RecordError, Recorded, RunBatch, RunWrites},
};

#[cfg(feature = "postgres")]
use crate::run::journey::in_one_journey;
use crate::{
    error::Failure,
    rows::RowTx,
    run::{
        held::{Guess, HeldRuns},
        load::{Seen, load},
        write::write,
    },
    store::SeaStore,
    writer::Class,
};

/// How often a batch is begun anew when its rows changed while it was applied.
const ATTEMPTS: usize = 5;

/// What became of a batch.
pub(super) type Outcome = Result<Vec<Result<Recorded, RecordError>>, Failure>;

/// Carries out the commands in order, in one transaction.
pub(super) async fn record(store: &SeaStore, commands: &[Command]) -> Result<Vec<Result<Recorded, RecordError>>> {
    if commands.is_empty() {
        return Ok(Vec::new());
    }
    let commands: Arc<[Command]> = commands.into();
    let mut outcome = Err(Failure::Raced);
    for _ in 0..ATTEMPTS {
        outcome = send(store, &commands).await;
        if outcome.is_err() {
            store.held().forget(commands.iter().map(|command| &command.run_id));
        }
        if !matches!(outcome, Err(Failure::Raced)) {
            break;
        }
    }
    match outcome {
        // Of several, each is tried alone, and then it is known whose statements they were.
        Err(Failure::Spoilt(why)) if commands.len() == 1 => Ok(vec![Err(RecordError::Statement(why))]),
        outcome => outcome.map_err(|failure| failure.into_error("record")),
    }
}

async fn send(store: &SeaStore, commands: &Arc<[Command]>) -> Outcome {
    #[cfg(feature = "postgres")]
    if let Some(done) = in_one_journey(store, commands).await {
        return done;
    }
    let (commands, held) = (Arc::clone(commands), Arc::clone(store.held()));
    store.writer().rows(Class::Engine, move |tx| apply(tx, Arc::clone(&commands), Arc::clone(&held))).await
}

async fn apply(mut tx: RowTx, commands: Arc<[Command]>, held: Arc<HeldRuns>) -> Outcome {
    let guess = held.guess(&commands, &Needs::of(&commands));
    let CarriedOut { answers, seen, writes } = carry_out(&mut tx, &commands, guess).await?;
    if writes.runs.is_empty() {
        // Whoever hears the answer may look for what was only locked.
        tx.roll_back().await?;
    } else {
        tx.commit().await.map_err(Failure::on_reference_spoilt)?;
        held.wrote(&seen, &writes);
    }
    Ok(answers)
}

/// What commands did within a transaction.
pub(super) struct CarriedOut {
    pub(super) answers: Vec<Result<Recorded, RecordError>>,
    seen: Seen,
    writes: RunWrites,
}

/// Carries out the commands within the transaction, over what is known already.
pub(super) async fn carry_out(tx: &mut RowTx, commands: &[Command], guess: Guess) -> Result<CarriedOut, Failure> {
    let Guess { mut views, mut seen, unknown } = guess;
    let guessed: BTreeSet<RunId> = views.keys().copied().collect();
    if !unknown.runs.is_empty() {
        load(tx, &unknown, &mut views, &mut seen).await?;
    }
    let at = tx.now();
    let mut batch = RunBatch::new(views.into_values(), at);
    let mut answers = Vec::with_capacity(commands.len());
    for command in commands {
        // A step's statements come before everything that is written: whoever refuses them has nothing to take back.
        let carried_out = match batch.statements(command) {
            Some(statements) => tx.carry_out(statements).await?,
            None => Ok(()),
        };
        answers.push(match carried_out {
            Ok(()) => batch.apply(command),
            Err(message) => Err(RecordError::Statement(message)),
        });
    }
    // What is written is checked against what is stored. A refusal writes nothing: it takes more than a guess.
    if commands.iter().zip(&answers).any(|(command, answer)| answer.is_err() && guessed.contains(&command.run_id)) {
        return Err(Failure::Raced);
    }
    let writes = batch.finish();
    if !writes.runs.is_empty() {
        write(tx, &seen, &writes, at).await?;
    }
    Ok(CarriedOut { answers, seen, writes })
}
