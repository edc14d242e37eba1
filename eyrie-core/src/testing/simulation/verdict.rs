//! The verdict at the end of a simulated world.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    archive::{Filed, at_once},
    outside::{Body, BodyEnd, State},
    world::World,
};
use crate::{
    error::ErrorKind,
    id::RunId,
    model::{RunEvent, RunEventBody, RunState, StepIndex, StepState},
    testing::{Evidence, Record},
};

impl World {
    /// What is wrong, and how many runs there were. Adds the record to the trace.
    pub(super) fn verdict(&self) -> (Vec<String>, usize) {
        let mut state = self.outside.state();
        let kept = match at_once(Evidence::read(&self.store)).and_then(|kept| Ok((state.archive.compare(&kept)?, kept))) {
            Ok((differences, kept)) => [differences, kept.faults()].concat(),
            Err(error) => return (vec![crate::error::report(&error)], 0),
        };
        let evidence = state.archive.evidence();
        for event in &evidence.feed {
            let line = line_of(event);
            state.trace.push(line);
        }
        let records: BTreeMap<RunId, &Record> = evidence.records.iter().map(|record| (record.run.id, record)).collect();
        let mut faults = std::mem::take(&mut state.faults);
        faults.extend(kept);
        faults.extend(evidence.faults());
        faults.extend(left_over(&records));
        faults.extend(state.unheard());
        faults.extend(state.misanswered(&records));
        faults.extend(state.needless(&records));
        faults.extend(state.astray(&records));
        (faults, records.len())
    }
}

/// Runs that have not come to their end.
fn left_over(records: &BTreeMap<RunId, &Record>) -> Vec<String> {
    let open = records.values().filter(|record| !record.run.state.is_terminal());
    open.map(|record| format!("{} is left {}: {}", record.run.id, record.run.state, record.run.message)).collect()
}

impl State {
    /// Answers that the record does not bear out: done and not there, or refused and there.
    fn misanswered(&self, records: &BTreeMap<RunId, &Record>) -> Vec<String> {
        let mut faults = Vec::new();
        for asking in &self.askings {
            let tagged = |filed: &&Filed| filed.record.run.context.get("tag").and_then(Value::as_str) == Some(&asking.tag);
            let made: Vec<_> = self.archive.all().filter(tagged).collect();
            let runs: Vec<_> = made.iter().map(|filed| filed.record.run.id).collect();
            // A key is good for another run once the one that it made is forgotten.
            let is_forgotten = |pair: &[&Filed]| asking.is_keyed && pair[0].forgotten.is_some_and(|at| at <= pair[1].begun);
            let is_one = made.windows(2).all(is_forgotten);
            let is_true = match asking.answer {
                Some(Ok(run)) => is_one && runs.contains(&run),
                Some(Err(ErrorKind::OutcomeUnknown)) | None => is_one,
                Some(Err(_)) => runs.is_empty(),
            };
            if !is_true {
                faults.push(format!("{} was answered {:?} and made {runs:?}", asking.tag, asking.answer));
            }
        }
        for act in &self.acts {
            let Some(record) = records.get(&act.run) else { continue };
            let is_there = record.events.iter().any(|event| says(event, &act.tag));
            // A cancel of what is being cancelled changes nothing.
            let was_cancelling =
                record.events.iter().any(|event| matches!(event.body, RunEventBody::Run { state: RunState::Cancelling, .. }));
            let is_true = match act.answer {
                Some(Ok(())) => is_there || was_cancelling,
                Some(Err(ErrorKind::OutcomeUnknown)) | None => true,
                Some(Err(_)) => !is_there,
            };
            if !is_true {
                faults.push(format!("{} on {} was answered {:?}, and the record says {is_there}", act.tag, act.run, act.answer));
            }
        }
        faults
    }

    /// Bodies that were executed again although the one before had succeeded, in a process that lives and never lost its lease.
    fn needless(&self, records: &BTreeMap<RunId, &Record>) -> Vec<String> {
        let again = |body: &&Body| {
            let next = self.bodies.iter().any(|other| {
                (other.run, other.step, other.attempt) == (body.run, body.step, body.attempt + 1)
                    && records.get(&body.run).is_some_and(|record| !is_undo_of(record, body.step, other.attempt))
            });
            next && body.end == BodyEnd::Succeeded && self.is_undisturbed(body.process, body.lease)
        };
        self.bodies
            .iter()
            .filter(again)
            .map(|body| format!("{} had succeeded in p{} and was executed again", body.name(), body.process))
            .collect()
    }

    /// Effects that are there although the run says that they are undone, or are not although it says that it succeeded.
    fn astray(&self, records: &BTreeMap<RunId, &Record>) -> Vec<String> {
        let mut faults = Vec::new();
        for record in records.values() {
            for step in record.steps.iter().filter(|step| step.parent.is_none() && !record.plan.is_approval(step.index)) {
                let is_there = self.effects.get(&(record.run.id, step.index)).is_some_and(|effect| effect.is_there);
                let said = match step.state {
                    StepState::Succeeded => true,
                    StepState::Skipped if step.attempt == 0 => false,
                    // Somebody said so.
                    StepState::Undone if !was_skipped(record, step.index) => false,
                    _ => continue,
                };
                if said != is_there {
                    let there = if is_there { "there" } else { "not there" };
                    faults.push(format!("{}/{} is {} and its effect is {there}", record.run.id, step.index, step.state));
                }
            }
        }
        faults
    }
}

/// Whether that attempt of the step was one of its undo.
fn is_undo_of(record: &Record, index: StepIndex, attempt: u32) -> bool {
    record.events.iter().any(|event| {
        matches!(&event.body, RunEventBody::Step { index: step, attempt: number, state: StepState::Undoing, .. } if *step == index && *number == attempt)
    })
}

/// Whether the undo of the step was skipped: it is undone without having been undoing before.
fn was_skipped(record: &Record, index: StepIndex) -> bool {
    let states = record.events.iter().filter_map(|event| match &event.body {
        RunEventBody::Step { index: step, state, .. } if *step == index => Some(*state),
        _ => None,
    });
    let states: Vec<_> = states.collect();
    states.windows(2).any(|pair| pair == [StepState::UndoFailed, StepState::Undone])
}

fn says(event: &RunEvent, tag: &str) -> bool {
    match &event.body {
        RunEventBody::Run { message, .. } | RunEventBody::Step { message, .. } | RunEventBody::Progress { message, .. } => {
            message.contains(tag)
        }
    }
}

fn line_of(event: &RunEvent) -> String {
    let RunEvent { run_id, seq, at, epoch, body, .. } = event;
    let said = match body {
        RunEventBody::Run { state, message } => format!("run {state} {message:?}"),
        RunEventBody::Step { index, state, attempt, message, .. } => format!("step {index} {state}, attempt {attempt} {message:?}"),
        RunEventBody::Progress { index, message, .. } => format!("step {index} says {message:?}"),
    };
    format!("{:>8} ms  {run_id} {seq} (epoch {epoch}): {said}", at.as_millisecond())
}
