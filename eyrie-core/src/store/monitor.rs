//! Monitors and their logs.

use async_trait::async_trait;

use crate::{
    error::Result,
    id::{DeploymentId, MonitorId, MonitorLogId, ProjectId},
    model::{AuditEntry, Monitor, MonitorLog, MonitorResult, MonitorState},
    store::{Page, PageRequest},
};

/// Which monitors to list; what is missing does not matter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MonitorFilter {
    /// In this project.
    pub project: Option<ProjectId>,
    /// Of this deployment.
    pub deployment: Option<DeploymentId>,
    /// In this state.
    pub state: Option<MonitorState>,
}

/// A result to be recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct NewMonitorResult {
    /// Its id. The same once more is `AlreadyExists`, and counts for nothing.
    pub id: MonitorLogId,
    /// The monitor.
    pub monitor: MonitorId,
    /// What was found out.
    pub result: MonitorResult,
    /// Who says so. Kept if the state changes: all else is in the monitor's log.
    pub audit: AuditEntry,
}

/// Keeps monitors. Their status is the store's own: it changes by results, and by changes that make it unknown.
#[async_trait]
pub trait MonitorStore {
    /// Keeps a new monitor; its slug must be free in the deployment. Answers with it as it is kept: its state is unknown, since now
    /// by the store's clock.
    async fn create_monitor(&self, monitor: &Monitor, audit: &AuditEntry) -> Result<Monitor>;
    /// The monitor of that id.
    async fn monitor(&self, id: MonitorId) -> Result<Monitor>;
    /// Monitors in the order of their making.
    async fn monitors(&self, filter: MonitorFilter, page: PageRequest) -> Result<Page<Monitor>>;
    /// Replaces what people say of the monitor if the stored version is `monitor.version`; the stored version then is one more. The
    /// status stays, unless the monitor [is checked in another way](Monitor::is_checked_like): then it is unknown since now.
    async fn update_monitor(&self, monitor: &Monitor, audit: &AuditEntry) -> Result<Monitor>;
    /// Deletes the monitor. Its log can be read no more, and goes with the next [`sweep`](crate::store::RetentionStore::sweep)s.
    async fn delete_monitor(&self, id: MonitorId, audit: &AuditEntry) -> Result<()>;
}

/// Keeps what checks have found out.
#[async_trait]
pub trait MonitorLogStore {
    /// Keeps a result in the monitor's log and changes its status by it, in one transaction, by the store's clock. Answers with the
    /// monitor as it is now and the line of the log. `Conflict` when the monitor is not enabled.
    async fn record_monitor_result(&self, result: &NewMonitorResult) -> Result<(Monitor, MonitorLog)>;
    /// The monitor's results, newest first.
    async fn monitor_logs(&self, monitor: MonitorId, page: PageRequest) -> Result<Page<MonitorLog>>;
}
