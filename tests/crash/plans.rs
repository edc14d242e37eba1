//! Random plans: the n-th of a seed is always the same.

use std::time::Duration;

use eyrie_core::model::{Plan, PlanBuilder, RetryPolicy, StepBuilder};
use serde_json::json;

use super::rng::Rng;

/// How many deployments the runs are spread over.
pub const DEPLOYMENTS: u64 = 6;

/// The n-th plan, and which deployment it is for.
pub fn nth(seed: u64, n: u64) -> (u64, Plan) {
    let mut rng = Rng::new(seed ^ n.wrapping_mul(0xd134_2543_de82_ef95));
    let deployment = rng.below(DEPLOYMENTS);
    let plan = match rng.below(3) {
        0 => chain(&mut rng),
        1 => diamond(&mut rng),
        _ => fan_out(&mut rng),
    };
    (deployment, plan.build().expect("a valid plan"))
}

/// One step that waits until the file is there.
pub fn hold(file: &str) -> Plan {
    Plan::builder().step("hold", "hold", |step| step.parameters(json!(file))).build().expect("a valid plan")
}

fn chain(rng: &mut Rng) -> PlanBuilder {
    (0..rng.between(2, 5)).fold(Plan::builder(), |plan, n| {
        let needs = if n == 0 { vec![] } else { vec![n - 1] };
        add(plan, rng, n, &needs)
    })
}

fn diamond(rng: &mut Rng) -> PlanBuilder {
    let all: [&[u64]; 4] = [&[], &[0], &[0], &[1, 2]];
    all.iter().zip(0..).fold(Plan::builder(), |plan, (needs, n)| add(plan, rng, n, needs))
}

fn fan_out(rng: &mut Rng) -> PlanBuilder {
    let width = rng.between(3, 8);
    let mut plan = add(Plan::builder(), rng, 0, &[]);
    for n in 1..=width {
        plan = add(plan, rng, n, &[0]);
    }
    let all: Vec<u64> = (1..=width).collect();
    if rng.once_in(2) { add(plan, rng, width + 1, &all) } else { plan }
}

fn add(plan: PlanBuilder, rng: &mut Rng, n: u64, needs: &[u64]) -> PlanBuilder {
    // Interrupted attempts count too, so that the attempt after the last failure always succeeds.
    let fails = if rng.once_in(5) { rng.between(1, 2) } else { 0 };
    let shape = |step: StepBuilder| {
        step.needs(needs.iter().map(|need| format!("s{need}")))
            .parameters(json!({ "fails": fails }))
            .retry(RetryPolicy::exponential(5, Duration::from_millis(5)))
    };
    plan.step(format!("s{n}"), "work", shape)
}
