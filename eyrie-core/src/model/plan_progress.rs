//! How far a run of a plan has come.

use serde_json::Value;

use crate::model::{Done, Plan, StepIndex, StepState};

impl Plan {
    /// Whether the step at `index` is to be executed, with what is known of the steps that it needs. One without a condition is.
    #[must_use]
    pub fn is_wanted<'a>(&self, index: StepIndex, done: impl Fn(StepIndex) -> Option<Done<'a>>) -> bool {
        let condition = self.step(index).and_then(|step| step.when.as_ref());
        condition.is_none_or(|condition| condition.holds(&|name| done(self.named(name)?)))
    }

    /// With which steps a run is done, at their places, when its steps stand like this: those that succeeded, and those that were
    /// skipped by their condition. A step that was skipped because its run ended is not done: what it needs is not, or its
    /// condition, looked at anew, holds.
    #[must_use]
    pub fn done<'a>(&self, stands: impl Fn(StepIndex) -> (StepState, Option<&'a Value>)) -> Vec<Option<Done<'a>>> {
        let mut done = vec![None; self.steps().len()];
        for &index in self.in_order() {
            done[index.position()] = match stands(index) {
                (StepState::Succeeded, output) => Some(Done::Succeeded(output)),
                (StepState::Skipped, _) => {
                    let is_ready = self.needs(index).iter().all(|need| done[need.position()].is_some());
                    (is_ready && !self.is_wanted(index, |need| done[need.position()])).then_some(Done::Skipped)
                }
                _ => None,
            };
        }
        done
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::model::Condition;

    /// `c` and `d` are skipped by their conditions; `e` would be, but what it needs is not done; `f` would not be.
    #[test]
    fn what_was_skipped_by_its_condition_is_told_from_what_the_end_of_the_run_skipped() {
        let plan = Plan::builder()
            .step("d", "x", |s| s.needs(["c"]).when(!Condition::skipped("c")))
            .step("a", "x", |s| s)
            .step("c", "x", |s| s.needs(["a"]).when(Condition::output("a").equals(2)))
            .step("b", "x", |s| s)
            .step("e", "x", |s| s.needs(["b"]).when(!Condition::succeeded("b")))
            .step("f", "x", |s| s.needs(["a"]).when(Condition::output("a").equals(1)))
            .step("g", "x", |s| s.needs(["d"]))
            .build()
            .unwrap();
        let output = Value::from(1);
        let stands = |index: StepIndex| match index.get() {
            1 => (StepState::Succeeded, Some(&output)),
            3 => (StepState::Failed, None),
            _ => (StepState::Skipped, None),
        };
        let done: Vec<_> = plan.done(stands).into_iter().map(|done| done.map(|done| done == Done::Skipped)).collect();
        assert_eq!(done, [Some(true), Some(false), Some(true), None, None, None, None]);
    }
}
