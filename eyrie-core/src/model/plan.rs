//! A plan is data: a directed acyclic graph of steps, stored with its hash and never replayed as code.
//!
//! ```
//! use eyrie_core::model::Plan;
//!
//! let plan = Plan::builder()
//!     .step("fetch", "shell", |step| step)
//!     .step("build", "shell", |step| step.needs(["fetch"]).timeout_seconds(60))
//!     .step("lint", "shell", |step| step.needs(["fetch"]))
//!     .step("ship", "shell", |step| step.needs(["build", "lint"]))
//!     .build()?;
//! assert_eq!(plan.steps().len(), 4);
//! # Ok::<(), eyrie_core::Error>(())
//! ```

use std::{collections::HashMap, fmt, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{
    error::{Invalid, Result},
    model::{PlanBuilder, Role, StepIndex, StepStart},
    name::{ActionName, StepName},
    word_enum::word_enum,
};

/// The version of the plan format that this program writes. A worker that meets a newer one parks the run.
pub const PLAN_VERSION: u32 = 1;
/// The most planned steps of one plan.
pub const MAX_PLAN_STEPS: usize = 10_000;
/// The largest plan, as JSON, in bytes.
pub const MAX_PLAN_BYTES: usize = 4 * 1024 * 1024;
/// What stands as the action of a step that waits for an approval. It needs not be registered.
pub const APPROVAL_ACTION: &str = "approval";
/// How many steps of one run are executed at the same time, at most, unless the plan says less.
pub const MAX_PARALLEL: u32 = 16;

/// SHA-256 of a plan's canonical JSON.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PlanHash([u8; 32]);

impl PlanHash {
    /// The hash as bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A hash from its 32 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for PlanHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for PlanHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PlanHash({self})")
    }
}

impl From<PlanHash> for String {
    fn from(hash: PlanHash) -> Self {
        hash.to_string()
    }
}

impl TryFrom<String> for PlanHash {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        let bytes = data_encoding::HEXLOWER.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| Invalid::new("plan_hash", "must be 64 hex digits"))
    }
}

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
    fn is_default(&self) -> bool {
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

/// One planned step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedStep {
    /// Unique among the plan's steps.
    pub name: StepName,
    /// The action that does it.
    pub action: ActionName,
    /// Names of the steps that must have succeeded first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<StepName>,
    /// What the action is given.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub parameters: Value,
    /// When to try again.
    #[serde(default)]
    pub retry: RetryPolicy,
    /// How long one attempt may take, in milliseconds. None: as long as it likes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// What a takeover does when the worker died during this step.
    pub on_crash: CrashPolicy,
    /// Who must approve of it: the step has no body, and succeeds when somebody with that role (or a higher one) in the project
    /// says so. None: it is a step like any other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Role>,
    /// How it is undone. None: it has no undo and is left as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<UndoPolicy>,
}

impl PlannedStep {
    /// The retry policy of the step's undo.
    #[must_use]
    pub fn undo_retry(&self) -> RetryPolicy {
        self.undo.as_ref().and_then(|undo| undo.retry).unwrap_or(self.retry)
    }

    /// The action whose body or undo undoes the step.
    #[must_use]
    pub fn undo_action(&self) -> &ActionName {
        self.undo.as_ref().and_then(|undo| undo.action.as_ref()).unwrap_or(&self.action)
    }
}

/// What a successful run of this plan leaves behind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedRelease {
    /// The exact resolved configuration, secrets as references.
    pub config: Value,
    /// Whether something runs afterwards, which can be stopped, monitored and backed up.
    pub leaves_running: bool,
}

/// A directed acyclic graph of steps. Immutable once built.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawPlan", into = "RawPlan")]
pub struct Plan {
    version: u32,
    steps: Vec<PlannedStep>,
    release: Option<PlannedRelease>,
    max_parallel: u32,
    on_failure: StopPolicy,
    on_cancel: StopPolicy,
    needs: Vec<Vec<StepIndex>>,
    dependents: Vec<Vec<StepIndex>>,
}

/// A plan as it is written, not yet checked.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPlan {
    pub(super) version: u32,
    pub(super) steps: Vec<PlannedStep>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) release: Option<PlannedRelease>,
    pub(super) max_parallel: u32,
    #[serde(default, skip_serializing_if = "StopPolicy::is_default")]
    pub(super) on_failure: StopPolicy,
    #[serde(default, skip_serializing_if = "StopPolicy::is_default")]
    pub(super) on_cancel: StopPolicy,
}

impl From<Plan> for RawPlan {
    fn from(plan: Plan) -> Self {
        let Plan { version, steps, release, max_parallel, on_failure, on_cancel, .. } = plan;
        Self { version, steps, release, max_parallel, on_failure, on_cancel }
    }
}

impl TryFrom<RawPlan> for Plan {
    type Error = Invalid;

    fn try_from(raw: RawPlan) -> Result<Self, Invalid> {
        if raw.version != PLAN_VERSION {
            return Err(Invalid::new("plan.version", format!("is {}; this program knows {PLAN_VERSION}", raw.version)));
        }
        if raw.steps.is_empty() || raw.steps.len() > MAX_PLAN_STEPS {
            return Err(Invalid::new("plan.steps", format!("has {} steps; 1 to {MAX_PLAN_STEPS} are accepted", raw.steps.len())));
        }
        if raw.max_parallel == 0 || raw.max_parallel > MAX_PARALLEL {
            return Err(Invalid::new("plan.max_parallel", format!("must be 1 to {MAX_PARALLEL}")));
        }
        for step in &raw.steps {
            let undo = step.undo.as_ref();
            if step.approval.is_some() && undo.is_some() {
                return Err(Invalid::new(format!("plan.steps.{}.undo", step.name), "an approval has nothing to undo"));
            }
            for (part, retry, timeout) in [
                ("", Some(step.retry), step.timeout_ms),
                ("undo.", undo.and_then(|undo| undo.retry), undo.and_then(|undo| undo.timeout_ms)),
            ] {
                if retry.is_some_and(|retry| retry.max_attempts == 0 || retry.max_attempts > 1000) {
                    return Err(Invalid::new(format!("plan.steps.{}.{part}retry.max_attempts", step.name), "must be 1 to 1000"));
                }
                if timeout == Some(0) {
                    return Err(Invalid::new(format!("plan.steps.{}.{part}timeout_ms", step.name), "must be at least 1"));
                }
            }
        }
        for (field, policy) in [("plan.on_failure", raw.on_failure), ("plan.on_cancel", raw.on_cancel)] {
            if policy == StopPolicy::Undo && raw.steps.iter().all(|step| step.undo.is_none()) {
                return Err(Invalid::new(field, "is undo, but no step of the plan has an undo"));
            }
        }
        let needs = resolve(&raw.steps)?;
        let dependents = dependents(&needs);
        refuse_cycle(&raw.steps, &needs, &dependents)?;
        let RawPlan { version, steps, release, max_parallel, on_failure, on_cancel } = raw;
        Ok(Self { version, steps, release, max_parallel, on_failure, on_cancel, needs, dependents })
    }
}

/// Turns names into indices; refuses duplicates, unknown names and cycles.
fn resolve(steps: &[PlannedStep]) -> Result<Vec<Vec<StepIndex>>, Invalid> {
    let mut by_name = HashMap::with_capacity(steps.len());
    for (index, step) in steps.iter().enumerate() {
        if by_name.insert(step.name.as_str(), index).is_some() {
            return Err(Invalid::new(format!("plan.steps.{}", step.name), "the name is used by two steps"));
        }
    }
    let mut needs = Vec::with_capacity(steps.len());
    for step in steps {
        let mut row = Vec::with_capacity(step.needs.len());
        for name in &step.needs {
            let Some(&index) = by_name.get(name.as_str()) else {
                return Err(Invalid::new(
                    format!("plan.steps.{}.needs", step.name),
                    format!("there is no step {name:?}", name = name.as_str()),
                ));
            };
            row.push(index);
        }
        row.sort_unstable();
        row.dedup();
        needs.push(row.into_iter().map(StepIndex::from_position).collect());
    }
    Ok(needs)
}

/// The other direction: for each step, the steps that need it.
fn dependents(needs: &[Vec<StepIndex>]) -> Vec<Vec<StepIndex>> {
    let mut dependents = vec![Vec::new(); needs.len()];
    for (position, row) in needs.iter().enumerate() {
        for need in row {
            dependents[need.position()].push(StepIndex::from_position(position));
        }
    }
    dependents
}

/// Kahn's algorithm: what cannot be ordered stands on a cycle (or behind one).
fn refuse_cycle(steps: &[PlannedStep], needs: &[Vec<StepIndex>], dependents: &[Vec<StepIndex>]) -> Result<(), Invalid> {
    let mut open: Vec<usize> = needs.iter().map(Vec::len).collect();
    let mut ready: Vec<usize> = (0..needs.len()).filter(|&index| open[index] == 0).collect();
    let mut ordered = 0;
    while let Some(index) = ready.pop() {
        ordered += 1;
        for dependent in dependents[index].iter().map(|dependent| dependent.position()) {
            open[dependent] -= 1;
            if open[dependent] == 0 {
                ready.push(dependent);
            }
        }
    }
    match (0..needs.len()).find(|&index| open[index] > 0) {
        Some(index) if ordered < needs.len() => {
            Err(Invalid::new(format!("plan.steps.{}.needs", steps[index].name), "the steps need each other in a circle"))
        }
        _ => Ok(()),
    }
}

impl Plan {
    /// An empty plan to add steps to.
    #[must_use]
    pub fn builder() -> PlanBuilder {
        PlanBuilder::default()
    }

    /// The steps; a step's position is its [`StepIndex`].
    #[must_use]
    pub fn steps(&self) -> &[PlannedStep] {
        &self.steps
    }

    /// The step at `index`, if the plan has it.
    #[must_use]
    pub fn step(&self, index: StepIndex) -> Option<&PlannedStep> {
        self.steps.get(index.position())
    }

    /// The steps that `index` needs, in order.
    #[must_use]
    pub fn needs(&self, index: StepIndex) -> &[StepIndex] {
        self.needs.get(index.position()).map_or(&[], Vec::as_slice)
    }

    /// The steps that need `index`, in order.
    #[must_use]
    pub fn dependents(&self, index: StepIndex) -> &[StepIndex] {
        self.dependents.get(index.position()).map_or(&[], Vec::as_slice)
    }

    /// How many steps may run at the same time.
    #[must_use]
    pub fn max_parallel(&self) -> u32 {
        self.max_parallel
    }

    /// What success leaves behind, if anything.
    #[must_use]
    pub fn release(&self) -> Option<&PlannedRelease> {
        self.release.as_ref()
    }

    /// What a failure does to what was done before it.
    #[must_use]
    pub fn on_failure(&self) -> StopPolicy {
        self.on_failure
    }

    /// What a cancel does to what was done before it.
    #[must_use]
    pub fn on_cancel(&self) -> StopPolicy {
        self.on_cancel
    }

    /// The step at `index` and all that need it, directly or through others, in order.
    #[must_use]
    pub fn downstream(&self, index: StepIndex) -> Vec<StepIndex> {
        let mut found = std::collections::BTreeSet::from([index]);
        let mut open = vec![index];
        while let Some(step) = open.pop() {
            open.extend(self.dependents(step).iter().copied().filter(|dependent| found.insert(*dependent)));
        }
        found.into_iter().collect()
    }

    /// Whether the step at `index` waits for somebody's approval instead of having a body.
    #[must_use]
    pub fn is_approval(&self, index: StepIndex) -> bool {
        self.step(index).is_some_and(|step| step.approval.is_some())
    }

    /// The steps that need nothing and have a body, at most [`max_parallel`](Self::max_parallel): what starts with the run.
    #[must_use]
    pub fn first_steps(&self) -> Vec<StepStart> {
        let roots = self.needs.iter().enumerate().filter(|(_, row)| row.is_empty());
        let roots = roots.map(|(index, _)| StepIndex::from_position(index)).filter(|index| !self.is_approval(*index));
        roots.map(|index| self.start(index)).take(self.max_parallel as usize).collect()
    }

    /// What starting the step at `index` asks for.
    #[must_use]
    pub fn start(&self, index: StepIndex) -> StepStart {
        StepStart { index, timeout_ms: self.step(index).and_then(|step| step.timeout_ms) }
    }

    /// What starting the undo of the step at `index` asks for.
    #[must_use]
    pub fn start_undo(&self, index: StepIndex) -> StepStart {
        let step = self.step(index);
        let own = step.and_then(|step| step.undo.as_ref()?.timeout_ms);
        StepStart { index, timeout_ms: own.or_else(|| step?.timeout_ms) }
    }

    /// The plan as canonical JSON and the SHA-256 of it.
    ///
    /// # Errors
    /// [`Invalid`] when it is larger than [`MAX_PLAN_BYTES`].
    pub fn encode(&self) -> Result<(PlanHash, String)> {
        let json = serde_json::to_string(self).map_err(|error| Invalid::new("plan", error.to_string()))?;
        if json.len() > MAX_PLAN_BYTES {
            return Err(Invalid::new("plan", format!("is {} bytes as JSON; at most {MAX_PLAN_BYTES} are accepted", json.len())).into());
        }
        Ok((PlanHash(Sha256::digest(json.as_bytes()).into()), json))
    }

    /// Reads back what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// [`Invalid`] names the field that this program cannot take, a newer plan version included.
    pub fn decode(json: &str) -> Result<Self> {
        let mut reader = serde_json::Deserializer::from_str(json);
        serde_path_to_error::deserialize(&mut reader)
            .map_err(|error| Invalid::new(format!("plan.{}", error.path()), error.inner().to_string()).into())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn refuses_cycles_doubles_and_unknown_names() {
        let cycle = Plan::builder().step("a", "x", |s| s.needs(["b"])).step("b", "x", |s| s.needs(["a"])).build().unwrap_err();
        assert!(cycle.invalid().unwrap().reason().contains("circle"));
        let double = Plan::builder().step("a", "x", |s| s).step("a", "x", |s| s).build().unwrap_err();
        assert_eq!(double.invalid().unwrap().field(), "plan.steps.a");
        let unknown = Plan::builder().step("a", "x", |s| s.needs(["zz"])).build().unwrap_err();
        assert_eq!(unknown.invalid().unwrap().field(), "plan.steps.a.needs");
        assert!(Plan::builder().build().is_err());
        let many = (0..=MAX_PLAN_STEPS).fold(Plan::builder(), |plan, n| plan.step(format!("s{n}"), "x", |s| s));
        assert_eq!(many.build().unwrap_err().invalid().unwrap().field(), "plan.steps");
    }

    #[test]
    fn encodes_and_decodes_to_the_same_hash() {
        let plan = Plan::builder().step("a", "x", |s| s.timeout_seconds(5)).step("b", "x", |s| s.needs(["a"])).build().unwrap();
        let (hash, json) = plan.encode().unwrap();
        let again = Plan::decode(&json).unwrap();
        assert_eq!(again, plan);
        assert_eq!(again.encode().unwrap().0, hash);
        let newer = json.replacen("\"version\":1", "\"version\":9", 1);
        assert!(Plan::decode(&newer).unwrap_err().invalid().unwrap().reason().contains('9'));
    }

    #[test]
    fn undo_is_part_of_the_plan() {
        let plan = Plan::builder()
            .step("a", "x", |s| s.undo())
            .step("b", "x", |s| s.needs(["a"]).timeout_seconds(9).undo_with("y").undo_retry(RetryPolicy::exponential(3, Duration::ZERO)))
            .step("c", "x", |s| s.needs(["b"]))
            .on_failure(StopPolicy::Undo)
            .build()
            .unwrap();
        let again = Plan::decode(&plan.encode().unwrap().1).unwrap();
        assert_eq!(again, plan);
        assert_eq!((again.on_failure(), again.on_cancel()), (StopPolicy::Undo, StopPolicy::Leave));
        let step = &again.steps()[1];
        assert_eq!((step.undo_action().as_str(), step.undo_retry().max_attempts), ("y", 3));
        assert_eq!((again.steps()[0].undo_action().as_str(), again.steps()[0].undo_retry()), ("x", RetryPolicy::NEVER));
        assert_eq!(again.start_undo(StepIndex::new(1)).timeout_ms, Some(9000), "as the step's own");
        assert_eq!(again.downstream(StepIndex::new(1)), [1, 2].map(StepIndex::new));
        let plain = Plan::builder().step("a", "x", |s| s).build().unwrap().encode().unwrap().1;
        assert!(!plain.contains("undo") && !plain.contains("on_cancel"), "a plan without undo is written as before: {plain}");
    }

    #[test]
    fn an_approval_has_no_body() {
        let plan = Plan::builder()
            .approval("sign-off", Role::Admin, |s| s)
            .step("a", "x", |s| s)
            .step("b", "x", |s| s.needs(["sign-off"]))
            .build()
            .unwrap();
        assert_eq!(Plan::decode(&plan.encode().unwrap().1).unwrap(), plan);
        assert_eq!(plan.first_steps(), [plan.start(StepIndex::new(1))]);
        let undone = Plan::builder().approval("a", Role::Admin, |s| s.undo()).build().unwrap_err();
        assert_eq!(undone.invalid().unwrap().field(), "plan.steps.a.undo");
    }

    #[test]
    fn refuses_an_undo_that_cannot_be() {
        let field = |plan: PlanBuilder| plan.build().unwrap_err().invalid().unwrap().field().to_owned();
        let one = || Plan::builder().step("a", "x", |s| s);
        assert_eq!(field(one().on_failure(StopPolicy::Undo)), "plan.on_failure");
        assert_eq!(field(one().on_cancel(StopPolicy::Undo)), "plan.on_cancel");
        assert_eq!(field(Plan::builder().step("a", "x", |s| s.undo_timeout(Duration::ZERO))), "plan.steps.a.undo.timeout_ms");
        let never = RetryPolicy { max_attempts: 0, ..RetryPolicy::NEVER };
        assert_eq!(field(Plan::builder().step("a", "x", |s| s.undo_retry(never))), "plan.steps.a.undo.retry.max_attempts");
        assert_eq!(field(Plan::builder().step("a", "x", |s| s.undo_with("not a name"))), "plan.steps.a.undo.action");
    }

    #[test]
    fn backoff_doubles_up_to_its_cap_and_ends() {
        let retry = RetryPolicy { max_attempts: 4, initial_backoff_ms: 100, max_backoff_ms: 250 };
        let pauses: Vec<_> = (1..=4).map(|attempt| retry.pause_after(attempt, 1.0)).collect();
        assert_eq!(pauses, [Some(100), Some(200), Some(250), None].map(|ms| ms.map(Duration::from_millis)));
    }
}
