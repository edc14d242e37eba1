//! Monitors: checks on a deployment, and what their results make of its state.
//!
//! Each result is graded by itself: a failed one is as bad as an error; one with a value is as bad as the bound that the value is
//! above. Then so many bad results one behind the other make a warning, and so many very bad ones an error; one good result makes
//! everything good again. A result that says that nothing could be found out makes the state unknown.
//!
//! ```
//! use eyrie_core::model::{MonitorOutcome, MonitorResult, MonitorState, MonitorStatus, MonitorThresholds};
//!
//! let thresholds = MonitorThresholds { warning_after: 1, error_after: 3, ..MonitorThresholds::default() };
//! let failed = MonitorResult::new(MonitorOutcome::Failed);
//! let now = eyrie_core::Timestamp::UNIX_EPOCH;
//! let once = MonitorStatus::unknown(now).after(&thresholds, &failed, now);
//! assert_eq!(once.state(), MonitorState::Warning);
//! let thrice = once.after(&thresholds, &failed, now).after(&thresholds, &failed, now);
//! assert_eq!(thrice.state(), MonitorState::Error);
//! assert_eq!(thrice.after(&thresholds, &MonitorResult::new(MonitorOutcome::Passed), now).state(), MonitorState::Ok);
//! ```

use serde::{Deserialize, Serialize};

use crate::{
    address::HttpUrl,
    clock::Timestamp,
    error::Invalid,
    id::{DeploymentId, MonitorId, MonitorLogId, ProjectId},
    model::patch::given,
    name::Slug,
    word_enum::word_enum,
};

/// The bounds of an interval, in seconds: ten seconds to a day.
const INTERVAL: std::ops::RangeInclusive<u32> = 10..=86_400;
/// The longest time-out of a request, in seconds.
const MAX_TIMEOUT: u32 = 60;
/// The most results that a threshold can count.
const MAX_COUNT: u32 = 1000;
/// The longest message of a result, in characters.
const MAX_MESSAGE: usize = 1000;

word_enum! {
    /// How a monitor's deployment is doing.
    pub enum MonitorState("state") {
        /// Well.
        Ok = "ok",
        /// Not quite well.
        Warning = "warning",
        /// Badly.
        Error = "error",
        /// Nobody knows.
        Unknown = "unknown",
    }
}
word_enum! {
    /// What a check found out.
    pub enum MonitorOutcome("outcome") {
        /// It is as it should be; a value may say otherwise.
        Passed = "passed",
        /// It is not.
        Failed = "failed",
        /// The check itself could not be made.
        Unknown = "unknown",
    }
}
word_enum! {
    /// How a request is made.
    pub enum HttpMethod("method") {
        /// `GET`.
        Get = "GET",
        /// `HEAD`.
        Head = "HEAD",
        /// `POST`, without a body.
        Post = "POST",
    }
}
word_enum! {
    /// What of a deployment is measured, in percent of what it may use.
    pub enum ResourceKind("kind") {
        /// Processor time.
        Cpu = "cpu",
        /// Memory.
        Memory = "memory",
        /// Room on its volumes.
        Storage = "storage",
    }
}

/// What is checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum MonitorCheck {
    /// A request over HTTP. Its value is how long the answer took, in milliseconds.
    HttpRequest {
        /// What is asked.
        url: HttpUrl,
        /// How; `GET` if missing.
        #[serde(default = "get")]
        method: HttpMethod,
        /// The status that is as it should be, 100 to 599; 200 if missing.
        #[serde(default = "success")]
        expected_status: u16,
        /// After how many seconds there is no answer, 1 to 60; 10 if missing.
        #[serde(default = "ten")]
        timeout_seconds: u32,
    },
    /// How much of a resource the deployment uses. Its value is the percentage.
    Resource {
        /// Of which.
        kind: ResourceKind,
    },
}

const fn get() -> HttpMethod {
    HttpMethod::Get
}

const fn success() -> u16 {
    200
}

const fn ten() -> u32 {
    10
}

impl MonitorCheck {
    /// Refuses what could not be checked.
    fn check(&self) -> Result<(), Invalid> {
        let Self::HttpRequest { expected_status, timeout_seconds, .. } = self else { return Ok(()) };
        if !(100..=599).contains(expected_status) {
            return Err(Invalid::new("check.expected_status", "must be 100 to 599"));
        }
        if !(1..=MAX_TIMEOUT).contains(timeout_seconds) {
            return Err(Invalid::new("check.timeout_seconds", format!("must be 1 to {MAX_TIMEOUT}")));
        }
        Ok(())
    }
}

/// When results are bad, and how many of them make a state.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MonitorThresholds {
    /// A value above this is bad. None: no value is.
    pub warning_above: Option<f64>,
    /// A value above this is very bad, as a failed check is. None: no value is.
    pub error_above: Option<f64>,
    /// So many bad results one behind the other make a warning, from 1.
    pub warning_after: u32,
    /// So many very bad ones make an error; not fewer than make a warning.
    pub error_after: u32,
}

impl Default for MonitorThresholds {
    /// One failed check makes a warning, three make an error; values do not matter.
    fn default() -> Self {
        Self { warning_above: None, error_above: None, warning_after: 1, error_after: 3 }
    }
}

impl MonitorThresholds {
    fn check(&self) -> Result<(), Invalid> {
        for (field, bound) in [("warning_above", self.warning_above), ("error_above", self.error_above)] {
            if bound.is_some_and(|bound| !bound.is_finite() || bound < 0.0) {
                return Err(Invalid::new(format!("thresholds.{field}"), "must be a number from 0"));
            }
        }
        if let (Some(warning), Some(error)) = (self.warning_above, self.error_above)
            && error < warning
        {
            return Err(Invalid::new("thresholds.error_above", "must not be less than warning_above"));
        }
        if !(1..=MAX_COUNT).contains(&self.warning_after) {
            return Err(Invalid::new("thresholds.warning_after", format!("must be 1 to {MAX_COUNT}")));
        }
        if !(self.warning_after..=MAX_COUNT).contains(&self.error_after) {
            return Err(Invalid::new("thresholds.error_after", format!("must be from warning_after to {MAX_COUNT}")));
        }
        Ok(())
    }

    /// How bad one result is by itself.
    #[must_use]
    pub fn grade(&self, result: &MonitorResult) -> MonitorState {
        let is_above = |bound: Option<f64>| matches!((result.value, bound), (Some(value), Some(bound)) if value > bound);
        match result.outcome {
            MonitorOutcome::Unknown => MonitorState::Unknown,
            MonitorOutcome::Failed => MonitorState::Error,
            MonitorOutcome::Passed if is_above(self.error_above) => MonitorState::Error,
            MonitorOutcome::Passed if is_above(self.warning_above) => MonitorState::Warning,
            MonitorOutcome::Passed => MonitorState::Ok,
        }
    }
}

/// What a check has found out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MonitorResult {
    /// Whether it is as it should be.
    pub outcome: MonitorOutcome,
    /// What was measured, in the unit of the check.
    #[serde(default)]
    pub value: Option<f64>,
    /// What else there is to say.
    #[serde(default)]
    pub message: String,
}

impl MonitorResult {
    /// That outcome, with nothing else said.
    #[must_use]
    pub const fn new(outcome: MonitorOutcome) -> Self {
        Self { outcome, value: None, message: String::new() }
    }

    /// Refuses what cannot be kept; control characters are taken out of the message, and what is too long of it is cut.
    pub(crate) fn checked(mut self) -> Result<Self, Invalid> {
        if self.value.is_some_and(|value| !value.is_finite()) {
            return Err(Invalid::new("value", "must be a finite number"));
        }
        self.message = self.message.chars().filter(|c| !c.is_control()).take(MAX_MESSAGE).collect();
        Ok(self)
    }
}

/// The state of a monitor, and what its latest results count for. It changes by results alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MonitorStatus {
    state: MonitorState,
    since: Timestamp,
    checked_at: Option<Timestamp>,
    bad: u32,
    very_bad: u32,
}

impl MonitorStatus {
    /// That of a monitor without results.
    #[must_use]
    pub const fn unknown(since: Timestamp) -> Self {
        Self { state: MonitorState::Unknown, since, checked_at: None, bad: 0, very_bad: 0 }
    }

    /// As a store has kept it.
    #[must_use]
    pub const fn from_row(state: MonitorState, since: Timestamp, checked_at: Option<Timestamp>, bad: u32, very_bad: u32) -> Self {
        Self { state, since, checked_at, bad, very_bad }
    }

    /// The status after one more result: the one total function of it.
    ///
    /// While too few bad results make a warning the state stays as it was, so that a single one is no alarm where it should not be.
    #[must_use]
    pub fn after(self, thresholds: &MonitorThresholds, result: &MonitorResult, at: Timestamp) -> Self {
        let (bad, very_bad) = match thresholds.grade(result) {
            MonitorState::Ok | MonitorState::Unknown => (0, 0),
            MonitorState::Warning => (self.bad.saturating_add(1), 0),
            MonitorState::Error => (self.bad.saturating_add(1), self.very_bad.saturating_add(1)),
        };
        let state = match thresholds.grade(result) {
            MonitorState::Ok => MonitorState::Ok,
            MonitorState::Unknown => MonitorState::Unknown,
            _ if very_bad >= thresholds.error_after => MonitorState::Error,
            _ if bad >= thresholds.warning_after => MonitorState::Warning,
            _ => self.state,
        };
        let since = if state == self.state { self.since } else { at };
        Self { state, since, checked_at: Some(at), bad, very_bad }
    }

    /// The state.
    #[must_use]
    pub const fn state(&self) -> MonitorState {
        self.state
    }

    /// Since when it has been so.
    #[must_use]
    pub const fn since(&self) -> Timestamp {
        self.since
    }

    /// When the latest result came.
    #[must_use]
    pub const fn checked_at(&self) -> Option<Timestamp> {
        self.checked_at
    }

    /// How many of the latest results were bad, one behind the other.
    #[must_use]
    pub const fn bad(&self) -> u32 {
        self.bad
    }

    /// How many of them were very bad.
    #[must_use]
    pub const fn very_bad(&self) -> u32 {
        self.very_bad
    }
}

/// A check on a deployment. It goes with the deployment, and its log with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Monitor {
    /// The monitor's id.
    pub id: MonitorId,
    /// The project it belongs to.
    pub project_id: ProjectId,
    /// What it watches.
    pub deployment_id: DeploymentId,
    /// Unique within the deployment.
    pub slug: Slug,
    /// What is checked.
    pub check: MonitorCheck,
    /// How often, in seconds.
    pub interval_seconds: u32,
    /// What results make of the state.
    pub thresholds: MonitorThresholds,
    /// Whether it is checked; one that is not takes no results.
    pub enabled: bool,
    /// How the deployment is doing.
    pub status: MonitorStatus,
    /// When it was made.
    pub created_at: Timestamp,
    /// Grows at every change by somebody; a result is none.
    pub version: u64,
}

impl Serialize for Monitor {
    /// The status stands among the other fields.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Flat<'a> {
            id: MonitorId,
            project_id: ProjectId,
            deployment_id: DeploymentId,
            slug: &'a Slug,
            check: &'a MonitorCheck,
            interval_seconds: u32,
            thresholds: &'a MonitorThresholds,
            enabled: bool,
            state: MonitorState,
            since: Timestamp,
            checked_at: Option<Timestamp>,
            created_at: Timestamp,
            version: u64,
        }
        let Self { id, project_id, deployment_id, slug, check, interval_seconds, thresholds, enabled, status, created_at, version } = self;
        let flat = Flat {
            id: *id,
            project_id: *project_id,
            deployment_id: *deployment_id,
            slug,
            check,
            interval_seconds: *interval_seconds,
            thresholds,
            enabled: *enabled,
            state: status.state(),
            since: status.since(),
            checked_at: status.checked_at(),
            created_at: *created_at,
            version: *version,
        };
        flat.serialize(serializer)
    }
}

impl Monitor {
    /// Refuses what could not be checked, by the field's name.
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        self.check.check()?;
        self.thresholds.check()?;
        if INTERVAL.contains(&self.interval_seconds) {
            return Ok(());
        }
        Err(Invalid::new("interval_seconds", format!("must be {} to {}", INTERVAL.start(), INTERVAL.end())))
    }

    /// The monitor after one more result, and the line of its log. Shared by every store, so that they cannot differ in it. Times of
    /// results never go back, whatever the clock does.
    #[must_use]
    pub fn take(&self, id: MonitorLogId, result: &MonitorResult, now: Timestamp) -> (Self, MonitorLog) {
        let at = self.status.checked_at.map_or(now, |last| last.max(now));
        let status = self.status.after(&self.thresholds, result, at);
        let line = MonitorLog { id, monitor_id: self.id, at, result: result.clone(), state: status.state };
        (Self { status, ..self.clone() }, line)
    }

    /// Whether results of the other one say the same of this one: else what is known is no longer so.
    #[must_use]
    pub fn is_checked_like(&self, other: &Self) -> bool {
        (&self.check, &self.thresholds, self.enabled) == (&other.check, &other.thresholds, other.enabled)
    }
}

/// One result of a monitor, as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MonitorLog {
    /// The result's id.
    pub id: MonitorLogId,
    /// The monitor.
    pub monitor_id: MonitorId,
    /// When it came, by the store's clock.
    pub at: Timestamp,
    /// What was found out.
    #[serde(flatten)]
    pub result: MonitorResult,
    /// The state of the monitor after it.
    pub state: MonitorState,
}

/// What a new monitor needs.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewMonitor {
    /// Unique within the deployment.
    pub slug: Slug,
    /// What is checked.
    pub check: MonitorCheck,
    /// How often, in seconds; 60 if missing.
    #[serde(default = "minute")]
    pub interval_seconds: u32,
    /// What results make of the state; by default one failed check makes a warning and three an error.
    #[serde(default)]
    pub thresholds: MonitorThresholds,
    /// Whether it is checked; it is if missing.
    #[serde(default = "yes")]
    pub enabled: bool,
}

impl NewMonitor {
    /// Checks this once a minute, with nothing else said.
    #[must_use]
    pub fn new(slug: Slug, check: MonitorCheck) -> Self {
        Self { slug, check, interval_seconds: minute(), thresholds: MonitorThresholds::default(), enabled: yes() }
    }
}

const fn minute() -> u32 {
    60
}

const fn yes() -> bool {
    true
}

/// What to change of a monitor; what is missing stays. Another check, other thresholds, or taking it in or out of use make its state
/// unknown.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MonitorPatch {
    /// What is checked, as a whole.
    #[serde(default, deserialize_with = "given")]
    pub check: Option<MonitorCheck>,
    /// How often, in seconds.
    #[serde(default, deserialize_with = "given")]
    pub interval_seconds: Option<u32>,
    /// What results make of the state, as a whole.
    #[serde(default, deserialize_with = "given")]
    pub thresholds: Option<MonitorThresholds>,
    /// Whether it is checked.
    #[serde(default, deserialize_with = "given")]
    pub enabled: Option<bool>,
}

#[cfg(test)]
mod tests;
