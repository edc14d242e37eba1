//! What a run's own record must be, whatever happened to the processes that wrote it.

use super::record::{Run, Step};

/// Whether a run in this state has ended.
pub(super) fn is_end(state: &str) -> bool {
    matches!(state, "succeeded" | "failed" | "cancelled" | "undone" | "undo_failed")
}

/// Whether a step has ended, as far as its own body is concerned.
fn is_done(state: &str) -> bool {
    matches!(state, "succeeded" | "failed" | "skipped" | "cancelled")
}

fn is_undo_end(state: &str) -> bool {
    matches!(state, "undone" | "undo_failed")
}

/// Whether somebody asked for the run's cancel, and whether it was told that this is durable.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cancel {
    pub asked: bool,
    pub acknowledged: bool,
}

pub(super) fn check_run(run: &Run, cancel: Cancel, say: &mut impl FnMut(String)) {
    let seqs: Vec<_> = run.events.iter().map(|event| event.seq).collect();
    if seqs != (1..=run.last_seq.cast_unsigned()).collect::<Vec<_>>() {
        say(format!("its events are {seqs:?}, its last is {}", run.last_seq));
    }
    if run.events.windows(2).any(|pair| pair[1].epoch < pair[0].epoch)
        || run.events.last().map(|event| event.epoch) != Some(run.epoch.cast_unsigned())
    {
        say("its epochs go back".to_owned());
    }
    let ends: Vec<_> = run.events.iter().filter(|event| event.is_run(is_end)).map(|event| event.seq).collect();
    if ends != [run.last_seq.cast_unsigned()] {
        say(format!("is {} and ends at {ends:?}", run.state));
    }
    if run.steps.len() != run.planned {
        say(format!("has {} planned steps of {}", run.steps.len(), run.planned));
    }
    check_end(run, cancel, say);
    for (place, step) in run.steps.iter().enumerate() {
        let mut say = |what: String| say(format!("step {}: {what}", step.name));
        check_step(run, step, &mut say);
        check_order(run, place, &mut say);
        check_state(run, place, &mut say);
    }
}

/// The end is the one that the plan, its broken steps and the cancels lead to.
fn check_end(run: &Run, cancel: Cancel, say: &mut impl FnMut(String)) {
    let state = run.state.as_str();
    let is_broken = |step: &&Step| step.manners.broken && !run.of(step.index, |state| state == "failed").is_empty();
    let failed = run.steps.iter().any(|step| is_broken(&step));
    let undoable = || run.steps.iter().filter(|step| step.has_undo && run.began(step));
    let stuck = undoable().any(|step| step.manners.undo_broken);
    let after = |undoes: bool, left: &'static str| match (undoes && undoable().count() > 0, stuck) {
        (false, _) => left,
        (true, false) => "undone",
        (true, true) => "undo_failed",
    };
    let has_been = |what: &str| run.events.iter().any(|event| event.is_run(|state| state == what));
    let mut expected = Vec::new();
    if !cancel.acknowledged {
        expected.push(if failed { after(run.undoes_failures, "failed") } else { "succeeded" });
    }
    if cancel.asked {
        expected.push(after(run.undoes_cancels, "cancelled"));
        if has_been("undoing") {
            // The undo itself was cancelled.
            expected.push("cancelled");
        }
    }
    if !expected.contains(&state) {
        say(format!("is {state}, expected {expected:?} ({cancel:?})"));
    }
    if has_been("cancelling") && matches!(state, "succeeded" | "failed") {
        say(format!("is {state} although its cancel had won"));
    }
    if (has_been("cancelling") || state == "cancelled") && !cancel.asked {
        say("was cancelled although nobody asked for it".to_owned());
    }
}

/// Attempts count from 1 without a gap, each in a state of its own; there is one end, and one of the undo.
fn check_step(run: &Run, step: &Step, say: &mut impl FnMut(String)) {
    let attempts = |state: &str| run.of(step.index, |other| other == state).iter().filter_map(|event| event.attempt).collect::<Vec<_>>();
    let (mut begun, mut undone) = (attempts("running"), attempts("undoing"));
    // An undo that waits for its next attempt says so under the number of the last one.
    undone.dedup();
    let last_done = begun.len();
    begun.append(&mut undone);
    if begun != (1..=step.attempt).collect::<Vec<_>>() {
        say(format!("began {begun:?} and counts {}", step.attempt));
    }
    let ends = run.of(step.index, is_done);
    if ends.len() != 1 {
        say(format!("ended {} times", ends.len()));
    }
    let end = ends.last().map_or(0, |event| event.seq);
    if run.of(step.index, |state| matches!(state, "pending" | "running")).iter().any(|event| event.seq > end) {
        say("began again after its end".to_owned());
    }
    let undo_ends = run.of(step.index, is_undo_end);
    if undo_ends.len() > 1 || undo_ends.len() != usize::from(begun.len() > last_done) {
        say(format!("its undo ended {} times", undo_ends.len()));
    }
    let undo_end = undo_ends.last().map_or(u64::MAX, |event| event.seq);
    if run.of(step.index, |state| state == "undoing").iter().any(|event| event.seq > undo_end || event.seq < end) {
        say("its undo began before its end, or after the undo's".to_owned());
    }
    let last = run.of(step.index, |_| true).last().map(|event| event.state.as_str());
    if last != Some(step.state.as_str()) {
        say(format!("is {} and was last heard of as {last:?}", step.state));
    }
}

/// A step begins after all that it needs has succeeded or was skipped, and is undone after all that needs it has been.
fn check_order(run: &Run, place: usize, say: &mut impl FnMut(String)) {
    let step = &run.steps[place];
    if let Some(first) = run.of(step.index, |state| state == "running").first() {
        for need in &step.needs {
            let need = &run.steps[*need];
            if run.of(need.index, |state| matches!(state, "succeeded" | "skipped")).first().is_none_or(|need| need.seq >= first.seq) {
                say(format!("began before {} was done", need.name));
            }
        }
    }
    let Some(undo) = run.of(step.index, |state| state == "undoing").first().copied() else { return };
    if run.events.iter().find(|event| event.is_run(|state| state == "undoing")).is_none_or(|begun| begun.seq > undo.seq) {
        say("was undone before the run was".to_owned());
    }
    for later in run.downstream(place) {
        let later = &run.steps[later];
        if later.has_undo && run.began(later) && run.of(later.index, |state| state == "undone").first().is_none_or(|end| end.seq > undo.seq)
        {
            say(format!("was undone before {} was", later.name));
        }
    }
}

/// A step's state is one that its run's end allows: nothing that began and has an undo is left behind by an undo.
fn check_state(run: &Run, place: usize, say: &mut impl FnMut(String)) {
    let step = &run.steps[place];
    let to_undo = step.has_undo && run.began(step);
    let is_held_up = || run.downstream(place).iter().any(|later| run.steps[*later].state == "undo_failed");
    let fits = match (run.state.as_str(), step.state.as_str()) {
        ("succeeded", state) => matches!(state, "succeeded" | "skipped"),
        ("undone", state) => (state == "undone") == to_undo,
        ("undo_failed", "undo_failed") => step.manners.undo_broken,
        ("undo_failed", state) => (state == "undone") == to_undo || is_held_up(),
        ("failed", state) => !matches!(state, "undone" | "undo_failed"),
        _ => true,
    };
    if !fits {
        say(format!("is {} in a run that is {}", step.state, run.state));
    }
}
