//! What a plan says of steps that do not go well: how they are tried again, taken over, and undone.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{name::ActionName, word_enum::word_enum};

word_enum! {
    /// What a takeover does with a step that was running when its worker died.
    pub enum CrashPolicy("crash_policy") {
        /// Execute it again, as another attempt. For actions that may safely be repeated.
        Rerun = "rerun",
        /// Ask the action whether it already happened; execute it again only if it did not.
        Probe = "probe",
        /// Park the run until an operator decides.
        NeedsOperator = "needs_operator",
    }
}

/// How often and how patiently a failed step is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetryPolicy {
    /// Attempts in all, the first one included.
    pub max_attempts: u32,
    /// Pause before the second attempt, in milliseconds; doubled at each further one.
    pub initial_backoff_ms: u64,
    /// The longest pause, in milliseconds.
    pub max_backoff_ms: u64,
}

impl RetryPolicy {
    /// One attempt, no retry.
    pub const NEVER: Self = Self { max_attempts: 1, initial_backoff_ms: 0, max_backoff_ms: 0 };

    /// Up to `max_attempts` attempts with pauses of `initial`, doubled each time, at most one minute.
    #[must_use]
    pub fn exponential(max_attempts: u32, initial: Duration) -> Self {
        Self { max_attempts, initial_backoff_ms: u64::try_from(initial.as_millis()).unwrap_or(u64::MAX), max_backoff_ms: 60_000 }
    }

    /// The pause after `attempt` has failed, between half and all of the nominal one; `jitter` is in 0..=1. `None`: no more attempts.
    #[must_use]
    pub fn pause_after(&self, attempt: u32, jitter: f64) -> Option<Duration> {
        if attempt >= self.max_attempts {
            return None;
        }
        let doubled = self.initial_backoff_ms.saturating_mul(1_u64.checked_shl(attempt.saturating_sub(1).min(40)).unwrap_or(u64::MAX));
        let nominal = Duration::from_millis(doubled.min(self.max_backoff_ms));
        Some(nominal.mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0)))
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::NEVER
    }
}

word_enum! {
    /// What becomes of what was done when a run stops short of its end.
    #[derive(Default)]
    pub enum StopPolicy("stop_policy") {
        /// It stays as it is.
        #[default]
        Leave = "leave",
        /// It is undone: every step that has an undo, and may have had an effect, in the reverse of the order of their needs.
        Undo = "undo",
    }
}

impl StopPolicy {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// How a step is undone. What is missing is as for the step itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UndoPolicy {
    /// The action whose body undoes the step, with the step's parameters. None: the `undo` of the step's own action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<ActionName>,
    /// When to try again. None: as the step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryPolicy>,
    /// How long one attempt may take, in milliseconds. None: as the step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_up_to_its_cap_and_ends() {
        let retry = RetryPolicy { max_attempts: 4, initial_backoff_ms: 100, max_backoff_ms: 250 };
        let pauses: Vec<_> = (1..=4).map(|attempt| retry.pause_after(attempt, 1.0)).collect();
        assert_eq!(pauses, [Some(100), Some(200), Some(250), None].map(|ms| ms.map(Duration::from_millis)));
    }
}
