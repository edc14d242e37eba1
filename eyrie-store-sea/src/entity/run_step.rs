//! The steps of runs.

use eyrie_core::{
    id::RunId,
    model::{Step, StepRow},
};
use sea_orm::entity::prelude::*;

use crate::{
    entity::column::{counted_small, json, maybe_micros, maybe_parsed, maybe_time, step_index, word},
    error::Failure,
    rows::from_row,
};

/// A row.
#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "run_steps")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) run_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) idx: i64,
    pub(crate) name: String,
    pub(crate) parent: Option<i64>,
    pub(crate) state: String,
    pub(crate) attempt: i64,
    pub(crate) message: String,
    pub(crate) output: Option<String>,
    pub(crate) started_at: Option<i64>,
    pub(crate) finished_at: Option<i64>,
    pub(crate) next_attempt_at: Option<i64>,
    pub(crate) deadline_at: Option<i64>,
    pub(crate) handle: Option<String>,
    pub(crate) attempts_before: i64,
    pub(crate) undo_data: Option<String>,
    pub(crate) undo_from: Option<String>,
    pub(crate) reported: i64,
}

from_row!(Model {
    run_id,
    idx,
    name,
    parent,
    state,
    attempt,
    message,
    output,
    started_at,
    finished_at,
    next_attempt_at,
    deadline_at,
    handle,
    attempts_before,
    undo_data,
    undo_from,
    reported,
});

/// No relation is followed by SeaORM; the references are in the migration.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<&Step> for Model {
    fn from(step: &Step) -> Self {
        Self {
            run_id: step.run_id.uuid(),
            idx: i64::from(step.index.get()),
            name: step.name.to_string(),
            parent: step.parent.map(|parent| i64::from(parent.get())),
            state: step.state.as_str().to_owned(),
            attempt: i64::from(step.attempt),
            message: step.message.clone(),
            output: step.output.as_ref().map(json),
            started_at: maybe_micros(step.started_at),
            finished_at: maybe_micros(step.finished_at),
            next_attempt_at: maybe_micros(step.next_attempt_at),
            deadline_at: maybe_micros(step.deadline_at),
            handle: step.handle.as_ref().map(json),
            attempts_before: i64::from(step.attempts_before),
            undo_data: step.undo_data.as_ref().map(json),
            undo_from: step.undo_from.map(|state| state.as_str().to_owned()),
            reported: i64::from(step.reported),
        }
    }
}

impl TryFrom<Model> for Step {
    type Error = Failure;

    fn try_from(row: Model) -> Result<Self, Failure> {
        Ok(Self::from_row(StepRow {
            run_id: RunId::from_uuid(row.run_id),
            index: step_index(row.idx)?,
            name: word(&row.name)?,
            parent: row.parent.map(step_index).transpose()?,
            state: word(&row.state)?,
            attempt: counted_small(row.attempt)?,
            message: row.message,
            output: maybe_parsed(row.output.as_deref())?,
            started_at: maybe_time(row.started_at),
            finished_at: maybe_time(row.finished_at),
            next_attempt_at: maybe_time(row.next_attempt_at),
            deadline_at: maybe_time(row.deadline_at),
            handle: maybe_parsed(row.handle.as_deref())?,
            attempts_before: counted_small(row.attempts_before)?,
            undo_data: maybe_parsed(row.undo_data.as_deref())?,
            undo_from: row.undo_from.as_deref().map(word).transpose()?,
            reported: counted_small(row.reported)?,
        }))
    }
}

/// A step without its output, handle and data for its undo, which may be large; only whether there is a handle.
#[derive(Debug)]
pub struct Head {
    run_id: Uuid,
    idx: i64,
    name: String,
    parent: Option<i64>,
    state: String,
    attempt: i64,
    message: String,
    started_at: Option<i64>,
    finished_at: Option<i64>,
    next_attempt_at: Option<i64>,
    deadline_at: Option<i64>,
    attempts_before: i64,
    undo_from: Option<String>,
    reported: i64,
    has_handle: bool,
}

from_row!(Head {
    run_id, idx, name, parent, state, attempt, message, started_at, finished_at, next_attempt_at, deadline_at,
    attempts_before, undo_from, reported,
    has_handle = "handle IS NOT NULL",
});

impl Head {
    /// Whether a handle is kept.
    pub(crate) fn has_handle(&self) -> bool {
        self.has_handle
    }
}

impl TryFrom<Head> for Step {
    type Error = Failure;

    /// The step without its output, handle and data for its undo: good for commands, never to be handed out.
    fn try_from(row: Head) -> Result<Self, Failure> {
        Ok(Self::from_row(StepRow {
            run_id: RunId::from_uuid(row.run_id),
            index: step_index(row.idx)?,
            name: word(&row.name)?,
            parent: row.parent.map(step_index).transpose()?,
            state: word(&row.state)?,
            attempt: counted_small(row.attempt)?,
            message: row.message,
            output: None,
            started_at: maybe_time(row.started_at),
            finished_at: maybe_time(row.finished_at),
            next_attempt_at: maybe_time(row.next_attempt_at),
            deadline_at: maybe_time(row.deadline_at),
            handle: None,
            attempts_before: counted_small(row.attempts_before)?,
            undo_data: None,
            undo_from: row.undo_from.as_deref().map(word).transpose()?,
            reported: counted_small(row.reported)?,
        }))
    }
}
