//! Monitors and their logs.

use async_trait::async_trait;

use super::{
    MemoryStore,
    state::{State, free, get, need, newest_first, oldest_first, same_version},
};
use crate::{
    error::{Error, ErrorKind, Result},
    id::{MonitorId, MonitorLogId},
    model::{AuditEntry, Monitor, MonitorLog, MonitorStatus},
    store::{MonitorFilter, MonitorLogStore, MonitorStore, NewMonitorResult, Page, PageRequest},
};

impl State {
    fn check_monitor(&self, monitor: &Monitor, operation: &'static str) -> Result<()> {
        need(&self.deployments, monitor.deployment_id, "deployment")?;
        let others = self.monitors.values().filter(|other| other.id != monitor.id && other.deployment_id == monitor.deployment_id);
        free(others, operation, "the deployment has a monitor of that slug", |other| other.slug == monitor.slug)
    }
}

#[async_trait]
impl MonitorStore for MemoryStore {
    async fn create_monitor(&self, monitor: &Monitor, audit: &AuditEntry) -> Result<Monitor> {
        const OPERATION: &str = "create monitor";
        let mut state = self.state();
        free(state.monitors.keys(), OPERATION, "there is a monitor of that id", |id| *id == monitor.id)?;
        state.check_monitor(monitor, OPERATION)?;
        let kept = Monitor { status: MonitorStatus::unknown(self.now()), ..monitor.clone() };
        state.monitors.insert(kept.id, kept.clone());
        state.note(audit);
        Ok(kept)
    }

    async fn monitor(&self, id: MonitorId) -> Result<Monitor> {
        get(&self.state().monitors, id, "monitor")
    }

    async fn monitors(&self, filter: MonitorFilter, page: PageRequest) -> Result<Page<Monitor>> {
        let fits = |monitor: &Monitor| {
            filter.project.is_none_or(|project| project == monitor.project_id)
                && filter.deployment.is_none_or(|deployment| deployment == monitor.deployment_id)
                && filter.state.is_none_or(|state| state == monitor.status.state())
        };
        Ok(oldest_first(&self.state().monitors, &page, MonitorId::from_uuid, |monitor| monitor.id.uuid(), fits))
    }

    async fn update_monitor(&self, monitor: &Monitor, audit: &AuditEntry) -> Result<Monitor> {
        const OPERATION: &str = "update monitor";
        let mut state = self.state();
        let stored = get(&state.monitors, monitor.id, "monitor")?;
        same_version(stored.version, monitor.version, OPERATION)?;
        state.check_monitor(monitor, OPERATION)?;
        let status = if monitor.is_checked_like(&stored) { stored.status } else { MonitorStatus::unknown(self.now()) };
        let kept = Monitor { status, version: stored.version + 1, ..monitor.clone() };
        state.monitors.insert(kept.id, kept.clone());
        state.note(audit);
        Ok(kept)
    }

    async fn delete_monitor(&self, id: MonitorId, audit: &AuditEntry) -> Result<()> {
        let mut state = self.state();
        need(&state.monitors, id, "monitor")?;
        state.monitors.remove(&id);
        state.note(audit);
        Ok(())
    }
}

#[async_trait]
impl MonitorLogStore for MemoryStore {
    async fn record_monitor_result(&self, result: &NewMonitorResult) -> Result<(Monitor, MonitorLog)> {
        const OPERATION: &str = "record monitor result";
        let (mut state, now) = (self.state(), self.now());
        let stored = get(&state.monitors, result.monitor, "monitor")?;
        if !stored.enabled {
            return Err(Error::new(ErrorKind::Conflict, OPERATION, "the monitor is not enabled"));
        }
        free(state.monitor_logs.keys(), OPERATION, "there is a result of that id", |id| *id == result.id)?;
        let (monitor, line) = stored.take(result.id, &result.result, now);
        if monitor.status.state() != stored.status.state() {
            state.note(&result.audit);
        }
        state.monitors.insert(monitor.id, monitor.clone());
        state.monitor_logs.insert(line.id, line.clone());
        Ok((monitor, line))
    }

    async fn monitor_logs(&self, monitor: MonitorId, page: PageRequest) -> Result<Page<MonitorLog>> {
        let state = self.state();
        let is_there = state.monitors.contains_key(&monitor);
        let pick = |line: &MonitorLog| (is_there && line.monitor_id == monitor).then(|| line.clone());
        Ok(newest_first(&state.monitor_logs, &page, MonitorLogId::from_uuid, |line| line.id.uuid(), pick))
    }
}
