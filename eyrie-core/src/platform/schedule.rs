//! Schedules: made, looked at, changed, deleted.

use serde_json::Value;

use crate::{
    access::Permission,
    error::{Error, ErrorKind, Result},
    id::{DeploymentId, ScheduleId},
    model::{Deployment, NewSchedule, PrincipalRef, RunKind, Schedule, SchedulePatch},
    platform::{Acting, Resource, StartRun, run::check_context},
    store::{Page, PageRequest, ScheduleFilter},
};

/// The most schedules of one deployment.
const MAX_SCHEDULES: u32 = 100;

impl Acting {
    /// Makes a schedule of a deployment's runs, which are within the rights that the caller has each time it fires.
    ///
    /// # Errors
    /// `AlreadyExists` when the slug is taken in the deployment; as [`start_run`](Self::start_run) for a run that could not be planned
    /// now either.
    pub async fn create_schedule(&self, deployment: DeploymentId, new: NewSchedule) -> Result<Schedule> {
        let deployment = self.deployment_for(deployment, Permission::ScheduleCreate).await?;
        self.check_run(&deployment, new.kind, &new.context).await?;
        let filter = ScheduleFilter { deployment: Some(deployment.id), ..ScheduleFilter::default() };
        let others = self.store().schedules(filter, PageRequest::first(MAX_SCHEDULES)?).await?;
        if others.items.len() >= MAX_SCHEDULES as usize {
            let message = format!("a deployment can have at most {MAX_SCHEDULES} schedules");
            return Err(Error::new(ErrorKind::LimitExceeded, "create schedule", message));
        }
        let schedule = Schedule {
            id: ScheduleId::new(),
            project_id: deployment.project_id,
            deployment_id: deployment.id,
            slug: new.slug,
            cron: new.cron,
            time_zone: new.time_zone,
            kind: new.kind,
            context: new.context,
            missed: new.missed,
            enabled: new.enabled,
            owner: PrincipalRef::from(&self.principal),
            next_fire_at: None,
            last_fire: None,
            created_at: self.now(),
            version: 1,
        };
        let audit = self.allowed(Permission::ScheduleCreate.as_str(), format!("schedule {}", schedule.id), Some(deployment.project_id));
        self.store().create_schedule(&schedule, &audit).await
    }

    /// The schedule of that id.
    ///
    /// # Errors
    /// `NotFound`, also for what the principal may not read.
    pub async fn schedule(&self, id: ScheduleId) -> Result<Schedule> {
        self.schedule_for(id, Permission::ProjectRead).await
    }

    /// A deployment's schedules in the order of their making.
    ///
    /// # Errors
    /// `NotFound`, also for a deployment that the principal may not read.
    pub async fn schedules(&self, deployment: DeploymentId, page: PageRequest) -> Result<Page<Schedule>> {
        self.deployment_for(deployment, Permission::ProjectRead).await?;
        self.store().schedules(ScheduleFilter { deployment: Some(deployment), ..ScheduleFilter::default() }, page).await
    }

    /// Changes a schedule that still has the version that was read. Its runs are within the caller's rights from then on.
    ///
    /// # Errors
    /// `Conflict` when it has changed since; otherwise as for [`create_schedule`](Self::create_schedule).
    pub async fn update_schedule(&self, id: ScheduleId, version: u64, patch: SchedulePatch) -> Result<Schedule> {
        let mut schedule = self.schedule_for(id, Permission::ScheduleUpdate).await?;
        schedule.version = version;
        schedule.cron = patch.cron.unwrap_or(schedule.cron);
        schedule.time_zone = patch.time_zone.unwrap_or(schedule.time_zone);
        schedule.missed = patch.missed.unwrap_or(schedule.missed);
        schedule.enabled = patch.enabled.unwrap_or(schedule.enabled);
        if patch.kind.is_some() || patch.context.is_some() {
            schedule.kind = patch.kind.unwrap_or(schedule.kind);
            schedule.context = patch.context.unwrap_or(schedule.context);
            let deployment = self.store().deployment(schedule.deployment_id).await?;
            self.check_run(&deployment, schedule.kind, &schedule.context).await?;
        }
        schedule.owner = PrincipalRef::from(&self.principal);
        let audit = self.allowed(Permission::ScheduleUpdate.as_str(), format!("schedule {id}"), Some(schedule.project_id));
        self.store().update_schedule(&schedule, &audit).await
    }

    /// Deletes a schedule; the runs that it started stay.
    ///
    /// # Errors
    /// `NotFound`, also for what the principal may not read.
    pub async fn delete_schedule(&self, id: ScheduleId) -> Result<()> {
        let schedule = self.schedule_for(id, Permission::ScheduleDelete).await?;
        let audit = self.allowed(Permission::ScheduleDelete.as_str(), format!("schedule {id}"), Some(schedule.project_id));
        self.store().delete_schedule(id, &audit).await
    }

    async fn schedule_for(&self, id: ScheduleId, permission: Permission) -> Result<Schedule> {
        let schedule = self.store().schedule(id).await?;
        self.require(permission, &Resource::scheduled(id, schedule.deployment_id, schedule.project_id)).await?;
        Ok(schedule)
    }

    /// Refuses what could not be run now either.
    async fn check_run(&self, deployment: &Deployment, kind: RunKind, context: &Value) -> Result<()> {
        check_context(context)?;
        let start = StartRun { kind, context: context.clone(), ..StartRun::default() };
        let plan = self.plan(deployment, &start).await?;
        self.pin_secrets(deployment, &plan).await?;
        Ok(self.eyrie.0.engine.registry().check(&plan)?)
    }
}
