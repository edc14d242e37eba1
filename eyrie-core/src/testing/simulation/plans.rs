//! Random plans: chains, diamonds and fans, with retries, time-outs, conditions, approvals, undo and releases.

use std::time::Duration;

use serde_json::json;

use super::work::{Behaviour, WORK};
use crate::{
    error::Result,
    model::{Condition, CrashPolicy, Plan, PlanBuilder, PlannedRelease, RetryPolicy, Role, StepBuilder, StopPolicy},
    testing::Rng,
};

/// A plan.
pub(super) fn random(rng: &mut Rng) -> Result<Plan> {
    let needs = shape(rng);
    let undoes = !rng.once_in(3);
    let mut plan = Plan::builder();
    for (place, needs) in needs.iter().enumerate() {
        plan = add(plan, rng, place, needs, undoes);
    }
    if undoes {
        let mut policy = || if rng.once_in(4) { StopPolicy::Leave } else { StopPolicy::Undo };
        // The first step has an undo.
        plan = plan.on_failure(policy()).on_cancel(policy());
    }
    if rng.once_in(3) {
        plan = plan.max_parallel(u32::try_from(rng.between(1, 3)).unwrap_or(1));
    }
    if !rng.once_in(3) {
        plan = plan.release(PlannedRelease { config: json!({}), leaves_running: !rng.once_in(3) });
    }
    plan.build()
}

/// What each step needs.
fn shape(rng: &mut Rng) -> Vec<Vec<usize>> {
    match rng.below(3) {
        0 => (0..usize::try_from(rng.between(1, 5)).unwrap_or(1)).map(|place| place.checked_sub(1).into_iter().collect()).collect(),
        1 => vec![vec![], vec![0], vec![0], vec![1, 2]],
        _ => {
            let width = usize::try_from(rng.between(2, 6)).unwrap_or(2);
            let mut fan: Vec<Vec<usize>> = vec![vec![]];
            fan.resize(width + 1, vec![0]);
            if rng.once_in(2) {
                fan.push((1..=width).collect());
            }
            fan
        }
    }
}

fn add(plan: PlanBuilder, rng: &mut Rng, place: usize, needs: &[usize], undoes: bool) -> PlanBuilder {
    let needs: Vec<_> = needs.iter().map(|need| format!("s{need}")).collect();
    let when = condition(rng, &needs);
    let shape = |step: StepBuilder| {
        let step = step.needs(needs);
        match when {
            Some(condition) => step.when(condition),
            None => step,
        }
    };
    if place > 0 && rng.once_in(10) {
        return plan.approval(format!("s{place}"), Role::Developer, shape);
    }
    let behaviour = Behaviour {
        millis: if rng.once_in(6) { rng.between(200, 1500) } else { rng.between(0, 60) },
        fails: if rng.once_in(4) { u32::try_from(rng.between(1, 4)).unwrap_or(1) } else { 0 },
        for_good: rng.once_in(6),
        is_deaf: rng.once_in(8),
        saves: rng.once_in(2),
        says: if rng.once_in(6) { 3 } else { 0 },
        is_opaque: rng.once_in(4),
        undo_fails: if rng.once_in(5) { u32::try_from(rng.between(1, 3)).unwrap_or(1) } else { 0 },
    };
    let attempts = u32::try_from(rng.between(1, 4)).unwrap_or(1);
    let on_crash = match rng.below(8) {
        0 => CrashPolicy::NeedsOperator,
        1 | 2 => CrashPolicy::Probe,
        _ => CrashPolicy::Rerun,
    };
    let timeout = rng.once_in(6).then(|| Duration::from_millis(rng.between(20, 400)));
    let has_undo = undoes && (place == 0 || !rng.once_in(4));
    let undo_with = rng.once_in(4);
    let pause = Duration::from_millis(rng.between(1, 60));
    plan.step(format!("s{place}"), WORK, |step: StepBuilder| {
        let mut step = shape(step).parameters(json!(behaviour)).on_crash(on_crash).retry(RetryPolicy::exponential(attempts, pause));
        if let Some(timeout) = timeout {
            step = step.timeout(timeout);
        }
        match (has_undo, undo_with) {
            (true, true) => step.undo_with(WORK),
            (true, false) => step.undo(),
            (false, _) => step,
        }
    })
}

/// Sometimes one, on whether a step that is needed succeeded at its first attempt (which is its output), or was skipped.
fn condition(rng: &mut Rng, needs: &[String]) -> Option<Condition> {
    let need = needs.get(usize::try_from(rng.below(4)).unwrap_or(0))?;
    let at_once = Condition::output(need).less_than(2);
    match rng.below(4) {
        0 => Some(at_once),
        1 => Some(!at_once),
        2 => Some(Condition::any([Condition::skipped(need), at_once])),
        _ => None,
    }
}
