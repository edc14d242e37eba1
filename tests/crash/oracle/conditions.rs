//! What conditions say of steps, held against what became of them.

use serde_json::Value;

use super::record::{Run, Step};

/// A step whose condition is true begins, unless its run stops; one whose condition is false is skipped, and what needs it goes on.
/// Counts those that began by a condition, and those that were skipped by one.
pub(super) fn check(run: &Run, found: &mut (usize, usize), say: &mut impl FnMut(String)) {
    for (place, step) in run.steps.iter().enumerate() {
        if let (Some(output), Some(end)) = (&step.output, run.of(step.index, |state| state == "succeeded").first()) {
            // It is the number of the attempt that made it.
            if output.is_number() && output.as_i64() != end.attempt {
                say(format!("step {}: succeeded in attempt {:?} with {output}", step.name, end.attempt));
            }
        }
        let began = run.began(step);
        let was_skipped = !run.of(step.index, |state| state == "skipped").is_empty();
        // Whatever the run's end skipped has nobody behind it that began.
        let went_on = run.steps.iter().any(|later| later.needs.contains(&place) && run.began(later));
        let is_wanted = step.when.as_ref().map(|condition| holds(run, condition));
        if began && is_wanted == Some(false) {
            say(format!("step {}: began although its condition {:?} is false", step.name, step.when));
        }
        let by_condition = was_skipped && (run.state == "succeeded" || went_on);
        if by_condition && is_wanted != Some(false) {
            say(format!("step {}: was skipped, and its condition {:?} is true", step.name, step.when));
        }
        found.0 += usize::from(began && is_wanted == Some(true));
        found.1 += usize::from(by_condition);
    }
}

/// Whether it holds, by what the steps put out.
fn holds(run: &Run, condition: &Value) -> bool {
    let (kind, about) = condition.as_object().and_then(|one| one.iter().next()).expect("a condition of one kind");
    let all = || about.as_array().expect("conditions").iter();
    match kind.as_str() {
        "all" => all().all(|one| holds(run, one)),
        "any" => all().any(|one| holds(run, one)),
        "not" => !holds(run, about),
        "succeeded" => succeeded(run, step(run, about)),
        "skipped" => !run.of(step(run, about).index, |state| state == "skipped").is_empty(),
        "output" => {
            let of = step(run, &about["step"]);
            let output = of.output.as_ref().filter(|_| succeeded(run, of)).and_then(Value::as_i64);
            let (test, value) = about["is"].as_object().and_then(|one| one.iter().next()).expect("a test of one kind");
            let value = value.as_i64().expect("a number");
            output.is_some_and(|output| match test.as_str() {
                "less_than" => output < value,
                "greater_than" => output > value,
                "equals" => output == value,
                other => panic!("no plan has a test {other:?}"),
            })
        }
        other => panic!("no plan has a condition {other:?}"),
    }
}

fn succeeded(run: &Run, step: &Step) -> bool {
    !run.of(step.index, |state| state == "succeeded").is_empty()
}

fn step<'a>(run: &'a Run, name: &Value) -> &'a Step {
    run.steps.iter().find(|step| *name == *step.name).expect("a step of the plan")
}
