//! Schedules.

use async_trait::async_trait;

use crate::{
    clock::Timestamp,
    error::Result,
    id::{DeploymentId, ProjectId, ScheduleId},
    model::{AuditEntry, LastFire, Schedule},
    name::GroupType,
    store::{Enqueue, Enqueued, Page, PageRequest},
};

/// Which schedules to list; what is missing does not matter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScheduleFilter {
    /// In this project.
    pub project: Option<ProjectId>,
    /// Of this deployment.
    pub deployment: Option<DeploymentId>,
}

/// Schedules whose time has come.
#[derive(Debug, Clone, PartialEq)]
pub struct DueSchedules {
    /// By this time, which is the store's.
    pub now: Timestamp,
    /// The longest due first.
    pub schedules: Vec<Schedule>,
}

/// What comes of a schedule whose time has come.
#[derive(Debug, Clone)]
pub struct Fire {
    /// The schedule.
    pub schedule: ScheduleId,
    /// As of this version.
    pub version: u64,
    /// As due at this time.
    pub due_at: Timestamp,
    /// When it fires next.
    pub next_fire_at: Option<Timestamp>,
    /// How it fired.
    pub last_fire: LastFire,
    /// The runs to queue.
    pub runs: Vec<Enqueue>,
}

/// Keeps schedules. When one fires next is said by the store, by its own clock.
#[async_trait]
pub trait ScheduleStore {
    /// Keeps a new schedule; its slug must be free in the deployment. Answers with it as it is kept.
    async fn create_schedule(&self, schedule: &Schedule, audit: &AuditEntry) -> Result<Schedule>;
    /// The schedule of that id.
    async fn schedule(&self, id: ScheduleId) -> Result<Schedule>;
    /// Schedules in the order of their making.
    async fn schedules(&self, filter: ScheduleFilter, page: PageRequest) -> Result<Page<Schedule>>;
    /// Replaces what people say of the schedule if the stored version is `schedule.version`; the stored version then is one more.
    /// How it fired last stays, and when it fires next does unless its times changed: then what was due is dropped.
    async fn update_schedule(&self, schedule: &Schedule, audit: &AuditEntry) -> Result<Schedule>;
    /// Deletes the schedule. The runs that it started stay.
    async fn delete_schedule(&self, id: ScheduleId, audit: &AuditEntry) -> Result<()>;
    /// Up to `limit` schedules whose time has come, of deployments whose group is of one of these types: what a program does not know
    /// must not stand before what it does.
    async fn due_schedules(&self, types: &[GroupType], limit: u32) -> Result<DueSchedules>;
    /// Queues the runs and moves the schedule on, in one transaction. `Conflict` when it has fired or was changed since it was read,
    /// `NotFound` when it is gone: nothing is queued then.
    async fn fire_schedule(&self, fire: &Fire) -> Result<Vec<Enqueued>>;
}
