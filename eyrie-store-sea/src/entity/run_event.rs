//! What happened in runs.

use eyrie_core::{
    id::{CommandId, ProjectId, RunId},
    model::{RunEvent, RunEventBody, StepIndex},
    store::EventRow,
};
use sea_orm::entity::prelude::*;

use crate::{
    entity::column::{count, counted, counted_small, micros, step_index, time, word},
    error::Failure,
    rows::from_row,
};

/// A row.
#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "run_events")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub(crate) position: i64,
    pub(crate) run_id: Uuid,
    pub(crate) project_id: Uuid,
    pub(crate) seq: i64,
    pub(crate) at: i64,
    pub(crate) epoch: i64,
    pub(crate) kind: String,
    pub(crate) state: Option<String>,
    pub(crate) step: Option<i64>,
    pub(crate) name: Option<String>,
    pub(crate) parent: Option<i64>,
    pub(crate) attempt: Option<i64>,
    pub(crate) message: String,
    pub(crate) command_id: Option<Uuid>,
    pub(crate) report_id: Option<String>,
}

from_row!(Model { position, run_id, project_id, seq, at, epoch, kind, state, step, name, parent, attempt, message, command_id, report_id });

/// No relation is followed by SeaORM; the references are in the migration.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

const RUN: &str = "run";
const STEP: &str = "step";
const PROGRESS: &str = "progress";

impl From<&EventRow> for Model {
    /// The row; its position is set by the database.
    fn from(row: &EventRow) -> Self {
        let event = &*row.event;
        let place = |index: StepIndex| Some(i64::from(index.get()));
        let (kind, state, step, name, parent, attempt, message) = match &event.body {
            RunEventBody::Run { state, message } => (RUN, Some(state.as_str()), None, None, None, None, message),
            RunEventBody::Step { index, name, parent, state, attempt, message } => {
                (STEP, Some(state.as_str()), place(*index), Some(name), parent.and_then(place), Some(i64::from(*attempt)), message)
            }
            RunEventBody::Progress { index, name, message } => (PROGRESS, None, place(*index), Some(name), None, None, message),
        };
        Self {
            position: 0,
            run_id: event.run_id.uuid(),
            project_id: event.project_id.uuid(),
            seq: count(event.seq),
            at: micros(event.at),
            epoch: count(event.epoch),
            kind: kind.to_owned(),
            state: state.map(str::to_owned),
            step,
            name: name.map(ToString::to_string),
            parent,
            attempt,
            message: message.clone(),
            command_id: row.command.map(CommandId::uuid),
            report_id: row.report_id.clone(),
        }
    }
}

impl TryFrom<Model> for RunEvent {
    type Error = Failure;

    fn try_from(row: Model) -> Result<Self, Failure> {
        let step = || step_index(present(row.step)?);
        let name = || word(present(row.name.as_deref())?);
        let body = match row.kind.as_str() {
            RUN => RunEventBody::Run { state: word(present(row.state.as_deref())?)?, message: row.message },
            STEP => RunEventBody::Step {
                index: step()?,
                name: name()?,
                parent: row.parent.map(step_index).transpose()?,
                state: word(present(row.state.as_deref())?)?,
                attempt: counted_small(present(row.attempt)?)?,
                message: row.message,
            },
            PROGRESS => RunEventBody::Progress { index: step()?, name: name()?, message: row.message },
            other => return Err(Failure::Stored(format!("an event of kind {other:?}").into())),
        };
        Ok(Self {
            run_id: RunId::from_uuid(row.run_id),
            project_id: ProjectId::from_uuid(row.project_id),
            seq: counted(row.seq)?,
            at: time(row.at),
            epoch: counted(row.epoch)?,
            body,
        })
    }
}

fn present<T>(column: Option<T>) -> Result<T, Failure> {
    column.ok_or_else(|| Failure::Stored("an event without what its kind needs".into()))
}
