//! The approvals that a run waits for.

use serde::Serialize;

use crate::{
    access::{Permission, Role},
    error::Result,
    id::RunId,
    model::{Plan, RunState, Step, StepIndex, StepState},
    name::StepName,
    platform::Acting,
};

/// A step that waits for somebody's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OpenApproval {
    /// Its place in the run.
    pub step: StepIndex,
    /// Its name.
    pub name: StepName,
    /// The role in the project that the plan asks for.
    pub role: Role,
}

impl Acting {
    /// The approvals that the run waits for, in the plan's order. None unless it waits.
    ///
    /// # Errors
    /// `NotFound`, also for what the principal may not read; `Invalid` when this program cannot read the run's plan.
    pub async fn open_approvals(&self, id: RunId) -> Result<Vec<OpenApproval>> {
        let run = self.run_for(id, Permission::ProjectRead).await?;
        if run.state != RunState::Waiting {
            return Ok(Vec::new());
        }
        let plan = self.store().plan(run.plan_hash).await?;
        let steps = self.store().steps(id).await?;
        let done = done_steps(&plan, &steps);
        let planned = steps.iter().filter(|step| step.parent.is_none() && step.state == StepState::Pending);
        let open = planned.filter_map(|step| {
            let role = plan.step(step.index)?.approval?;
            are_met(&plan, step.index, &done).then(|| OpenApproval { step: step.index, name: step.name.clone(), role })
        });
        Ok(open.collect())
    }
}

/// Whether all that the step needs is done. While a run waits, needs are met only by approvals, and never unmet.
pub(super) fn needs_are_met(plan: &Plan, steps: &[Step], step: StepIndex) -> bool {
    are_met(plan, step, &done_steps(plan, steps))
}

fn are_met(plan: &Plan, step: StepIndex, done: &[bool]) -> bool {
    plan.needs(step).iter().all(|need| done[need.position()])
}

/// Which of the plan's steps are done, of all steps of the run in order.
fn done_steps(plan: &Plan, steps: &[Step]) -> Vec<bool> {
    let stands =
        |index: StepIndex| steps.get(index.position()).map_or((StepState::Pending, None), |step| (step.state, step.output.as_ref()));
    plan.done(stands).iter().map(Option::is_some).collect()
}
