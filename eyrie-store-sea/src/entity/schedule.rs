//! Schedules.

use eyrie_core::{
    id::{DeploymentId, ProjectId, RunId, ScheduleId},
    model::{LastFire, Schedule},
};
use sea_orm::entity::prelude::*;

use crate::{
    entity::column::{count, counted, json, maybe, maybe_micros, maybe_time, micros, parsed, time, word},
    error::Failure,
};

/// A row.
#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "schedules")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    pub(crate) project_id: Uuid,
    pub(crate) deployment_id: Uuid,
    pub(crate) slug: String,
    pub(crate) cron: String,
    pub(crate) time_zone: String,
    pub(crate) kind: String,
    pub(crate) context: String,
    pub(crate) missed: String,
    pub(crate) enabled: bool,
    pub(crate) owner: String,
    pub(crate) next_fire_at: Option<i64>,
    pub(crate) last_fire_at: Option<i64>,
    pub(crate) last_run_id: Option<Uuid>,
    pub(crate) last_message: String,
    pub(crate) created_at: i64,
    pub(crate) version: i64,
}

/// No relation is followed by SeaORM; the references are in the migration.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<&Schedule> for Model {
    fn from(schedule: &Schedule) -> Self {
        let last = schedule.last_fire.as_ref();
        Self {
            id: schedule.id.uuid(),
            project_id: schedule.project_id.uuid(),
            deployment_id: schedule.deployment_id.uuid(),
            slug: schedule.slug.to_string(),
            cron: schedule.cron.to_string(),
            time_zone: schedule.time_zone.to_string(),
            kind: schedule.kind.as_str().to_owned(),
            context: json(&schedule.context),
            missed: schedule.missed.as_str().to_owned(),
            enabled: schedule.enabled,
            owner: json(&schedule.owner),
            next_fire_at: maybe_micros(schedule.next_fire_at),
            last_fire_at: last.map(|last| micros(last.at)),
            last_run_id: last.and_then(|last| last.run_id).map(RunId::uuid),
            last_message: last.map(|last| last.message.clone()).unwrap_or_default(),
            created_at: micros(schedule.created_at),
            version: count(schedule.version),
        }
    }
}

impl TryFrom<Model> for Schedule {
    type Error = Failure;

    fn try_from(row: Model) -> Result<Self, Failure> {
        let run_id = maybe(row.last_run_id, RunId::from_uuid);
        Ok(Self {
            id: ScheduleId::from_uuid(row.id),
            project_id: ProjectId::from_uuid(row.project_id),
            deployment_id: DeploymentId::from_uuid(row.deployment_id),
            slug: word(&row.slug)?,
            cron: word(&row.cron)?,
            time_zone: word(&row.time_zone)?,
            kind: word(&row.kind)?,
            context: parsed(&row.context)?,
            missed: word(&row.missed)?,
            enabled: row.enabled,
            owner: parsed(&row.owner)?,
            next_fire_at: maybe_time(row.next_fire_at),
            last_fire: maybe_time(row.last_fire_at).map(|at| LastFire { at, run_id, message: row.last_message }),
            created_at: time(row.created_at),
            version: counted(row.version)?,
        })
    }
}
