//! Runs.

use std::sync::Arc;

use eyrie_core::{
    id::{DeploymentId, ProjectId, ReleaseId, RunId, WorkerId},
    model::{PlanHash, PrincipalRef, Run, RunRow},
};
use sea_orm::entity::prelude::*;
use serde_json::Value as Json;

use crate::{
    entity::column::{count, counted, counted_small, hash, json, maybe, maybe_micros, maybe_time, micros, parsed, time, word},
    error::Failure,
    rows::from_row,
};

/// A row.
#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "runs")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    pub(crate) project_id: Uuid,
    pub(crate) deployment_id: Uuid,
    pub(crate) kind: String,
    pub(crate) state: String,
    pub(crate) message: String,
    pub(crate) requested_by: String,
    pub(crate) origin: String,
    pub(crate) context: String,
    pub(crate) resumption: Option<String>,
    pub(crate) plan_hash: Vec<u8>,
    pub(crate) first_steps: String,
    pub(crate) step_count: i64,
    pub(crate) ready: bool,
    pub(crate) not_before: Option<i64>,
    pub(crate) deferred: bool,
    pub(crate) worker_id: Option<Uuid>,
    pub(crate) epoch: i64,
    pub(crate) last_seq: i64,
    pub(crate) queued_at: i64,
    pub(crate) started_at: Option<i64>,
    pub(crate) finished_at: Option<i64>,
    pub(crate) release_id: Option<Uuid>,
}

from_row!(Model {
    id,
    project_id,
    deployment_id,
    kind,
    state,
    message,
    requested_by,
    origin,
    context,
    resumption,
    plan_hash,
    first_steps,
    step_count,
    ready,
    not_before,
    deferred,
    worker_id,
    epoch,
    last_seq,
    queued_at,
    started_at,
    finished_at,
    release_id,
});

/// No relation is followed by SeaORM; the references are in the migration.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<&Run> for Model {
    fn from(run: &Run) -> Self {
        Self {
            id: run.id.uuid(),
            project_id: run.project_id.uuid(),
            deployment_id: run.deployment_id.uuid(),
            kind: run.kind.as_str().to_owned(),
            state: run.state.as_str().to_owned(),
            message: run.message.clone(),
            requested_by: json(&run.requested_by),
            origin: run.origin.to_string(),
            context: json(run.context.as_ref()),
            resumption: run.resumption.as_ref().map(json),
            plan_hash: run.plan_hash.as_bytes().to_vec(),
            first_steps: json(&run.first_steps),
            step_count: i64::from(run.step_count),
            ready: run.ready,
            not_before: maybe_micros(run.not_before),
            deferred: run.deferred,
            worker_id: run.worker_id.map(WorkerId::uuid),
            epoch: count(run.epoch),
            last_seq: count(run.last_seq),
            queued_at: micros(run.queued_at),
            started_at: maybe_micros(run.started_at),
            finished_at: maybe_micros(run.finished_at),
            release_id: run.release_id.map(ReleaseId::uuid),
        }
    }
}

impl TryFrom<Model> for Run {
    type Error = Failure;

    fn try_from(row: Model) -> Result<Self, Failure> {
        Ok(Self::from_row(RunRow {
            id: RunId::from_uuid(row.id),
            project_id: ProjectId::from_uuid(row.project_id),
            deployment_id: DeploymentId::from_uuid(row.deployment_id),
            kind: word(&row.kind)?,
            state: word(&row.state)?,
            message: row.message,
            requested_by: parsed(&row.requested_by)?,
            origin: word(&row.origin)?,
            context: Arc::new(parsed(&row.context)?),
            resumption: row.resumption.as_deref().map(parsed).transpose()?,
            plan_hash: PlanHash::from_bytes(hash(row.plan_hash)?),
            first_steps: parsed(&row.first_steps)?,
            step_count: counted_small(row.step_count)?,
            ready: row.ready,
            not_before: maybe_time(row.not_before),
            deferred: row.deferred,
            worker_id: maybe(row.worker_id, WorkerId::from_uuid),
            epoch: counted(row.epoch)?,
            last_seq: counted(row.last_seq)?,
            queued_at: time(row.queued_at),
            started_at: maybe_time(row.started_at),
            finished_at: maybe_time(row.finished_at),
            release_id: maybe(row.release_id, ReleaseId::from_uuid),
        }))
    }
}

/// What a command may read or change of a run: everything but what was asked for, which stays as it is.
#[derive(Debug)]
pub struct Head {
    id: Uuid,
    project_id: Uuid,
    deployment_id: Uuid,
    kind: String,
    state: String,
    message: String,
    origin: String,
    plan_hash: Vec<u8>,
    step_count: i64,
    ready: bool,
    not_before: Option<i64>,
    deferred: bool,
    worker_id: Option<Uuid>,
    epoch: i64,
    last_seq: i64,
    queued_at: i64,
    started_at: Option<i64>,
    finished_at: Option<i64>,
    release_id: Option<Uuid>,
}

from_row!(Head {
    id,
    project_id,
    deployment_id,
    kind,
    state,
    message,
    origin,
    plan_hash,
    step_count,
    ready,
    not_before,
    deferred,
    worker_id,
    epoch,
    last_seq,
    queued_at,
    started_at,
    finished_at,
    release_id,
});

impl TryFrom<Head> for Run {
    type Error = Failure;

    /// The run without its context, first steps, and who asked for it or resumed it: good for commands, never to be handed out.
    fn try_from(row: Head) -> Result<Self, Failure> {
        Ok(Self::from_row(RunRow {
            id: RunId::from_uuid(row.id),
            project_id: ProjectId::from_uuid(row.project_id),
            deployment_id: DeploymentId::from_uuid(row.deployment_id),
            kind: word(&row.kind)?,
            state: word(&row.state)?,
            message: row.message,
            requested_by: PrincipalRef::Anonymous,
            origin: word(&row.origin)?,
            context: Arc::new(Json::Null),
            resumption: None,
            plan_hash: PlanHash::from_bytes(hash(row.plan_hash)?),
            first_steps: Vec::new(),
            step_count: counted_small(row.step_count)?,
            ready: row.ready,
            not_before: maybe_time(row.not_before),
            deferred: row.deferred,
            worker_id: maybe(row.worker_id, WorkerId::from_uuid),
            epoch: counted(row.epoch)?,
            last_seq: counted(row.last_seq)?,
            queued_at: time(row.queued_at),
            started_at: maybe_time(row.started_at),
            finished_at: maybe_time(row.finished_at),
            release_id: maybe(row.release_id, ReleaseId::from_uuid),
        }))
    }
}
