//! Reading what a batch of commands needs, in a few queries whatever its size.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use eyrie_core::{
    id::{CommandId, RunId},
    model::{Run, RunEvent, Step, StepIndex, StepState},
    store::{Needs, RunView},
};
use sea_orm::{FromQueryResult, Value, prelude::Uuid};

use crate::{
    entity::{run, run_event, run_step},
    error::Failure,
    row_statement::{RowStatement, Rows},
    writer::WriteTx,
};

macro_rules! step_columns {
    () => {
        "SELECT s.run_id, s.idx, s.name, s.parent, s.state, s.attempt, s.message, s.started_at, s.finished_at, s.next_attempt_at, \
            s.deadline_at, s.reported, s.handle IS NOT NULL AS has_handle FROM v CROSS JOIN run_steps s WHERE "
    };
}

const RUNS: RowStatement = RowStatement {
    columns: "id",
    then: "SELECT r.id, r.project_id, r.deployment_id, r.kind, r.state, r.message, r.origin, r.plan_hash, r.step_count, r.ready, \
        r.worker_id, r.epoch, r.last_seq, r.queued_at, r.started_at, r.finished_at, r.release_id \
        FROM v CROSS JOIN runs r WHERE r.id = v.id",
};
const STEPS: RowStatement = RowStatement { columns: "run_id,idx", then: concat!(step_columns!(), "s.run_id = v.run_id AND s.idx = v.idx") };
const UNFINISHED: RowStatement =
    RowStatement { columns: "run_id", then: concat!(step_columns!(), "s.run_id = v.run_id AND s.state IN ('pending', 'running')") };
const OPEN_REPORTS: RowStatement = RowStatement {
    columns: "run_id",
    then: concat!(step_columns!(), "s.run_id = v.run_id AND s.parent IS NOT NULL AND s.state IN ('pending', 'running')"),
};
const NAMED_REPORTS: RowStatement = RowStatement {
    columns: "run_id,name",
    then: concat!(
        step_columns!(),
        "s.run_id = v.run_id AND s.name = v.name AND s.parent IS NOT NULL AND s.state IN ('pending', 'running')"
    ),
};
const REPORT_IDS: RowStatement = RowStatement {
    columns: "run_id,report_id",
    then: "SELECT e.run_id, e.report_id FROM v CROSS JOIN run_events e \
        WHERE e.run_id = v.run_id AND e.report_id = v.report_id AND e.report_id IS NOT NULL",
};
const WRITTEN: RowStatement = RowStatement {
    columns: "run_id,command_id",
    then: "SELECT e.* FROM v CROSS JOIN run_events e WHERE e.run_id = v.run_id AND e.command_id = v.command_id",
};

/// What was read, as far as it must still be so when it is written.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Epoch and latest event of each run.
    pub(super) runs: HashMap<RunId, (u64, u64)>,
    /// State, attempt and whether there is a handle, of each step.
    pub(super) steps: HashMap<(RunId, StepIndex), SeenStep>,
}

/// What was read of a step.
#[derive(Debug, Clone, Copy)]
pub(super) struct SeenStep {
    pub(super) state: StepState,
    pub(super) attempt: u32,
    pub(super) has_handle: bool,
}

impl Seen {
    /// Remembers a run.
    pub(super) fn run(&mut self, run: &Run) {
        self.runs.insert(run.id, (run.epoch, run.last_seq));
    }

    /// Remembers a step.
    pub(super) fn step(&mut self, step: &Step, has_handle: bool) {
        self.steps.insert((step.run_id, step.index), SeenStep { state: step.state, attempt: step.attempt, has_handle });
    }
}

#[derive(Debug, FromQueryResult)]
struct ReportId {
    run_id: Uuid,
    report_id: String,
}

/// Reads what the commands need. Runs that do not exist have no view.
pub(super) async fn load(tx: &WriteTx, needs: &Needs) -> Result<(BTreeMap<RunId, RunView>, Seen), Failure> {
    let mut seen = Seen::default();
    let mut views = BTreeMap::new();
    for row in RUNS.read::<run::Head>(&**tx, ids(needs.runs.iter())).await? {
        let run = Run::try_from(row)?;
        seen.run(&run);
        views.insert(run.id, RunView::new(run));
    }
    let places = needs.steps.iter().map(|(run, index)| [run.uuid().into(), i64::from(index.get()).into()]).collect();
    let named = needs.named_reports.iter().filter(|(run, _)| !needs.unfinished.contains(run));
    let named = named.map(|(run, name)| [run.uuid().into(), name.as_str().into()]).collect();
    for (statement, rows) in [(STEPS, places), (UNFINISHED, ids(needs.unfinished.iter())), (NAMED_REPORTS, named)] {
        load_steps(tx, statement, rows, &mut views, &mut seen).await?;
    }
    // Most steps never report any: their rows say so.
    let has_reported = |run: &&RunId| views.get(run).is_some_and(|view| view.steps.values().any(|step| step.reported > 0));
    let reports = ids(needs.unfinished_reports.difference(&needs.unfinished).filter(has_reported));
    load_steps(tx, OPEN_REPORTS, reports, &mut views, &mut seen).await?;
    let reported = needs.report_ids.iter().map(|(run, id)| [run.uuid().into(), id.as_str().into()]).collect();
    for row in REPORT_IDS.read::<ReportId>(&**tx, reported).await? {
        if let Some(view) = views.get_mut(&RunId::from_uuid(row.run_id)) {
            view.report_ids.insert(row.report_id);
        }
    }
    load_written(tx, needs, &mut views).await?;
    Ok((views, seen))
}

fn ids<'a>(runs: impl Iterator<Item = &'a RunId>) -> Rows {
    runs.map(|run| [Value::from(run.uuid())]).collect()
}

async fn load_steps(
    tx: &WriteTx,
    statement: RowStatement,
    rows: Rows,
    views: &mut BTreeMap<RunId, RunView>,
    seen: &mut Seen,
) -> Result<(), Failure> {
    for row in statement.read::<run_step::Head>(&**tx, rows).await? {
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
async fn load_written(tx: &WriteTx, needs: &Needs, views: &mut BTreeMap<RunId, RunView>) -> Result<(), Failure> {
    let rows = needs.commands.iter().map(|(run, command)| [run.uuid().into(), command.uuid().into()]).collect();
    for row in WRITTEN.read::<run_event::Model>(&**tx, rows).await? {
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
