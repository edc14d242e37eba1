//! Schedules whose time has come: their runs are planned and queued.

use sha2::{Digest, Sha256};

use crate::{
    access::Permission,
    clock::Timestamp,
    error::{ErrorKind, Result, report},
    id::RunId,
    model::{DueFires, LastFire, MissedPolicy, Principal, RunState, Schedule},
    name::Origin,
    platform::{Acting, Eyrie, StartRun},
    store::{Enqueue, Fire, RequestKey},
};

/// How many schedules are read at a time.
const BATCH: u32 = 100;

/// The longest message that is kept with a schedule, in characters.
const MAX_MESSAGE: usize = 500;

/// What a schedule starts, and what there is to say about it.
#[derive(Default)]
struct Started {
    runs: Vec<Enqueue>,
    message: String,
    /// A run that was started before and is still to begin.
    waits: Option<RunId>,
}

impl Started {
    fn nothing(message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::default() }
    }
}

impl Eyrie {
    /// Starts the runs of all schedules whose time has come, and says how many schedules that were. Those of deployments whose type
    /// this program does not know are left to workers that do. One of which the store says that another worker was faster, or somebody
    /// changed it, is left to them; one that fails for now is left for the next time.
    pub(super) async fn fire_schedules(&self) -> Result<usize> {
        let types: Vec<_> = self.0.types.keys().cloned().collect();
        let mut fired = 0;
        loop {
            let (due, before) = (self.store().due_schedules(&types, BATCH).await?, fired);
            let mut failed = None;
            for schedule in due.schedules {
                match self.fire(&schedule, due.now).await {
                    Ok(()) => fired += 1,
                    Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::NotFound) => {}
                    Err(error) => {
                        tracing::warn!(schedule = %schedule.id, error = %report(&error), "the schedule could not fire");
                        failed = Some(error);
                    }
                }
            }
            match failed {
                Some(error) => return Err(error),
                None if fired == before => return Ok(fired),
                None => {}
            }
        }
    }

    async fn fire(&self, schedule: &Schedule, now: Timestamp) -> Result<()> {
        let (Some(due), Some(due_at)) = (schedule.due(now), schedule.next_fire_at) else { return Ok(()) };
        let Started { runs, message, waits } = match self.started_by(schedule, &due).await {
            Ok(started) => started,
            Err(error) if error.is_retryable() => return Err(error),
            Err(error) => Started::nothing(format!("no run was started: {error}")),
        };
        let run_id = runs.last().map(|last| last.run.id).or(waits);
        let last_fire = LastFire { at: due.latest, run_id, message: message.chars().take(MAX_MESSAGE).collect() };
        let (count, next_fire_at) = (runs.len(), due.next_fire_at);
        let fire = Fire { schedule: schedule.id, version: schedule.version, due_at, next_fire_at, last_fire, runs };
        self.0.engine.fire_schedule(&fire).await?;
        tracing::info!(schedule = %schedule.id, at = %due.latest, runs = count, message, "schedule fired");
        Ok(())
    }

    /// The runs that the schedule is to start, planned within the rights of who answers for it.
    async fn started_by(&self, schedule: &Schedule, due: &DueFires) -> Result<Started> {
        let owner = match self.principal_of(&schedule.owner, &Origin::new("schedule")?).await? {
            Ok(owner) => owner,
            Err(reason) => return Ok(Started::nothing(format!("no run was started: {reason}"))),
        };
        let acting = self.acting_as(Principal::Deputy { cause: format!("schedule {}", schedule.slug), of: Box::new(owner) });
        let deployment = match acting.deployment_for(schedule.deployment_id, Permission::RunStart).await {
            Ok(deployment) => deployment,
            Err(error) if matches!(error.kind(), ErrorKind::Denied | ErrorKind::NotFound) => {
                return Ok(Started::nothing(format!("no run was started: {} may no longer start runs here", schedule.owner)));
            }
            Err(error) => return Err(error),
        };
        if due.fires.is_empty() {
            return Ok(Started::nothing("missed"));
        }
        if let Some(run) = acting.waiting_run(schedule).await? {
            let message = "no run was started: the one before still waits in the queue".to_owned();
            return Ok(Started { message, waits: Some(run), ..Started::default() });
        }
        let start = StartRun { kind: schedule.kind, context: schedule.context.clone(), ..StartRun::default() };
        let plan = acting.plan(&deployment, &start).await?;
        let mut runs = Vec::with_capacity(due.fires.len());
        for at in &due.fires {
            let start = StartRun { not_before: Some(*at), ..start.clone() };
            let run = acting.prepare(&deployment, &plan, start).await?;
            runs.push(Enqueue { request_key: Some(key(schedule, *at)), ..run });
        }
        let message = if due.passed_over { "other times were missed" } else { "" };
        Ok(Started { runs, message: message.to_owned(), waits: None })
    }
}

impl Acting {
    /// The schedule's latest run, if it has not begun: another one behind it would do the same once more. Where each time is to have a
    /// run of its own, that is as it should be.
    async fn waiting_run(&self, schedule: &Schedule) -> Result<Option<RunId>> {
        let latest = schedule.last_fire.as_ref().and_then(|last| last.run_id);
        let Some(latest) = latest.filter(|_| schedule.missed != MissedPolicy::RunAll) else { return Ok(None) };
        match self.store().run(latest).await {
            Ok(run) => Ok(Some(latest).filter(|_| run.state == RunState::Queued && run.started_at.is_none())),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// A schedule starts one run for a time, whatever clocks and people do to it.
fn key(schedule: &Schedule, at: Timestamp) -> RequestKey {
    let key = format!("schedule {}\n{at}", schedule.id);
    RequestKey { content: Sha256::digest(key.as_bytes()).into(), key }
}
