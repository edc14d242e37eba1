//! Schedules.

use async_trait::async_trait;

use super::{
    MemoryStore,
    state::{State, free, get, need, oldest_first, same_version},
};
use crate::{
    clock::Timestamp,
    error::{Error, ErrorKind, Result},
    id::ScheduleId,
    model::{AuditEntry, Schedule},
    name::GroupType,
    store::{DueSchedules, Enqueued, Fire, Page, PageRequest, ScheduleFilter, ScheduleStore},
};

impl State {
    fn check_schedule(&self, schedule: &Schedule, operation: &'static str) -> Result<()> {
        need(&self.deployments, schedule.deployment_id, "deployment")?;
        let others = self.schedules.values().filter(|other| other.id != schedule.id && other.deployment_id == schedule.deployment_id);
        free(others, operation, "the deployment has a schedule of that slug", |other| other.slug == schedule.slug)
    }

    /// When the next schedule fires.
    pub(super) fn next_fire_at(&self) -> Option<Timestamp> {
        self.schedules.values().filter_map(|schedule| schedule.next_fire_at).min()
    }
}

#[async_trait]
impl ScheduleStore for MemoryStore {
    async fn create_schedule(&self, schedule: &Schedule, audit: &AuditEntry) -> Result<Schedule> {
        const OPERATION: &str = "create schedule";
        let mut state = self.state();
        free(state.schedules.keys(), OPERATION, "there is a schedule of that id", |id| *id == schedule.id)?;
        state.check_schedule(schedule, OPERATION)?;
        let kept = Schedule { next_fire_at: schedule.next_after(self.now()), last_fire: None, ..schedule.clone() };
        state.schedules.insert(kept.id, kept.clone());
        state.note(audit);
        Ok(kept)
    }

    async fn schedule(&self, id: ScheduleId) -> Result<Schedule> {
        get(&self.state().schedules, id, "schedule")
    }

    async fn schedules(&self, filter: ScheduleFilter, page: PageRequest) -> Result<Page<Schedule>> {
        let fits = |schedule: &Schedule| {
            filter.project.is_none_or(|project| project == schedule.project_id)
                && filter.deployment.is_none_or(|deployment| deployment == schedule.deployment_id)
        };
        let state = self.state();
        Ok(oldest_first(&state.schedules, &page, ScheduleId::from_uuid, |schedule| schedule.id.uuid(), fits))
    }

    async fn update_schedule(&self, schedule: &Schedule, audit: &AuditEntry) -> Result<Schedule> {
        const OPERATION: &str = "update schedule";
        let mut state = self.state();
        let stored = get(&state.schedules, schedule.id, "schedule")?;
        same_version(stored.version, schedule.version, OPERATION)?;
        state.check_schedule(schedule, OPERATION)?;
        let next_fire_at = if schedule.has_times_of(&stored) { stored.next_fire_at } else { schedule.next_after(self.now()) };
        let kept = Schedule { version: stored.version + 1, next_fire_at, last_fire: stored.last_fire, ..schedule.clone() };
        state.schedules.insert(kept.id, kept.clone());
        state.note(audit);
        Ok(kept)
    }

    async fn delete_schedule(&self, id: ScheduleId, audit: &AuditEntry) -> Result<()> {
        let mut state = self.state();
        need(&state.schedules, id, "schedule")?;
        state.schedules.remove(&id);
        state.note(audit);
        Ok(())
    }

    async fn due_schedules(&self, types: &[GroupType], limit: u32) -> Result<DueSchedules> {
        let (state, now) = (self.state(), self.now());
        let group_of = |schedule: &Schedule| state.groups.get(&state.deployments.get(&schedule.deployment_id)?.group_id);
        let is_known = |schedule: &Schedule| group_of(schedule).is_some_and(|group| types.contains(&group.group_type));
        let is_due = |schedule: &&Schedule| schedule.next_fire_at.is_some_and(|at| at <= now) && is_known(schedule);
        let mut schedules: Vec<_> = state.schedules.values().filter(is_due).cloned().collect();
        schedules.sort_by_key(|schedule| (schedule.next_fire_at, schedule.id));
        schedules.truncate(limit as usize);
        Ok(DueSchedules { now, schedules })
    }

    async fn fire_schedule(&self, fire: &Fire) -> Result<Vec<Enqueued>> {
        const OPERATION: &str = "fire schedule";
        let (mut state, now) = (self.state(), self.now());
        let stored = get(&state.schedules, fire.schedule, "schedule")?;
        same_version(stored.version, fire.version, OPERATION)?;
        if stored.next_fire_at != Some(fire.due_at) {
            return Err(Error::new(ErrorKind::Conflict, OPERATION, "it has fired since it was read"));
        }
        let queued = state.enqueue(&fire.runs, now).into_iter().collect::<Result<Vec<_>>>()?;
        let fired = Schedule { next_fire_at: fire.next_fire_at, last_fire: Some(fire.last_fire.clone()), ..stored };
        state.schedules.insert(fired.id, fired);
        Ok(queued)
    }
}
