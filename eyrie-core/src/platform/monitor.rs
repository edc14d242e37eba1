//! Monitors: made, looked at, changed, deleted, and what checks found out.

use serde::Serialize;

use crate::{
    access::Permission,
    error::{Error, ErrorKind, Result},
    id::{DeploymentId, MonitorId, MonitorLogId},
    model::{Monitor, MonitorLog, MonitorPatch, MonitorResult, MonitorStatus, NewMonitor},
    platform::{Acting, Resource},
    store::{MonitorFilter, NewMonitorResult, Page, PageRequest},
};

/// The most monitors of one deployment.
const MAX_MONITORS: u32 = 100;

/// A result that was recorded, and the monitor as it is now.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RecordedResult {
    /// The monitor.
    pub monitor: Monitor,
    /// The line of its log.
    pub log: MonitorLog,
}

impl Acting {
    /// Makes a monitor of a deployment.
    ///
    /// # Errors
    /// `AlreadyExists` when the slug is taken in the deployment; `Invalid` names the field; `LimitExceeded` for too many.
    pub async fn create_monitor(&self, deployment: DeploymentId, new: NewMonitor) -> Result<Monitor> {
        let deployment = self.deployment_for(deployment, Permission::MonitorCreate).await?;
        let monitor = Monitor {
            id: MonitorId::new(),
            project_id: deployment.project_id,
            deployment_id: deployment.id,
            slug: new.slug,
            check: new.check,
            interval_seconds: new.interval_seconds,
            thresholds: new.thresholds,
            enabled: new.enabled,
            status: MonitorStatus::unknown(self.now()),
            created_at: self.now(),
            version: 1,
        };
        monitor.check()?;
        let filter = MonitorFilter { deployment: Some(deployment.id), ..MonitorFilter::default() };
        let others = self.store().monitors(filter, PageRequest::first(MAX_MONITORS)?).await?;
        if others.items.len() >= MAX_MONITORS as usize {
            let message = format!("a deployment can have at most {MAX_MONITORS} monitors");
            return Err(Error::new(ErrorKind::LimitExceeded, "create monitor", message));
        }
        let audit = self.allowed(Permission::MonitorCreate.as_str(), format!("monitor {}", monitor.id), Some(deployment.project_id));
        self.store().create_monitor(&monitor, &audit).await
    }

    /// The monitor of that id, with its state.
    ///
    /// # Errors
    /// `NotFound`, also for what the principal may not read.
    pub async fn monitor(&self, id: MonitorId) -> Result<Monitor> {
        self.monitor_for(id, Permission::ProjectRead).await
    }

    /// A deployment's monitors in the order of their making; with `state`, those in that state.
    ///
    /// # Errors
    /// `NotFound`, also for a deployment that the principal may not read.
    pub async fn monitors(&self, deployment: DeploymentId, filter: MonitorFilter, page: PageRequest) -> Result<Page<Monitor>> {
        self.deployment_for(deployment, Permission::ProjectRead).await?;
        self.store().monitors(MonitorFilter { deployment: Some(deployment), ..filter }, page).await
    }

    /// A monitor's results, newest first.
    ///
    /// # Errors
    /// `NotFound`, also for a monitor that the principal may not read.
    pub async fn monitor_logs(&self, id: MonitorId, page: PageRequest) -> Result<Page<MonitorLog>> {
        self.monitor_for(id, Permission::ProjectRead).await?;
        self.store().monitor_logs(id, page).await
    }

    /// Changes a monitor that still has the version that was read.
    ///
    /// # Errors
    /// `Conflict` when it has changed since; `Invalid` names the field.
    pub async fn update_monitor(&self, id: MonitorId, version: u64, patch: MonitorPatch) -> Result<Monitor> {
        let mut monitor = self.monitor_for(id, Permission::MonitorUpdate).await?;
        monitor.version = version;
        monitor.check = patch.check.unwrap_or(monitor.check);
        monitor.interval_seconds = patch.interval_seconds.unwrap_or(monitor.interval_seconds);
        monitor.thresholds = patch.thresholds.unwrap_or(monitor.thresholds);
        monitor.enabled = patch.enabled.unwrap_or(monitor.enabled);
        monitor.check()?;
        let audit = self.allowed(Permission::MonitorUpdate.as_str(), format!("monitor {id}"), Some(monitor.project_id));
        self.store().update_monitor(&monitor, &audit).await
    }

    /// Deletes a monitor with its log.
    ///
    /// # Errors
    /// `NotFound`, also for what the principal may not read.
    pub async fn delete_monitor(&self, id: MonitorId) -> Result<()> {
        let monitor = self.monitor_for(id, Permission::MonitorDelete).await?;
        let audit = self.allowed(Permission::MonitorDelete.as_str(), format!("monitor {id}"), Some(monitor.project_id));
        self.store().delete_monitor(id, &audit).await
    }

    /// Records what a check outside this program has found out. The monitor's log keeps it; the audit keeps it where it changes the
    /// monitor's state.
    ///
    /// # Errors
    /// `Conflict` when the monitor is not enabled; `Invalid` names the field.
    pub async fn record_monitor_result(&self, id: MonitorId, result: MonitorResult) -> Result<RecordedResult> {
        let monitor = self.monitor_for(id, Permission::MonitorRecord).await?;
        let result = result.checked()?;
        let mut audit = self.allowed(Permission::MonitorRecord.as_str(), format!("monitor {id}"), Some(monitor.project_id));
        audit.reason = format!("{} in state {}", result.outcome, monitor.status.state());
        let new = NewMonitorResult { id: MonitorLogId::new(), monitor: id, result, audit };
        let (monitor, log) = self.store().record_monitor_result(&new).await?;
        Ok(RecordedResult { monitor, log })
    }

    async fn monitor_for(&self, id: MonitorId, permission: Permission) -> Result<Monitor> {
        let monitor = self.store().monitor(id).await?;
        self.require(permission, &Resource::monitor(id, monitor.deployment_id, monitor.project_id)).await?;
        Ok(monitor)
    }
}
