//! Schedules: a deployment's runs at recurring times.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    clock::{Timestamp, later},
    id::{DeploymentId, ProjectId, RunId, ScheduleId},
    model::{CronExpression, PrincipalRef, RunKind, TimeZoneName, patch::given},
    name::Slug,
    word_enum::word_enum,
};

/// The most runs that are started at once for times that were missed.
pub const MAX_CATCH_UP: usize = 10;

/// A time counts as missed when nobody noticed it for this long.
pub const MISSED_AFTER: Duration = Duration::from_secs(60);

word_enum! {
    /// What becomes of times at which no worker was there.
    pub enum MissedPolicy("missed") {
        /// Nothing.
        Skip = "skip",
        /// One run for all of them.
        RunOnce = "run_once",
        /// One run for each; of the latest [`MAX_CATCH_UP`], if they are more.
        RunAll = "run_all",
    }
}

/// Starts runs of a deployment at recurring times.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Schedule {
    /// The schedule's id.
    pub id: ScheduleId,
    /// The project it belongs to.
    pub project_id: ProjectId,
    /// What its runs act on.
    pub deployment_id: DeploymentId,
    /// Unique within the deployment.
    pub slug: Slug,
    /// When.
    pub cron: CronExpression,
    /// Where those times are read.
    pub time_zone: TimeZoneName,
    /// What its runs are for.
    pub kind: RunKind,
    /// What is passed along.
    pub context: Value,
    /// What becomes of times at which no worker was there.
    pub missed: MissedPolicy,
    /// Whether it fires.
    pub enabled: bool,
    /// Who made it, or changed it last: its runs are within the rights that they have at each time.
    pub owner: PrincipalRef,
    /// When it fires next; none while it is not enabled.
    pub next_fire_at: Option<Timestamp>,
    /// What came of it last.
    pub last_fire: Option<LastFire>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Grows at every change by somebody; firing is none.
    pub version: u64,
}

/// How a schedule fired.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LastFire {
    /// The time that it fired for.
    pub at: Timestamp,
    /// The run that it started, the last one of several.
    pub run_id: Option<RunId>,
    /// Why there is no run, or what else there is to say.
    pub message: String,
}

/// What is to be done about a schedule whose time has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueFires {
    /// The times to start a run for, oldest first.
    pub fires: Vec<Timestamp>,
    /// The latest time that has come.
    pub latest: Timestamp,
    /// Whether there were times for which no run is started.
    pub passed_over: bool,
    /// When it fires next.
    pub next_fire_at: Option<Timestamp>,
}

impl Schedule {
    /// When it fires next if it is looked at now.
    #[must_use]
    pub fn next_after(&self, now: Timestamp) -> Option<Timestamp> {
        if self.enabled { self.cron.next_after(&self.time_zone, now) } else { None }
    }

    /// Whether the other one fires at the same times.
    #[must_use]
    pub fn has_times_of(&self, other: &Self) -> bool {
        (&self.cron, &self.time_zone, self.enabled) == (&other.cron, &other.time_zone, other.enabled)
    }

    /// What is to be done by now; nothing if its time has not come.
    #[must_use]
    pub fn due(&self, now: Timestamp) -> Option<DueFires> {
        let first = self.next_fire_at.filter(|first| *first <= now)?;
        let mut times = self.cron.latest(&self.time_zone, first, now, MAX_CATCH_UP + 1);
        let latest = times.last().copied().unwrap_or(first);
        let came = times.len().max(1);
        let in_time = now <= later(latest, MISSED_AFTER);
        let fires = match self.missed {
            MissedPolicy::Skip if !in_time => Vec::new(),
            MissedPolicy::Skip | MissedPolicy::RunOnce => vec![latest],
            MissedPolicy::RunAll if times.is_empty() => vec![latest],
            MissedPolicy::RunAll => times.split_off(times.len().saturating_sub(MAX_CATCH_UP)),
        };
        Some(DueFires { passed_over: fires.len() < came, fires, latest, next_fire_at: self.next_after(now) })
    }
}

/// What a new schedule needs.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewSchedule {
    /// Unique within the deployment.
    pub slug: Slug,
    /// When.
    pub cron: CronExpression,
    /// Where those times are read; UTC if missing.
    #[serde(default = "TimeZoneName::utc")]
    pub time_zone: TimeZoneName,
    /// What its runs are for; `deploy` if missing.
    #[serde(default = "deploy")]
    pub kind: RunKind,
    /// What is passed along: a JSON object, for a service `{"env": {…}}`.
    #[serde(default = "empty")]
    pub context: Value,
    /// What becomes of times at which no worker was there; `skip` if missing.
    #[serde(default = "skip")]
    pub missed: MissedPolicy,
    /// Whether it fires; it does if missing.
    #[serde(default = "yes")]
    pub enabled: bool,
}

impl NewSchedule {
    /// Deploys at these times, with nothing else said.
    #[must_use]
    pub fn new(slug: Slug, cron: CronExpression) -> Self {
        Self { slug, cron, time_zone: TimeZoneName::utc(), kind: deploy(), context: empty(), missed: skip(), enabled: yes() }
    }
}

const fn deploy() -> RunKind {
    RunKind::Deploy
}

fn empty() -> Value {
    json!({})
}

const fn skip() -> MissedPolicy {
    MissedPolicy::Skip
}

const fn yes() -> bool {
    true
}

/// What to change of a schedule; what is missing stays. Whoever changes it answers for its runs from then on.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchedulePatch {
    /// When.
    #[serde(default, deserialize_with = "given")]
    pub cron: Option<CronExpression>,
    /// Where those times are read.
    #[serde(default, deserialize_with = "given")]
    pub time_zone: Option<TimeZoneName>,
    /// What its runs are for.
    #[serde(default, deserialize_with = "given")]
    pub kind: Option<RunKind>,
    /// What is passed along, as a whole.
    #[serde(default, deserialize_with = "given")]
    pub context: Option<Value>,
    /// What becomes of times at which no worker was there.
    #[serde(default, deserialize_with = "given")]
    pub missed: Option<MissedPolicy>,
    /// Whether it fires. What would have been while it did not is not missed.
    #[serde(default, deserialize_with = "given")]
    pub enabled: Option<bool>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn at(text: &str) -> Timestamp {
        format!("2026-01-{text}Z").parse().unwrap()
    }

    /// Daily at three, due at the 10th.
    fn daily(missed: MissedPolicy) -> Schedule {
        Schedule {
            id: ScheduleId::new(),
            project_id: ProjectId::new(),
            deployment_id: DeploymentId::new(),
            slug: Slug::new("nightly").unwrap(),
            cron: CronExpression::new("0 3 * * *").unwrap(),
            time_zone: TimeZoneName::utc(),
            kind: RunKind::Backup,
            context: empty(),
            missed,
            enabled: true,
            owner: PrincipalRef::Anonymous,
            next_fire_at: Some(at("10T03:00:00")),
            last_fire: None,
            created_at: at("01T00:00:00"),
            version: 1,
        }
    }

    #[test]
    fn nothing_before_its_time() {
        assert_eq!(daily(MissedPolicy::RunAll).due(at("10T02:59:59.999")), None);
        assert_eq!(Schedule { next_fire_at: None, ..daily(MissedPolicy::RunAll) }.due(at("31T00:00:00")), None);
    }

    #[test]
    fn in_time_all_policies_agree() {
        for missed in MissedPolicy::ALL {
            let due = daily(*missed).due(at("10T03:00:59")).unwrap();
            let at_three = at("10T03:00:00");
            let expected = DueFires { fires: vec![at_three], latest: at_three, passed_over: false, next_fire_at: Some(at("11T03:00:00")) };
            assert_eq!(due, expected, "{missed}");
        }
    }

    #[test]
    fn what_was_missed_follows_the_policy() {
        let due = |missed, now: &str| {
            let due = daily(missed).due(at(now)).unwrap();
            (due.fires.len(), due.fires.last().copied(), due.passed_over, due.next_fire_at.unwrap().to_string())
        };
        // Three days late, in the middle of the day: the 10th, 11th and 12th were missed.
        let next = "2026-01-13T03:00:00Z".to_owned();
        assert_eq!(due(MissedPolicy::Skip, "12T12:00:00"), (0, None, true, next.clone()));
        assert_eq!(due(MissedPolicy::RunOnce, "12T12:00:00"), (1, Some(at("12T03:00:00")), true, next.clone()));
        assert_eq!(due(MissedPolicy::RunAll, "12T12:00:00"), (3, Some(at("12T03:00:00")), false, next.clone()));
        // The last one is in time, the others were missed.
        assert_eq!(due(MissedPolicy::Skip, "12T03:00:10"), (1, Some(at("12T03:00:00")), true, next.clone()));
        assert_eq!(due(MissedPolicy::RunAll, "12T03:00:10"), (3, Some(at("12T03:00:00")), false, next));
        // Three weeks late: of 21 times the latest ten.
        let due = daily(MissedPolicy::RunAll).due(at("30T12:00:00")).unwrap();
        assert_eq!((due.fires.len(), due.fires[0], due.passed_over), (MAX_CATCH_UP, at("21T03:00:00"), true));
    }

    #[test]
    fn one_that_is_not_enabled_has_no_next_time() {
        let mut schedule = daily(MissedPolicy::Skip);
        assert_eq!(schedule.next_after(at("10T03:00:00")), Some(at("11T03:00:00")));
        schedule.enabled = false;
        assert_eq!(schedule.next_after(at("10T03:00:00")), None);
    }
}
