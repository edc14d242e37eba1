//! Reading what a batch of commands needs, in a few queries whatever its size.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use eyrie_core::{
    Timestamp,
    id::{CommandId, ReleaseId, RunId, WorkerId},
    model::{Run, RunEvent, RunState, Step, StepIndex, StepState},
    store::{Needs, RunView},
};
use sea_orm::prelude::Uuid;

use crate::{
    entity::{run, run_event, run_step},
    error::Failure,
    rows::{Cell, FromRow, Kind, RowStatement, RowTx, Rows, from_row},
};

const RUN: (&str, Kind) = ("run_id", Kind::Uuid);

static RUNS: RowStatement = RowStatement::select(run::Head::COLUMNS, "runs", &[("id", Kind::Uuid)], "").locking();
static STEPS: RowStatement = RowStatement::select(run_step::Head::COLUMNS, "run_steps", &[RUN, ("idx", Kind::Int)], "");
static UNFINISHED: RowStatement =
    RowStatement::select(run_step::Head::COLUMNS, "run_steps", &[RUN], "AND state IN ('pending', 'running', 'undoing')");
static PLANNED: RowStatement = RowStatement::select(run_step::Head::COLUMNS, "run_steps", &[RUN], "AND parent IS NULL");
static OPEN_REPORTS: RowStatement =
    RowStatement::select(run_step::Head::COLUMNS, "run_steps", &[RUN], "AND parent IS NOT NULL AND state IN ('pending', 'running')");
static NAMED_REPORTS: RowStatement = RowStatement::select(
    run_step::Head::COLUMNS,
    "run_steps",
    &[RUN, ("name", Kind::Text)],
    "AND parent IS NOT NULL AND state IN ('pending', 'running')",
);
static REPORT_IDS: RowStatement =
    RowStatement::select(ReportId::COLUMNS, "run_events", &[RUN, ("report_id", Kind::Text)], "AND report_id IS NOT NULL");
static WRITTEN: RowStatement = RowStatement::select(run_event::Model::COLUMNS, "run_events", &[RUN, ("command_id", Kind::Uuid)], "");

/// What was read, as far as it must still be so when it is written.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The runs.
    pub(super) runs: HashMap<RunId, SeenRun>,
    /// What was read of each step.
    pub(super) steps: HashMap<(RunId, StepIndex), SeenStep>,
}

/// What was read of a run: the columns that commands change.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SeenRun {
    pub(super) epoch: u64,
    pub(super) last_seq: u64,
    state: RunState,
    message: String,
    ready: bool,
    deferred: bool,
    worker_id: Option<WorkerId>,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    release_id: Option<ReleaseId>,
}

impl SeenRun {
    /// Whether nothing of the run has changed since but how many events and steps it has.
    pub(super) fn only_grew(&self, run: &Run) -> bool {
        let now = Self::from(run);
        Self { last_seq: self.last_seq, ..now } == *self
    }
}

impl From<&Run> for SeenRun {
    fn from(run: &Run) -> Self {
        Self {
            epoch: run.epoch,
            last_seq: run.last_seq,
            state: run.state,
            message: run.message.clone(),
            ready: run.ready,
            deferred: run.deferred,
            worker_id: run.worker_id,
            started_at: run.started_at,
            finished_at: run.finished_at,
            release_id: run.release_id,
        }
    }
}

/// What was read of a step.
#[derive(Debug, Clone, Copy)]
pub(super) struct SeenStep {
    pub(super) state: StepState,
    pub(super) attempt: u32,
    pub(super) has_handle: bool,
    pub(super) attempts_before: u32,
    pub(super) undo_from: Option<StepState>,
}

impl Seen {
    /// Remembers a run.
    pub(super) fn run(&mut self, run: &Run) {
        self.runs.insert(run.id, run.into());
    }

    /// Remembers a step.
    pub(super) fn step(&mut self, step: &Step, has_handle: bool) {
        let (state, attempt, attempts_before, undo_from) = (step.state, step.attempt, step.attempts_before, step.undo_from);
        self.steps.insert((step.run_id, step.index), SeenStep { state, attempt, has_handle, attempts_before, undo_from });
    }
}

#[derive(Debug)]
struct ReportId {
    run_id: Uuid,
    report_id: String,
}

from_row!(ReportId { run_id, report_id });

/// Reads what the commands need. Runs that do not exist have no view.
pub(super) async fn load(tx: &mut RowTx, needs: &Needs, views: &mut BTreeMap<RunId, RunView>, seen: &mut Seen) -> Result<(), Failure> {
    for row in tx.read::<run::Head>(&RUNS, ids(needs.runs.iter())).await? {
        let run = Run::try_from(row)?;
        seen.run(&run);
        views.insert(run.id, RunView::new(run));
    }
    let places = needs.steps.iter().map(|(run, index)| [run.uuid().into(), i64::from(index.get()).into()]).collect();
    let named = needs.named_reports.iter().filter(|(run, _)| !needs.unfinished.contains(run));
    let named = named.map(|(run, name)| [run.uuid().into(), name.as_str().into()]).collect();
    let (unfinished, planned) = (ids(needs.unfinished.iter()), ids(needs.planned.iter()));
    for (statement, rows) in [(&STEPS, places), (&UNFINISHED, unfinished), (&PLANNED, planned), (&NAMED_REPORTS, named)] {
        load_steps(tx, statement, rows, views, seen).await?;
    }
    // Most steps never report any: their rows say so.
    let has_reported = |run: &&RunId| views.get(run).is_some_and(|view| view.steps.values().any(|step| step.reported > 0));
    let reports = ids(needs.unfinished_reports.difference(&needs.unfinished).filter(has_reported));
    load_steps(tx, &OPEN_REPORTS, reports, views, seen).await?;
    let reported = needs.report_ids.iter().map(|(run, id)| [run.uuid().into(), id.as_str().into()]).collect();
    for row in tx.read::<ReportId>(&REPORT_IDS, reported).await? {
        if let Some(view) = views.get_mut(&RunId::from_uuid(row.run_id)) {
            view.report_ids.insert(row.report_id);
        }
    }
    load_written(tx, needs, views).await
}

fn ids<'a>(runs: impl Iterator<Item = &'a RunId>) -> Rows {
    runs.map(|run| [Cell::from(run.uuid())]).collect()
}

async fn load_steps(
    tx: &mut RowTx,
    statement: &'static RowStatement,
    rows: Rows,
    views: &mut BTreeMap<RunId, RunView>,
    seen: &mut Seen,
) -> Result<(), Failure> {
    for row in tx.read::<run_step::Head>(statement, rows).await? {
        let has_handle = row.has_handle();
        let step = Step::try_from(row)?;
        if let Some(view) = views.get_mut(&step.run_id) {
            seen.step(&step, has_handle);
            view.steps.insert(step.index, step);
        }
    }
    Ok(())
}

/// The events of commands that were sent before.
async fn load_written(tx: &mut RowTx, needs: &Needs, views: &mut BTreeMap<RunId, RunView>) -> Result<(), Failure> {
    let rows = needs.commands.iter().map(|(run, command)| [run.uuid().into(), command.uuid().into()]).collect();
    for row in tx.read::<run_event::Model>(&WRITTEN, rows).await? {
        let Some(command) = row.command_id.map(CommandId::from_uuid) else { continue };
        let event = RunEvent::try_from(row)?;
        if let Some(view) = views.get_mut(&event.run_id) {
            view.written.entry(command).or_default().push(Arc::new(event));
        }
    }
    for events in views.values_mut().flat_map(|view| view.written.values_mut()) {
        events.sort_by_key(|event| event.seq);
    }
    Ok(())
}
