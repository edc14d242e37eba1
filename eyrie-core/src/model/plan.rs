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

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    error::{Invalid, Result},
    model::{
        Condition, CrashPolicy, PlanBuilder, PlanHash, RetryPolicy, Role, StepIndex, StepStart, StopPolicy, UndoPolicy,
        json_bound::check_json, plan_graph::PlanGraph,
    },
    name::{ActionName, StepName},
    secret::{ChangeUse, map_uses},
};

/// The version of the plan format that this program writes. A worker that meets a newer one parks the run.
pub const PLAN_VERSION: u32 = 1;
/// The most planned steps of one plan.
pub const MAX_PLAN_STEPS: usize = 10_000;
/// The largest plan, as JSON, in bytes.
pub const MAX_PLAN_BYTES: usize = 4 * 1024 * 1024;
/// The largest parameters of one step, as JSON, in bytes.
pub const MAX_PARAMETERS_BYTES: usize = 2 * 1024 * 1024;
/// How deep the parameters of a step, and the configuration of a release, may be nested.
pub const MAX_VALUE_DEPTH: usize = 100;
/// What stands as the action of a step that waits for an approval. It needs not be registered.
pub const APPROVAL_ACTION: &str = "approval";
/// How many steps of one run are executed at the same time, at most, unless the plan says less.
pub const MAX_PARALLEL: u32 = 16;

/// One planned step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedStep {
    /// Unique among the plan's steps.
    pub name: StepName,
    /// The action that does it.
    pub action: ActionName,
    /// Names of the steps that must be done first: have succeeded, or been skipped by their condition.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<StepName>,
    /// What must hold of the outputs of earlier steps, once all that the step needs is done. Else it is skipped, and what needs it
    /// goes on without an output of it. None: it is always executed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Condition>,
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
    graph: PlanGraph,
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
            check_value(&step.parameters, MAX_PARAMETERS_BYTES, || format!("plan.steps.{}.parameters", step.name))?;
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
        if let Some(release) = &raw.release {
            check_value(&release.config, MAX_PLAN_BYTES, || "plan.release.config".to_owned())?;
        }
        for (field, policy) in [("plan.on_failure", raw.on_failure), ("plan.on_cancel", raw.on_cancel)] {
            if policy == StopPolicy::Undo && raw.steps.iter().all(|step| step.undo.is_none()) {
                return Err(Invalid::new(field, "is undo, but no step of the plan has an undo"));
            }
        }
        let graph = PlanGraph::of(&raw.steps)?;
        let RawPlan { version, steps, release, max_parallel, on_failure, on_cancel } = raw;
        Ok(Self { version, steps, release, max_parallel, on_failure, on_cancel, graph })
    }
}

fn check_value(value: &Value, most: usize, field: impl Fn() -> String) -> Result<(), Invalid> {
    check_json(value, MAX_VALUE_DEPTH, most, field)
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
        self.graph.needs.get(index.position()).map_or(&[], Vec::as_slice)
    }

    /// The steps that need `index`, in order.
    #[must_use]
    pub fn dependents(&self, index: StepIndex) -> &[StepIndex] {
        self.graph.dependents.get(index.position()).map_or(&[], Vec::as_slice)
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

    /// All steps, each behind what it needs.
    pub(super) fn in_order(&self) -> &[StepIndex] {
        &self.graph.order
    }

    /// The step of that name, if a condition speaks of it.
    pub(super) fn named(&self, name: &str) -> Option<StepIndex> {
        self.graph.named.get(name).copied()
    }

    /// The steps that need nothing (and so have no condition) and have a body, at most [`max_parallel`](Self::max_parallel): what starts with the run.
    #[must_use]
    pub fn first_steps(&self) -> Vec<StepStart> {
        let roots = self.graph.needs.iter().enumerate().filter(|(_, row)| row.is_empty());
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

    /// Puts what `change` says in the place of every secret that the plan names, in the parameters of steps and in what it releases.
    pub(crate) fn map_secrets(&mut self, change: &mut ChangeUse<'_>) -> Result<(), Invalid> {
        for step in &mut self.steps {
            map_uses(&mut step.parameters, &format!("plan.steps.{}.parameters", step.name), change)?;
        }
        match &mut self.release {
            Some(release) => map_uses(&mut release.config, "plan.release.config", change),
            None => Ok(()),
        }
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
        Ok((PlanHash::of(&json), json))
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
    use std::time::Duration;

    use super::*;

    #[test]
    fn refuses_cycles_doubles_and_unknown_names() {
        let cycle = Plan::builder().step("a", "x", |s| s.needs(["b"])).step("b", "x", |s| s.needs(["a"])).build().unwrap_err();
        assert!(cycle.invalid().unwrap().reason().contains("circle"));
        assert!(["plan.steps.a.needs", "plan.steps.b.needs"].contains(&cycle.invalid().unwrap().field()), "{cycle}");
        let behind = Plan::builder()
            .step("z", "x", |s| s.needs(["y"]))
            .step("y", "x", |s| s.needs(["b", "r"]))
            .step("r", "x", |s| s)
            .step("a", "x", |s| s.needs(["b"]))
            .step("b", "x", |s| s.needs(["r", "a"]));
        let behind = behind.build().unwrap_err();
        assert!(["plan.steps.a.needs", "plan.steps.b.needs"].contains(&behind.invalid().unwrap().field()), "{behind}");
        let double = Plan::builder().step("a", "x", |s| s).step("a", "x", |s| s).build().unwrap_err();
        assert_eq!(double.invalid().unwrap().field(), "plan.steps.a");
        let unknown = Plan::builder().step("a", "x", |s| s.needs(["zz"])).build().unwrap_err();
        assert_eq!(unknown.invalid().unwrap().field(), "plan.steps.a.needs");
        assert!(Plan::builder().build().is_err());
        let many = (0..=MAX_PLAN_STEPS).fold(Plan::builder(), |plan, n| plan.step(format!("s{n}"), "x", |s| s));
        assert_eq!(many.build().unwrap_err().invalid().unwrap().field(), "plan.steps");
    }

    #[test]
    fn refuses_values_that_are_too_large_or_too_deep() {
        let refusal = |plan: PlanBuilder| plan.build().err().map(|error| error.invalid().unwrap().field().to_owned());
        let with = |parameters: Value| refusal(Plan::builder().step("a", "x", |s| s).step("b", "x", |s| s.parameters(parameters)));
        let deep = |depth: usize| (0..depth).fold(Value::from(1), |inner, _| Value::from(vec![inner]));
        let released = |config| {
            let release = PlannedRelease { config, leaves_running: true };
            Plan::builder().step("a", "x", |s| s.parameters(deep(MAX_VALUE_DEPTH))).release(release)
        };
        assert_eq!(with(Value::from("x".repeat(MAX_PARAMETERS_BYTES - 2))), None);
        assert_eq!(with(Value::from("x".repeat(MAX_PARAMETERS_BYTES - 1))).as_deref(), Some("plan.steps.b.parameters"));
        assert_eq!(with(deep(MAX_VALUE_DEPTH + 1)).as_deref(), Some("plan.steps.b.parameters"));
        assert_eq!(refusal(released(deep(MAX_VALUE_DEPTH + 1))).as_deref(), Some("plan.release.config"));
        let deepest = released(deep(MAX_VALUE_DEPTH)).build().unwrap();
        assert_eq!(Plan::decode(&deepest.encode().unwrap().1).unwrap(), deepest, "what is accepted can be read back");
        let large = (0..3).fold(Plan::builder(), |plan, n| {
            plan.step(format!("s{n}"), "x", |s| s.parameters(Value::from("x".repeat(MAX_PARAMETERS_BYTES - 2))))
        });
        assert_eq!(large.build().unwrap().encode().unwrap_err().invalid().unwrap().field(), "plan");
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
        assert!(!plain.contains("when"), "as is one without conditions: {plain}");
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
}
