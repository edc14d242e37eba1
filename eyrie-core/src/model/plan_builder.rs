//! Building a plan step by step.

use std::time::Duration;

use serde_json::Value;

use crate::{
    error::{Invalid, Result},
    model::{
        APPROVAL_ACTION, Condition, CrashPolicy, MAX_PARALLEL, PLAN_VERSION, Plan, PlannedRelease, PlannedStep, RetryPolicy, Role,
        StopPolicy, UndoPolicy, plan::RawPlan,
    },
    name::{ActionName, StepName},
};

/// Collects steps; [`build`](Self::build) checks the whole.
#[derive(Debug, Clone)]
pub struct PlanBuilder {
    steps: Vec<PlannedStep>,
    release: Option<PlannedRelease>,
    max_parallel: u32,
    on_failure: StopPolicy,
    on_cancel: StopPolicy,
    refused: Option<Invalid>,
}

impl Default for PlanBuilder {
    fn default() -> Self {
        Self {
            steps: Vec::new(),
            release: None,
            max_parallel: MAX_PARALLEL,
            on_failure: StopPolicy::Leave,
            on_cancel: StopPolicy::Leave,
            refused: None,
        }
    }
}

impl PlanBuilder {
    /// Adds a step; `shape` sets what is not the default.
    #[must_use]
    pub fn step(mut self, name: impl Into<String>, action: impl Into<String>, shape: impl FnOnce(StepBuilder) -> StepBuilder) -> Self {
        let built = StepName::new(name).and_then(|name| {
            let action = ActionName::new(action).map_err(|invalid| invalid.under(&format!("plan.steps.{name}")))?;
            let builder = shape(StepBuilder {
                step: PlannedStep {
                    name,
                    action,
                    needs: Vec::new(),
                    when: None,
                    parameters: Value::Null,
                    retry: RetryPolicy::NEVER,
                    timeout_ms: None,
                    on_crash: CrashPolicy::Rerun,
                    approval: None,
                    undo: None,
                },
                refused: None,
            });
            builder.refused.map_or(Ok(builder.step), Err)
        });
        match built {
            Ok(step) => self.steps.push(step),
            Err(invalid) => self.refused = self.refused.or(Some(invalid)),
        }
        self
    }

    /// Adds a step that waits until somebody with that role, or a higher one, in the project approves of it. The run waits with it,
    /// once nothing else can go on, and holds no worker meanwhile.
    #[must_use]
    pub fn approval(self, name: impl Into<String>, role: Role, shape: impl FnOnce(StepBuilder) -> StepBuilder) -> Self {
        self.step(name, APPROVAL_ACTION, |step| {
            let mut step = shape(step);
            step.step.approval = Some(role);
            step
        })
    }

    /// What success leaves behind.
    #[must_use]
    pub fn release(mut self, release: PlannedRelease) -> Self {
        self.release = Some(release);
        self
    }

    /// At most this many steps at a time, 1 to [`MAX_PARALLEL`].
    #[must_use]
    pub fn max_parallel(mut self, steps: u32) -> Self {
        self.max_parallel = steps;
        self
    }

    /// What a failure does to what was done before it; `leave` unless said otherwise.
    #[must_use]
    pub fn on_failure(mut self, policy: StopPolicy) -> Self {
        self.on_failure = policy;
        self
    }

    /// What a cancel does to what was done before it; `leave` unless said otherwise.
    #[must_use]
    pub fn on_cancel(mut self, policy: StopPolicy) -> Self {
        self.on_cancel = policy;
        self
    }

    /// Checks the whole graph.
    ///
    /// # Errors
    /// [`Invalid`] names the step and what is wrong: a bad or doubled name, an unknown need, a cycle, too many steps, parameters that
    /// are too large, a condition on what the step does not need, undo where no step has one.
    pub fn build(self) -> Result<Plan> {
        if let Some(invalid) = self.refused {
            return Err(invalid.into());
        }
        let Self { steps, release, max_parallel, on_failure, on_cancel, .. } = self;
        let raw = RawPlan { version: PLAN_VERSION, steps, release, max_parallel, on_failure, on_cancel };
        Ok(Plan::try_from(raw)?)
    }
}

/// Shapes one step of a [`PlanBuilder`].
#[derive(Debug, Clone)]
pub struct StepBuilder {
    step: PlannedStep,
    refused: Option<Invalid>,
}

impl StepBuilder {
    /// The steps that must be done first, by name: have succeeded, or been skipped by their condition.
    #[must_use]
    pub fn needs<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        for name in names {
            match StepName::new(name) {
                Ok(name) => self.step.needs.push(name),
                Err(invalid) => self.refused = self.refused.or(Some(invalid.under(&format!("plan.steps.{}.needs", self.step.name)))),
            }
        }
        self
    }

    /// What must hold of steps that this one needs, directly or through others. Else it is skipped, and what needs it goes on.
    #[must_use]
    pub fn when(mut self, condition: Condition) -> Self {
        self.step.when = Some(condition);
        self
    }

    /// What the action is given.
    #[must_use]
    pub fn parameters(mut self, parameters: Value) -> Self {
        self.step.parameters = parameters;
        self
    }

    /// When to try again.
    #[must_use]
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.step.retry = retry;
        self
    }

    /// How long one attempt may take.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.step.timeout_ms = Some(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX));
        self
    }

    /// How long one attempt may take, in seconds.
    #[must_use]
    pub fn timeout_seconds(self, seconds: u64) -> Self {
        self.timeout(Duration::from_secs(seconds))
    }

    /// What a takeover does when the worker died during this step.
    #[must_use]
    pub fn on_crash(mut self, policy: CrashPolicy) -> Self {
        self.step.on_crash = policy;
        self
    }

    /// The step can be undone by the `undo` of its own action.
    #[must_use]
    pub fn undo(mut self) -> Self {
        self.undo_policy();
        self
    }

    /// The step can be undone by another action, which is given the step's parameters.
    #[must_use]
    pub fn undo_with(mut self, action: impl Into<String>) -> Self {
        match ActionName::new(action) {
            Ok(action) => self.undo_policy().action = Some(action),
            Err(invalid) => self.refused = self.refused.or(Some(invalid.under(&format!("plan.steps.{}.undo", self.step.name)))),
        }
        self
    }

    /// The step can be undone; when to try its undo again, if not as the step itself.
    #[must_use]
    pub fn undo_retry(mut self, retry: RetryPolicy) -> Self {
        self.undo_policy().retry = Some(retry);
        self
    }

    /// The step can be undone; how long one attempt of its undo may take, if not as long as the step itself.
    #[must_use]
    pub fn undo_timeout(mut self, limit: Duration) -> Self {
        self.undo_policy().timeout_ms = Some(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX));
        self
    }

    fn undo_policy(&mut self) -> &mut UndoPolicy {
        self.step.undo.get_or_insert_default()
    }
}
