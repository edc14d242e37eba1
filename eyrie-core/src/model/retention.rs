//! How long runs are kept after their end.

use std::time::Duration;

use serde_json::Value;

use crate::{error::Invalid, model::EffectiveSettings};

/// How long a run is kept after its end, in seconds; null: for ever.
const RUNS: &str = "run_delete_after_seconds";
/// How many of a deployment's newest runs are kept in any case.
const NEWEST: &str = "run_keep_newest";
/// How long the events and the log of a run are kept after its end, in seconds; null: as long as the run.
const HISTORY: &str = "run_history_delete_after_seconds";

const DAY: u64 = 24 * 3600;
/// A hundred years.
const MAX_SECONDS: u64 = 36_525 * DAY;
const MAX_NEWEST: u64 = 10_000;

/// What is kept of a deployment's runs after their end: the settings `run_delete_after_seconds`, `run_keep_newest` and
/// `run_history_delete_after_seconds`, inherited as all settings are. Some runs are kept however old they are:
/// [`RetentionStore::forget_runs`](crate::store::RetentionStore::forget_runs) says which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionPolicy {
    /// How long a run is kept. None: for ever.
    pub runs: Option<Duration>,
    /// How many of the newest runs are kept in any case.
    pub newest: u32,
    /// How long a run's events, but for the last one, and its log are kept. None: as long as the run.
    pub history: Option<Duration>,
    /// How long results of monitors are kept. No setting: the deployment's scope says it.
    pub monitor_logs: Duration,
}

impl Default for RetentionPolicy {
    /// Runs for a year, the newest hundred in any case; events and logs for 90 days; results of monitors for 30.
    fn default() -> Self {
        Self {
            runs: Some(Duration::from_secs(365 * DAY)),
            newest: 100,
            history: Some(Duration::from_secs(90 * DAY)),
            monitor_logs: Duration::from_secs(30 * DAY),
        }
    }
}

impl RetentionPolicy {
    /// What the settings say; what they do not say is as by [default](Self::default).
    ///
    /// # Errors
    /// [`Invalid`] names the setting that is not acceptable.
    pub fn of(settings: &EffectiveSettings) -> Result<Self, Invalid> {
        let mut policy = Self::default();
        if let Some(value) = settings.get(RUNS) {
            policy.runs = seconds(RUNS, value)?;
        }
        if let Some(value) = settings.get(NEWEST) {
            policy.newest = newest(value)?;
        }
        if let Some(value) = settings.get(HISTORY) {
            policy.history = seconds(HISTORY, value)?;
        }
        Ok(policy)
    }
}

/// Refuses a value that a setting of this name cannot have. Settings of other names are not looked at.
pub(super) fn check(key: &str, value: &Value) -> Result<(), Invalid> {
    match key {
        RUNS => seconds(RUNS, value).map(drop),
        HISTORY => seconds(HISTORY, value).map(drop),
        NEWEST => newest(value).map(drop),
        _ => Ok(()),
    }
}

fn seconds(key: &'static str, value: &Value) -> Result<Option<Duration>, Invalid> {
    if value.is_null() {
        return Ok(None);
    }
    let seconds = value.as_u64().filter(|seconds| *seconds <= MAX_SECONDS);
    let invalid = || Invalid::new(key, format!("must be a whole number of seconds from 0 to {MAX_SECONDS}, or null for \"never\""));
    seconds.map(|seconds| Some(Duration::from_secs(seconds))).ok_or_else(invalid)
}

fn newest(value: &Value) -> Result<u32, Invalid> {
    let count = value.as_u64().filter(|count| *count <= MAX_NEWEST).and_then(|count| u32::try_from(count).ok());
    count.ok_or_else(|| Invalid::new(NEWEST, format!("must be a whole number from 0 to {MAX_NEWEST}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;
    use crate::model::{Level, Settings};

    #[test]
    fn each_field_is_inherited_by_itself() {
        let project = Settings::default().with(RUNS, 60).unwrap().with(NEWEST, 5).unwrap();
        let deployment = Settings::default().with(RUNS, Value::Null).unwrap();
        let effective = EffectiveSettings::resolve([(Level::Project, &project), (Level::Deployment, &deployment)]);
        let policy = RetentionPolicy::of(&effective).unwrap();
        assert_eq!(policy, RetentionPolicy { runs: None, newest: 5, ..RetentionPolicy::default() });
        assert_eq!(RetentionPolicy::of(&EffectiveSettings::default()).unwrap(), RetentionPolicy::default());
    }

    #[test]
    fn what_cannot_be_is_refused_where_it_is_set() {
        for (key, bad) in [
            (RUNS, json!(-1)),
            (RUNS, json!(1.5)),
            (RUNS, json!("1")),
            (HISTORY, json!(MAX_SECONDS + 1)),
            (HISTORY, json!(true)),
            (NEWEST, json!(null)),
            (NEWEST, json!(MAX_NEWEST + 1)),
        ] {
            let refused = Settings::default().with(key, bad.clone()).unwrap_err();
            assert_eq!(refused.field(), format!("settings.{key}"), "{bad}");
        }
        Settings::default().with(HISTORY, MAX_SECONDS).unwrap().with(NEWEST, 0).unwrap().with("run_keep", "forever").unwrap();
    }
}
