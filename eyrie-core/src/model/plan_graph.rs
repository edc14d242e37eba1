//! The order that the needs of a plan's steps make.

use std::collections::HashMap;

use crate::{
    error::Invalid,
    model::{PlannedStep, StepIndex},
};

/// Turns names into indices; refuses duplicates and unknown names.
pub(super) fn resolve(steps: &[PlannedStep]) -> Result<Vec<Vec<StepIndex>>, Invalid> {
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
pub(super) fn dependents(needs: &[Vec<StepIndex>]) -> Vec<Vec<StepIndex>> {
    let mut dependents = vec![Vec::new(); needs.len()];
    for (position, row) in needs.iter().enumerate() {
        for need in row {
            dependents[need.position()].push(StepIndex::from_position(position));
        }
    }
    dependents
}

/// Kahn's algorithm: what cannot be ordered stands on a cycle (or behind one).
pub(super) fn refuse_cycle(steps: &[PlannedStep], needs: &[Vec<StepIndex>], dependents: &[Vec<StepIndex>]) -> Result<(), Invalid> {
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
