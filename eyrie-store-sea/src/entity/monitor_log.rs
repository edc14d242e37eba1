//! What checks have found out.

use eyrie_core::{
    id::{MonitorId, MonitorLogId},
    model::{MonitorLog, MonitorResult},
};
use sea_orm::entity::prelude::*;

use crate::{
    entity::column::{micros, time, word},
    error::Failure,
};

/// A row.
#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "monitor_logs")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    pub(crate) monitor_id: Uuid,
    pub(crate) at: i64,
    pub(crate) outcome: String,
    pub(crate) value: Option<f64>,
    pub(crate) message: String,
    pub(crate) state: String,
}

/// No relation is followed by SeaORM, and there are none: rows are swept after their monitor is gone.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<&MonitorLog> for Model {
    fn from(line: &MonitorLog) -> Self {
        Self {
            id: line.id.uuid(),
            monitor_id: line.monitor_id.uuid(),
            at: micros(line.at),
            outcome: line.result.outcome.as_str().to_owned(),
            value: line.result.value,
            message: line.result.message.clone(),
            state: line.state.as_str().to_owned(),
        }
    }
}

impl TryFrom<Model> for MonitorLog {
    type Error = Failure;

    fn try_from(row: Model) -> Result<Self, Failure> {
        Ok(Self {
            id: MonitorLogId::from_uuid(row.id),
            monitor_id: MonitorId::from_uuid(row.monitor_id),
            at: time(row.at),
            result: MonitorResult { outcome: word(&row.outcome)?, value: row.value, message: row.message },
            state: word(&row.state)?,
        })
    }
}
