//! Random plans, some with conditions on what earlier steps put out: the n-th of a seed is always the same.

use std::time::Duration;

use eyrie_core::{
    model::{Condition, Plan, PlannedRelease, RetryPolicy, StepBuilder, StopPolicy},
    testing::Rng,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// How many deployments the runs are spread over.
pub const DEPLOYMENTS: u64 = 6;

/// The n-th thing that is asked for.
#[derive(Debug)]
pub struct Job {
    /// The place of its deployment.
    pub deployment: u64,
    /// What is to be done.
    pub plan: Plan,
    /// When whoever asked for it asks for its cancel.
    pub cancel_after: Option<Duration>,
}

/// How a step behaves, and its undo.
#[derive(Debug, Clone, Default, Serialize, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub struct Manners {
    /// Up to this attempt it fails.
    pub fails: u32,
    /// It never succeeds.
    pub broken: bool,
    /// So many attempts of its undo fail.
    pub undo_fails: u32,
    /// Its undo never succeeds.
    pub undo_broken: bool,
}

/// The n-th job.
pub fn nth(seed: u64, n: u64) -> Job {
    let mut rng = Rng::new(seed ^ n.wrapping_mul(0xd134_2543_de82_ef95));
    let deployment = rng.below(DEPLOYMENTS);
    let needs = match rng.below(3) {
        0 => chain(&mut rng),
        1 => vec![vec![], vec![0], vec![0], vec![1, 2]],
        _ => fan_out(&mut rng),
    };
    let plan = plan(&mut rng, &needs);
    let cancel_after = rng.once_in(8).then(|| Duration::from_millis(rng.below(300)));
    Job { deployment, plan, cancel_after }
}

/// One step that waits until the file is there.
pub fn hold(file: &str) -> Plan {
    Plan::builder().step("hold", "hold", |step| step.parameters(json!(file))).build().expect("a valid plan")
}

fn chain(rng: &mut Rng) -> Vec<Vec<usize>> {
    let length = usize::try_from(rng.between(2, 5)).expect("a small number");
    (0..length).map(|n| n.checked_sub(1).into_iter().collect()).collect()
}

fn fan_out(rng: &mut Rng) -> Vec<Vec<usize>> {
    let width = usize::try_from(rng.between(3, 8)).expect("a small number");
    let mut needs = vec![vec![]];
    needs.extend(vec![vec![0]; width]);
    if rng.once_in(2) {
        needs.push((1..=width).collect());
    }
    needs
}

/// Most plans go well; in some a step is broken, and in some of those an undo is, too.
fn plan(rng: &mut Rng, needs: &[Vec<usize>]) -> Plan {
    let steps = needs.len() as u64;
    let broken = rng.once_in(4).then(|| rng.below(steps));
    let undo_broken = (broken.is_some() && rng.once_in(4)).then(|| rng.below(steps));
    let has_undo: Vec<_> = (0..steps).map(|n| undo_broken == Some(n) || !rng.once_in(3)).collect();
    // A plan without an undo cannot say that it is undone.
    let stop = |often: bool| if often && has_undo.contains(&true) { StopPolicy::Undo } else { StopPolicy::Leave };
    let mut plan = Plan::builder().on_failure(stop(!rng.once_in(4))).on_cancel(stop(!rng.once_in(3)));
    for ((n, needs), has_undo) in (0..).zip(needs).zip(&has_undo) {
        // Interrupted attempts count too, so that the attempt after the last failure always succeeds.
        let mut few = || if rng.once_in(5) { u32::try_from(rng.between(1, 2)).unwrap_or(1) } else { 0 };
        let manners = Manners { fails: few(), undo_fails: few(), broken: broken == Some(n), undo_broken: undo_broken == Some(n) };
        let retry = RetryPolicy::exponential(5, Duration::from_millis(5));
        let when = condition(rng, needs);
        let shape = |step: StepBuilder| {
            let step = step.needs(needs.iter().map(|need| format!("s{need}"))).parameters(json!(manners)).retry(retry);
            let step = if *has_undo { step.undo().undo_retry(retry) } else { step };
            match when {
                Some(condition) => step.when(condition),
                None => step,
            }
        };
        plan = plan.step(format!("s{n}"), "work", shape);
    }
    if !rng.once_in(3) {
        plan = plan.release(PlannedRelease { config: json!({}), leaves_running: true });
    }
    plan.build().expect("a valid plan")
}

/// Sometimes a step has one, on what a step before it put out, which is the number of its attempt; or on what became of it.
fn condition(rng: &mut Rng, needs: &[usize]) -> Option<Condition> {
    let need = *rng.pick(needs)?;
    // The first step stands before all others.
    let before = format!("s{}", if rng.once_in(3) { 0 } else { need });
    let (at_once, later) = (Condition::output(&before).less_than(2), Condition::output(&before).greater_than(1));
    match rng.below(8) {
        0 => Some(at_once),
        1 => Some(later),
        2 => Some(!at_once),
        3 => Some(Condition::any([Condition::skipped(&before), later])),
        4 => Some(Condition::all([Condition::succeeded(&before), Condition::output(&before).equals(1)])),
        _ => None,
    }
}
