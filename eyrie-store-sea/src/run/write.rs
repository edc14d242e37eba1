//! Writing what became of a batch, in a few statements whatever its size.

use std::collections::HashMap;

use eyrie_core::{
    Timestamp,
    id::{DeploymentId, ProjectId},
    model::{DeployedService, Run, Step},
    store::{EventRow, Outcome, RunWrites, deployed_after},
};
use sea_orm::{EntityTrait, IntoActiveModel, Value, sea_query::OnConflict};

use crate::{
    audit,
    entity::{
        audit_entry,
        column::{count, json, maybe_micros},
        deployed_service, release, run_event, run_step,
    },
    error::Failure,
    row_statement::{RowStatement, Rows},
    run::load::Seen,
    writer::WriteTx,
};

const UPDATE_RUNS: RowStatement = RowStatement {
    columns: "id,old_epoch,old_seq,state,message,step_count,ready,worker_id,epoch,last_seq,started_at,finished_at,release_id",
    then: "UPDATE runs SET state = v.state, message = v.message, step_count = v.step_count, ready = v.ready, worker_id = v.worker_id, \
        epoch = v.epoch, last_seq = v.last_seq, started_at = v.started_at, finished_at = v.finished_at, release_id = v.release_id \
        FROM v WHERE runs.id = v.id AND runs.epoch = v.old_epoch AND runs.last_seq = v.old_seq",
};
const UPDATE_STEPS: RowStatement = RowStatement {
    columns: "run_id,idx,old_state,old_attempt,state,attempt,message,started_at,finished_at,next_attempt_at,deadline_at,reported",
    then: "UPDATE run_steps SET state = v.state, attempt = v.attempt, message = v.message, started_at = v.started_at, \
        finished_at = v.finished_at, next_attempt_at = v.next_attempt_at, deadline_at = v.deadline_at, reported = v.reported \
        FROM v WHERE run_steps.run_id = v.run_id AND run_steps.idx = v.idx \
        AND run_steps.state = v.old_state AND run_steps.attempt = v.old_attempt",
};
/// Output and handle are kept out of the other statement: they may be large and change seldom.
const UPDATE_VALUES: RowStatement = RowStatement {
    columns: "run_id,idx,output,sets_handle,handle",
    then: "UPDATE run_steps SET output = COALESCE(v.output, run_steps.output), \
        handle = CASE WHEN v.sets_handle = 1 THEN v.handle ELSE run_steps.handle END \
        FROM v WHERE run_steps.run_id = v.run_id AND run_steps.idx = v.idx",
};
const INSERT_STEPS: RowStatement = RowStatement {
    columns: "run_id,idx,name,parent,state,attempt,message,output,started_at,finished_at,next_attempt_at,deadline_at,handle,reported",
    then: "INSERT INTO run_steps (run_id, idx, name, parent, state, attempt, message, output, started_at, finished_at, \
        next_attempt_at, deadline_at, handle, reported) SELECT run_id, idx, name, parent, state, attempt, message, output, started_at, \
        finished_at, next_attempt_at, deadline_at, handle, reported FROM v WHERE run_id IS NOT NULL",
};
const INSERT_EVENTS: RowStatement = RowStatement {
    columns: "run_id,project_id,seq,at,epoch,kind,state,step,name,parent,attempt,message,command_id,report_id",
    then: "INSERT INTO run_events (run_id, project_id, seq, at, epoch, kind, state, step, name, parent, attempt, message, command_id, \
        report_id) SELECT run_id, project_id, seq, at, epoch, kind, state, step, name, parent, attempt, message, command_id, report_id \
        FROM v WHERE run_id IS NOT NULL",
};
/// The next in the queue becomes ready, unless another run of the deployment has its turn.
const FREE: RowStatement = RowStatement {
    columns: "deployment_id",
    then: "UPDATE runs SET ready = TRUE WHERE id IN (SELECT (SELECT q.id FROM runs q WHERE q.deployment_id = v.deployment_id \
        AND q.finished_at IS NULL AND q.state = 'queued' ORDER BY q.queued_at, q.id LIMIT 1) FROM v WHERE NOT EXISTS \
        (SELECT 1 FROM runs c WHERE c.deployment_id = v.deployment_id AND c.finished_at IS NULL AND (c.state <> 'queued' OR c.ready)))",
};

/// What runs on the machine itself because of these deployments.
const DEPLOYED_HERE: RowStatement = RowStatement {
    columns: "deployment_id",
    then: "SELECT d.* FROM v CROSS JOIN deployed_services d WHERE d.deployment_id = v.deployment_id AND d.cluster_id IS NULL",
};

/// Writes everything, if what was read is still so; else [`Failure::Raced`].
pub(super) async fn write(tx: &WriteTx, seen: &Seen, writes: RunWrites, at: Timestamp) -> Result<(), Failure> {
    let projects: HashMap<DeploymentId, ProjectId> = writes.runs.iter().map(|run| (run.deployment_id, run.project_id)).collect();
    update(tx, UPDATE_RUNS, writes.runs.iter().map(|run| run_row(seen, run)).collect::<Option<_>>()).await?;
    update(tx, UPDATE_STEPS, writes.steps.iter().map(|step| step_row(seen, step)).collect::<Option<_>>()).await?;
    update(tx, UPDATE_VALUES, Some(writes.steps.iter().filter_map(|step| value_row(seen, step)).collect())).await?;
    insert_steps(tx, writes.new_steps.iter()).await?;
    insert_events(tx, writes.events.iter()).await?;
    settle(tx, &writes.outcomes, &projects, at).await?;
    if !writes.audit.is_empty() {
        audit::keep_all(tx, writes.audit.iter().map(audit_entry::Model::from)).await?;
    }
    FREE.execute(&**tx, writes.freed.iter().map(|deployment| [deployment.uuid().into()]).collect()).await?;
    Ok(())
}

/// Adds steps.
pub(super) async fn insert_steps<'a>(tx: &WriteTx, steps: impl Iterator<Item = &'a Step>) -> Result<(), Failure> {
    INSERT_STEPS.execute(&**tx, steps.map(new_step_row).collect()).await?;
    Ok(())
}

/// Adds events, in their order.
pub(super) async fn insert_events<'a>(tx: &WriteTx, events: impl Iterator<Item = &'a EventRow>) -> Result<(), Failure> {
    INSERT_EVENTS.execute(&**tx, events.map(event_row).collect()).await?;
    Ok(())
}

/// Every row must hit, or somebody else was faster.
async fn update(tx: &WriteTx, statement: RowStatement, rows: Option<Rows>) -> Result<(), Failure> {
    let rows = rows.ok_or(Failure::Raced)?;
    let wanted = rows.len() as u64;
    if statement.execute(&**tx, rows).await? == wanted { Ok(()) } else { Err(Failure::Raced) }
}

fn run_row(seen: &Seen, run: &Run) -> Option<[Value; 13]> {
    let (epoch, seq) = seen.runs.get(&run.id)?;
    Some([
        run.id.uuid().into(),
        count(*epoch).into(),
        count(*seq).into(),
        run.state.as_str().into(),
        run.message.as_str().into(),
        i64::from(run.step_count).into(),
        run.ready.into(),
        run.worker_id.map(|worker| worker.uuid()).into(),
        count(run.epoch).into(),
        count(run.last_seq).into(),
        maybe_micros(run.started_at).into(),
        maybe_micros(run.finished_at).into(),
        run.release_id.map(|release| release.uuid()).into(),
    ])
}

fn step_row(seen: &Seen, step: &Step) -> Option<[Value; 12]> {
    let before = seen.steps.get(&(step.run_id, step.index))?;
    Some([
        step.run_id.uuid().into(),
        i64::from(step.index.get()).into(),
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
    ])
}

/// The output and handle of a step, if this batch set one or began an attempt that drops the handle of the one before. They
/// are not read with the step, so what is missing here was not touched.
fn value_row(seen: &Seen, step: &Step) -> Option<[Value; 5]> {
    let before = seen.steps.get(&(step.run_id, step.index))?;
    let sets_handle = step.handle.is_some() || (before.has_handle && before.attempt != step.attempt);
    if step.output.is_none() && !sets_handle {
        return None;
    }
    Some([
        step.run_id.uuid().into(),
        i64::from(step.index.get()).into(),
        step.output.as_ref().map(json).into(),
        i64::from(sets_handle).into(),
        step.handle.as_ref().map(json).into(),
    ])
}

fn new_step_row(step: &Step) -> [Value; 14] {
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
        row.reported.into(),
    ]
}

fn event_row(event: &EventRow) -> [Value; 14] {
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

/// What the ends of runs mean for releases and for what is running.
async fn settle(tx: &WriteTx, outcomes: &[Outcome], projects: &HashMap<DeploymentId, ProjectId>, at: Timestamp) -> Result<(), Failure> {
    let releases: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.release.as_ref()).collect();
    if !releases.is_empty() {
        let rows = releases.iter().map(|(release, _)| release::Model::from(release).into_active_model());
        release::Entity::insert_many(rows).exec_without_returning(&**tx).await?;
    }
    let ended = outcomes.iter().map(|outcome| [outcome.deployment_id.uuid().into()]).collect();
    let rows = DEPLOYED_HERE.read::<deployed_service::Model>(&**tx, ended).await?;
    let mut here = HashMap::new();
    for row in rows {
        let service = DeployedService::try_from(row)?;
        here.insert(service.deployment_id, service);
    }
    for outcome in outcomes {
        let Some(project) = projects.get(&outcome.deployment_id) else { continue };
        let existing = here.get(&outcome.deployment_id).cloned();
        let Some(service) = deployed_after(existing, outcome, *project, at) else { continue };
        let replace = OnConflict::column(deployed_service::Column::Id)
            .update_columns([
                deployed_service::Column::State,
                deployed_service::Column::ReleaseId,
                deployed_service::Column::RunId,
                deployed_service::Column::UpdatedAt,
            ])
            .to_owned();
        let row = deployed_service::Model::from(&service);
        deployed_service::Entity::insert(row.into_active_model()).on_conflict(replace).exec_without_returning(&**tx).await?;
        here.insert(service.deployment_id, service);
    }
    Ok(())
}
