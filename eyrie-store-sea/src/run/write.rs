//! Writing what became of a batch, in a few statements whatever its size.

use eyrie_core::{
    Timestamp,
    id::{ReleaseId, WorkerId},
    model::{Run, Step},
    store::{EventRow, RunWrites},
};

#[cfg(feature = "postgres")]
use crate::run::turns::{self, HAND_ON};
use crate::{
    audit,
    entity::{
        column::{count, json, maybe_micros},
        run_event, run_step,
    },
    error::Failure,
    rows::{
        Cell,
        Kind::{Bool, Int, Text, Uuid},
        RowStatement, RowTx, Rows,
    },
    run::{
        ends::{DEPLOYED_HERE, Settled},
        load::Seen,
        resumption::{KEEP_RESUMPTIONS, resumption_rows},
        turns::hand_turns_on,
    },
};

static UPDATE_RUNS: RowStatement = RowStatement::update(
    "runs",
    3,
    &[
        ("id", Uuid),
        ("epoch", Int),
        ("last_seq", Int),
        ("state", Text),
        ("message", Text),
        ("step_count", Int),
        ("ready", Bool),
        ("deferred", Bool),
        ("worker_id", Uuid),
        ("epoch", Int),
        ("last_seq", Int),
        ("started_at", Int),
        ("finished_at", Int),
        ("release_id", Uuid),
    ],
);
/// For most transitions of steps: it touches no column that is in an index.
static GROW_RUNS: RowStatement =
    RowStatement::update("runs", 3, &[("id", Uuid), ("epoch", Int), ("last_seq", Int), ("last_seq", Int), ("step_count", Int)]);
static UPDATE_STEPS: RowStatement = RowStatement::update(
    "run_steps",
    4,
    &[
        ("run_id", Uuid),
        ("idx", Int),
        ("state", Text),
        ("attempt", Int),
        ("state", Text),
        ("attempt", Int),
        ("message", Text),
        ("started_at", Int),
        ("finished_at", Int),
        ("next_attempt_at", Int),
        ("deadline_at", Int),
        ("reported", Int),
    ],
);
/// The same for steps that produced something.
static FINISH_STEPS: RowStatement = RowStatement::update(
    "run_steps",
    4,
    &[
        ("run_id", Uuid),
        ("idx", Int),
        ("state", Text),
        ("attempt", Int),
        ("state", Text),
        ("attempt", Int),
        ("message", Text),
        ("started_at", Int),
        ("finished_at", Int),
        ("next_attempt_at", Int),
        ("deadline_at", Int),
        ("reported", Int),
        ("output", Text),
    ],
);
/// Handles and what undos need are kept out of the other statements: they may be large and change seldom.
static SET_HANDLES: RowStatement = RowStatement::update("run_steps", 2, &[("run_id", Uuid), ("idx", Int), ("handle", Text)]);
static SET_UNDO_DATA: RowStatement = RowStatement::update("run_steps", 2, &[("run_id", Uuid), ("idx", Int), ("undo_data", Text)]);
/// Where the present round of attempts began: changes when an undo begins, and when a run is resumed.
static SET_ROUNDS: RowStatement =
    RowStatement::update("run_steps", 2, &[("run_id", Uuid), ("idx", Int), ("attempts_before", Int), ("undo_from", Text)]);
/// Adds steps.
pub(super) static INSERT_STEPS: RowStatement = RowStatement::insert(
    "run_steps",
    &[
        ("run_id", Uuid),
        ("idx", Int),
        ("name", Text),
        ("parent", Int),
        ("state", Text),
        ("attempt", Int),
        ("message", Text),
        ("output", Text),
        ("started_at", Int),
        ("finished_at", Int),
        ("next_attempt_at", Int),
        ("deadline_at", Int),
        ("handle", Text),
        ("attempts_before", Int),
        ("undo_data", Text),
        ("undo_from", Text),
        ("reported", Int),
    ],
    "",
);
/// Adds events, in their order.
pub(super) static INSERT_EVENTS: RowStatement = RowStatement::insert(
    "run_events",
    &[
        ("run_id", Uuid),
        ("project_id", Uuid),
        ("seq", Int),
        ("at", Int),
        ("epoch", Int),
        ("kind", Text),
        ("state", Text),
        ("step", Int),
        ("name", Text),
        ("parent", Int),
        ("attempt", Int),
        ("message", Text),
        ("command_id", Uuid),
        ("report_id", Text),
    ],
    "",
);
/// The statements that write a batch, apart from what the ends of its runs mean.
#[derive(Debug)]
pub(super) struct Statements {
    /// None of these depends on another. The first of them must hit all their rows, or somebody else was faster.
    together: [(&'static RowStatement, Rows); 7],
    /// Columns of steps and runs that the others have written already.
    behind: [(&'static RowStatement, Rows); 4],
}

/// How many of the statements that are carried out together must hit all their rows.
const CHECKED: usize = 4;

impl Statements {
    /// Of a batch over what was seen.
    pub(super) fn of(seen: &Seen, writes: &RunWrites) -> Result<Self, Failure> {
        let (grown, changed) = run_rows(seen, &writes.runs)?;
        let StepRows { changed: steps, finished, handles, undo_data, rounds } = step_rows(seen, &writes.steps)?;
        let together = [
            (&GROW_RUNS, grown),
            (&UPDATE_RUNS, changed),
            (&UPDATE_STEPS, steps),
            (&FINISH_STEPS, finished),
            (&INSERT_STEPS, writes.new_steps.iter().map(new_step_row).collect()),
            (&INSERT_EVENTS, writes.events.iter().map(event_row).collect()),
            (&audit::KEEP, audit::rows(writes.audit.iter())),
        ];
        let resumptions = (&KEEP_RESUMPTIONS, resumption_rows(&writes.runs));
        let behind = [(&SET_HANDLES, handles), (&SET_UNDO_DATA, undo_data), (&SET_ROUNDS, rounds), resumptions];
        Ok(Self { together, behind })
    }

    /// What there is to carry out as a transaction of its own, with how many of the statements must hit all their rows. None, if some
    /// write to rows that others have written already.
    #[cfg(feature = "postgres")]
    pub(super) fn at_once(
        self,
        settled: Settled,
        freed: &[eyrie_core::id::DeploymentId],
    ) -> Option<(Vec<(&'static RowStatement, Rows)>, usize)> {
        if self.behind.iter().any(|(_, rows)| !rows.is_empty()) {
            return None;
        }
        let checked = self.together[..CHECKED].iter().filter(|(_, rows)| !rows.is_empty()).count();
        let turns = (&HAND_ON, turns::rows(&freed.iter().copied().collect()));
        let ends = settled.statements().into_iter().chain([turns]);
        Some((self.together.into_iter().chain(ends).filter(|(_, rows)| !rows.is_empty()).collect(), checked))
    }
}

/// Writes everything, if what was seen is still so; else [`Failure::Raced`].
pub(super) async fn write(tx: &mut RowTx, seen: &Seen, writes: &RunWrites, at: Timestamp) -> Result<(), Failure> {
    let Statements { together, behind } = Statements::of(seen, writes)?;
    let wanted = together.each_ref().map(|(_, rows)| rows.len() as u64);
    let touched = tx.execute_together(together).await.map_err(Failure::on_event_raced)?;
    if touched[..CHECKED] != wanted[..CHECKED] {
        return Err(Failure::Raced);
    }
    for (statement, rows) in behind {
        tx.execute(statement, rows).await?;
    }
    if !writes.outcomes.is_empty() {
        let here = tx.read(&DEPLOYED_HERE, Settled::needs(&writes.outcomes)).await?;
        for (statement, rows) in Settled::of(writes, here, at)?.statements() {
            tx.execute(statement, rows).await?;
        }
    }
    if writes.freed.is_empty() { Ok(()) } else { hand_turns_on(tx, writes.freed.iter().copied().collect()).await }
}

/// The runs that only grew, and those that changed otherwise.
fn run_rows(seen: &Seen, runs: &[Run]) -> Result<(Rows, Rows), Failure> {
    let (mut grown, mut changed) = (Rows::default(), Rows::default());
    for run in runs {
        let before = seen.runs.get(&run.id).ok_or(Failure::Raced)?;
        let (id, epoch, seq) = (run.id.uuid().into(), count(before.epoch).into(), count(before.last_seq).into());
        if before.only_grew(run) {
            grown.push([id, epoch, seq, count(run.last_seq).into(), i64::from(run.step_count).into()]);
            continue;
        }
        changed.push([
            id,
            epoch,
            seq,
            run.state.as_str().into(),
            run.message.as_str().into(),
            i64::from(run.step_count).into(),
            run.ready.into(),
            run.deferred.into(),
            run.worker_id.map(WorkerId::uuid).into(),
            count(run.epoch).into(),
            count(run.last_seq).into(),
            maybe_micros(run.started_at).into(),
            maybe_micros(run.finished_at).into(),
            run.release_id.map(ReleaseId::uuid).into(),
        ]);
    }
    Ok((grown, changed))
}

struct StepRows {
    changed: Rows,
    finished: Rows,
    handles: Rows,
    undo_data: Rows,
    rounds: Rows,
}

/// An output, handle or data for an undo is not read with its step, so one that is missing here was not touched, but for the handle
/// of an attempt before the one that this batch began: it is dropped.
fn step_rows(seen: &Seen, steps: &[Step]) -> Result<StepRows, Failure> {
    let (mut changed, mut finished, mut handles) = (Rows::default(), Rows::default(), Rows::default());
    let (mut undo_data, mut rounds) = (Rows::default(), Rows::default());
    for step in steps {
        let before = seen.steps.get(&(step.run_id, step.index)).ok_or(Failure::Raced)?;
        let (run, index) = (Cell::from(step.run_id.uuid()), Cell::from(i64::from(step.index.get())));
        if step.handle.is_some() || (before.has_handle && before.attempt != step.attempt) {
            handles.push([run.clone(), index.clone(), step.handle.as_ref().map(json).into()]);
        }
        if let Some(data) = &step.undo_data {
            undo_data.push([run.clone(), index.clone(), json(data).into()]);
        }
        if (before.attempts_before, before.undo_from) != (step.attempts_before, step.undo_from) {
            let undo_from = step.undo_from.map(|state| state.as_str().to_owned());
            rounds.push([run.clone(), index.clone(), i64::from(step.attempts_before).into(), undo_from.into()]);
        }
        let cells = [
            run,
            index,
            before.state.as_str().into(),
            i64::from(before.attempt).into(),
            step.state.as_str().into(),
            i64::from(step.attempt).into(),
            step.message.as_str().into(),
            maybe_micros(step.started_at).into(),
            maybe_micros(step.finished_at).into(),
            maybe_micros(step.next_attempt_at).into(),
            maybe_micros(step.deadline_at).into(),
            i64::from(step.reported).into(),
        ];
        match &step.output {
            None => changed.push(cells),
            Some(output) => finished.push_longer(cells, json(output).into()),
        }
    }
    Ok(StepRows { changed, finished, handles, undo_data, rounds })
}

/// The row of a new step.
pub(super) fn new_step_row(step: &Step) -> [Cell; 17] {
    let row = run_step::Model::from(step);
    [
        row.run_id.into(),
        row.idx.into(),
        row.name.into(),
        row.parent.into(),
        row.state.into(),
        row.attempt.into(),
        row.message.into(),
        row.output.into(),
        row.started_at.into(),
        row.finished_at.into(),
        row.next_attempt_at.into(),
        row.deadline_at.into(),
        row.handle.into(),
        row.attempts_before.into(),
        row.undo_data.into(),
        row.undo_from.into(),
        row.reported.into(),
    ]
}

/// The row of an event.
pub(super) fn event_row(event: &EventRow) -> [Cell; 14] {
    let row = run_event::Model::from(event);
    [
        row.run_id.into(),
        row.project_id.into(),
        row.seq.into(),
        row.at.into(),
        row.epoch.into(),
        row.kind.into(),
        row.state.into(),
        row.step.into(),
        row.name.into(),
        row.parent.into(),
        row.attempt.into(),
        row.message.into(),
        row.command_id.into(),
        row.report_id.into(),
    ]
}
