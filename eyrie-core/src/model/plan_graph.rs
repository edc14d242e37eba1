//! The order that the needs of a plan's steps make, and what their conditions may speak of.

use std::collections::HashMap;

use crate::{
    error::Invalid,
    model::{PlannedStep, StepIndex},
};

/// The steps of a plan by their places.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PlanGraph {
    /// For each step, the steps that it needs, in order.
    pub(super) needs: Vec<Vec<StepIndex>>,
    /// For each step, the steps that need it, in order.
    pub(super) dependents: Vec<Vec<StepIndex>>,
    /// All steps, each behind what it needs.
    pub(super) order: Vec<StepIndex>,
    /// The steps that conditions speak of.
    pub(super) named: HashMap<String, StepIndex>,
}

impl PlanGraph {
    /// Refuses doubled and unknown names, cycles, and conditions on what a step does not need.
    pub(super) fn of(steps: &[PlannedStep]) -> Result<Self, Invalid> {
        let mut places = HashMap::with_capacity(steps.len());
        for (place, step) in steps.iter().enumerate() {
            if places.insert(step.name.as_str(), StepIndex::from_position(place)).is_some() {
                return Err(Invalid::new(format!("plan.steps.{}", step.name), "the name is used by two steps"));
            }
        }
        let needs = resolve(steps, &places)?;
        let dependents = dependents(&needs);
        let order = in_order(steps, &needs, &dependents)?;
        let named = check_conditions(steps, &places, &needs, &order)?;
        Ok(Self { needs, dependents, order, named })
    }
}

/// Turns the names of needs into places.
fn resolve(steps: &[PlannedStep], places: &HashMap<&str, StepIndex>) -> Result<Vec<Vec<StepIndex>>, Invalid> {
    let mut needs = Vec::with_capacity(steps.len());
    for step in steps {
        let find = |name| known(places, name, || format!("plan.steps.{}.needs", step.name));
        let mut row = step.needs.iter().map(|name| find(name.as_str())).collect::<Result<Vec<_>, _>>()?;
        row.sort_unstable();
        row.dedup();
        needs.push(row);
    }
    Ok(needs)
}

fn known(places: &HashMap<&str, StepIndex>, name: &str, field: impl FnOnce() -> String) -> Result<StepIndex, Invalid> {
    places.get(name).copied().ok_or_else(|| Invalid::new(field(), format!("there is no step {name:?}")))
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

/// Kahn's algorithm: what cannot be ordered stands on a cycle, or behind one.
fn in_order(steps: &[PlannedStep], needs: &[Vec<StepIndex>], dependents: &[Vec<StepIndex>]) -> Result<Vec<StepIndex>, Invalid> {
    let mut open: Vec<usize> = needs.iter().map(Vec::len).collect();
    let mut ready: Vec<StepIndex> = (0..needs.len()).filter(|&place| open[place] == 0).map(StepIndex::from_position).collect();
    let mut order = Vec::with_capacity(needs.len());
    while let Some(index) = ready.pop() {
        order.push(index);
        for dependent in &dependents[index.position()] {
            open[dependent.position()] -= 1;
            if open[dependent.position()] == 0 {
                ready.push(*dependent);
            }
        }
    }
    let Some(mut on_cycle) = open.iter().position(|open| *open > 0) else { return Ok(order) };
    // Whoever goes from need to need that cannot be ordered ends up on the cycle.
    for _ in 0..needs.len() {
        let further = needs[on_cycle].iter().map(|need| need.position()).find(|need| open[*need] > 0);
        on_cycle = further.unwrap_or(on_cycle);
    }
    Err(Invalid::new(format!("plan.steps.{}.needs", steps[on_cycle].name), "the steps need each other in a circle"))
}

/// Refuses conditions that are out of bounds, or speak of a step that theirs does not need. Returns the steps that they speak of.
fn check_conditions(
    steps: &[PlannedStep],
    places: &HashMap<&str, StepIndex>,
    needs: &[Vec<StepIndex>],
    order: &[StepIndex],
) -> Result<HashMap<String, StepIndex>, Invalid> {
    let mut spoken_of = Vec::with_capacity(steps.len());
    let mut bits: HashMap<StepIndex, usize> = HashMap::new();
    for step in steps {
        let mut found = Vec::new();
        if let Some(condition) = &step.when {
            let mut fields = Vec::new();
            condition.check(format!("plan.steps.{}.when", step.name), &mut fields)?;
            for (field, name) in fields {
                let index = known(places, name, || field.clone())?;
                let next = bits.len();
                bits.entry(index).or_insert(next);
                found.push((field, index));
            }
        }
        spoken_of.push(found);
    }
    // For each step, which of the steps spoken of it needs: a bit each, passed on from need to need.
    let words = bits.len().div_ceil(64);
    let mut upstream = vec![0_u64; steps.len() * words];
    for index in order.iter().filter(|_| words > 0) {
        let own = index.position() * words;
        for need in &needs[index.position()] {
            for word in 0..words {
                upstream[own + word] |= upstream[need.position() * words + word];
            }
            if let Some(bit) = bits.get(need) {
                upstream[own + bit / 64] |= 1 << (bit % 64);
            }
        }
    }
    for (place, found) in spoken_of.into_iter().enumerate() {
        for (field, index) in found {
            let bit = bits[&index];
            if upstream[place * words + bit / 64] & (1 << (bit % 64)) == 0 {
                let (name, own) = (&steps[index.position()].name, &steps[place].name);
                let reason = format!("{:?} is no step that {:?} needs, directly or through others", name.as_str(), own.as_str());
                return Err(Invalid::new(field, reason));
            }
        }
    }
    Ok(bits.into_keys().map(|index| (steps[index.position()].name.to_string(), index)).collect())
}
