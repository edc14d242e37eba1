//! Monitors.

use eyrie_core::{
    id::{DeploymentId, MonitorId, ProjectId},
    model::{Monitor, MonitorStatus, MonitorThresholds},
};
use sea_orm::entity::prelude::*;

use crate::{
    entity::column::{count, counted, counted_small, json, maybe_micros, maybe_time, micros, parsed, time, word},
    error::Failure,
};

/// A row.
#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "monitors")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    pub(crate) project_id: Uuid,
    pub(crate) deployment_id: Uuid,
    pub(crate) slug: String,
    pub(crate) what: String,
    pub(crate) interval_seconds: i64,
    pub(crate) warning_above: Option<f64>,
    pub(crate) error_above: Option<f64>,
    pub(crate) warning_after: i64,
    pub(crate) error_after: i64,
    pub(crate) enabled: bool,
    pub(crate) state: String,
    pub(crate) since: i64,
    pub(crate) checked_at: Option<i64>,
    pub(crate) bad: i64,
    pub(crate) very_bad: i64,
    pub(crate) created_at: i64,
    pub(crate) version: i64,
}

/// No relation is followed by SeaORM; the references are in the migration.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<&Monitor> for Model {
    fn from(monitor: &Monitor) -> Self {
        let (thresholds, status) = (&monitor.thresholds, &monitor.status);
        Self {
            id: monitor.id.uuid(),
            project_id: monitor.project_id.uuid(),
            deployment_id: monitor.deployment_id.uuid(),
            slug: monitor.slug.to_string(),
            what: json(&monitor.check),
            interval_seconds: monitor.interval_seconds.into(),
            warning_above: thresholds.warning_above,
            error_above: thresholds.error_above,
            warning_after: thresholds.warning_after.into(),
            error_after: thresholds.error_after.into(),
            enabled: monitor.enabled,
            state: status.state().as_str().to_owned(),
            since: micros(status.since()),
            checked_at: maybe_micros(status.checked_at()),
            bad: status.bad().into(),
            very_bad: status.very_bad().into(),
            created_at: micros(monitor.created_at),
            version: count(monitor.version),
        }
    }
}

impl TryFrom<Model> for Monitor {
    type Error = Failure;

    fn try_from(row: Model) -> Result<Self, Failure> {
        let (bad, very_bad) = (counted_small(row.bad)?, counted_small(row.very_bad)?);
        Ok(Self {
            id: MonitorId::from_uuid(row.id),
            project_id: ProjectId::from_uuid(row.project_id),
            deployment_id: DeploymentId::from_uuid(row.deployment_id),
            slug: word(&row.slug)?,
            check: parsed(&row.what)?,
            interval_seconds: counted_small(row.interval_seconds)?,
            thresholds: MonitorThresholds {
                warning_above: row.warning_above,
                error_above: row.error_above,
                warning_after: counted_small(row.warning_after)?,
                error_after: counted_small(row.error_after)?,
            },
            enabled: row.enabled,
            status: MonitorStatus::from_row(word(&row.state)?, time(row.since), maybe_time(row.checked_at), bad, very_bad),
            created_at: time(row.created_at),
            version: counted(row.version)?,
        })
    }
}
