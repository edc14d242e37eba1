//! What this process knows of the runs that its workers hold, so that most commands need not read before they write.
//!
//! It is what was last written here, and nobody but the holder writes to a run, with few exceptions: somebody cancels it, or takes
//! it over. So it is a guess, and every write checks by compare-and-set that it was right; where it was not, the run is forgotten
//! and read.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use eyrie_core::{
    id::RunId,
    model::{Run, Step, StepRow, StepState},
    store::{Claim, Command, Needs, RunView, RunWrites},
};

use crate::run::load::Seen;

/// The most steps that are known in all; beyond it, everything is forgotten.
const MOST_STEPS: usize = 200_000;

/// The runs that are known.
#[derive(Debug, Default)]
pub(crate) struct HeldRuns(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    runs: HashMap<RunId, HeldRun>,
    steps: usize,
}

/// A run of which no step was ever reported, so that its planned steps are all there are.
#[derive(Debug)]
struct HeldRun {
    run: Run,
    steps: Vec<HeldStep>,
}

/// What is known of the rows that some commands need.
#[derive(Debug)]
pub(super) struct Guess {
    /// The runs that are known.
    pub(super) views: BTreeMap<RunId, RunView>,
    /// What they are taken to be.
    pub(super) seen: Seen,
    /// What must be read.
    pub(super) unknown: Needs,
}

impl Guess {
    /// Nothing is known: all that is needed must be read.
    pub(super) fn nothing(needs: Needs) -> Self {
        Self { views: BTreeMap::new(), seen: Seen::default(), unknown: needs }
    }
}

/// A step without its output, handle and data for its undo.
#[derive(Debug)]
struct HeldStep {
    step: Step,
    has_handle: bool,
}

impl HeldStep {
    fn new(step: &Step, has_handle: bool) -> Self {
        let row = StepRow { output: None, handle: None, undo_data: None, ..step.row().clone() };
        Self { step: Step::from_row(row), has_handle }
    }
}

impl HeldRuns {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of what the commands need.
    pub(super) fn guess(&self, commands: &[Command], needs: &Needs) -> Guess {
        let (mut views, mut seen) = (BTreeMap::new(), Seen::default());
        // What comes from outside must not be answered by a guess; and what reports need, or the repeat of a command, is not known.
        let outside = commands.iter().filter(|command| command.fence.is_none()).map(|command| &command.run_id);
        let reported = needs.named_reports.iter().map(|(run, _)| run);
        let repeated = needs.commands.iter().map(|(run, _)| run);
        let unknown: BTreeSet<_> = outside.chain(reported).chain(repeated).collect();
        let known = self.known();
        for id in needs.runs.iter().filter(|id| !unknown.contains(id)) {
            if let Some(held) = known.runs.get(id) {
                seen.run(&held.run);
                views.insert(*id, RunView::new(held.run.clone()));
            }
        }
        let mut add = |view: &mut RunView, held: &HeldStep| {
            seen.step(&held.step, held.has_handle);
            view.steps.insert(held.step.index, held.step.clone());
        };
        for (id, index) in &needs.steps {
            if let (Some(view), Some(held)) = (views.get_mut(id), known.runs.get(id))
                && let Some(step) = held.steps.get(index.get() as usize)
            {
                add(view, step);
            }
        }
        for (ids, fits) in [(&needs.unfinished, is_unfinished as fn(&HeldStep) -> bool), (&needs.planned, |_| true)] {
            for id in ids {
                if let (Some(view), Some(held)) = (views.get_mut(id), known.runs.get(id)) {
                    held.steps.iter().filter(|step| fits(step)).for_each(|step| add(view, step));
                }
            }
        }
        let unknown = if views.len() == needs.runs.len() { Needs::default() } else { needs.without(|id| views.contains_key(id)) };
        Guess { views, seen, unknown }
    }

    /// Remembers runs that were given to a worker of this process.
    pub(super) fn claimed(&self, claims: &[Claim]) {
        let mut known = self.known();
        for Claim { run, steps, .. } in claims {
            known.forget(run.id);
            if run.step_count as usize == steps.len() && steps.iter().all(|step| step.parent.is_none()) {
                if known.steps + steps.len() > MOST_STEPS {
                    *known = Known::default();
                }
                known.steps += steps.len();
                let steps = steps.iter().map(|step| HeldStep::new(step, step.handle.is_some())).collect();
                known.runs.insert(run.id, HeldRun { run: run.clone(), steps });
            }
        }
    }

    /// Takes note of what was written.
    pub(super) fn wrote(&self, seen: &Seen, writes: &RunWrites) {
        let mut known = self.known();
        for run in &writes.runs {
            match known.runs.get_mut(&run.id) {
                Some(held) if run.state.is_held() && run.worker_id.is_some() && held.steps.len() == run.step_count as usize => {
                    held.run.clone_from(run);
                }
                Some(_) => known.forget(run.id),
                None => {}
            }
        }
        for step in &writes.steps {
            let Some(held) = known.runs.get_mut(&step.run_id) else { continue };
            if let Some(held) = held.steps.get_mut(step.index.get() as usize) {
                let before = seen.steps.get(&(step.run_id, step.index));
                let kept = before.is_some_and(|before| before.has_handle && before.attempt == step.attempt);
                *held = HeldStep::new(step, kept || step.handle.is_some());
            }
        }
    }

    /// Forgets runs of which it is not certain what they are now.
    pub(super) fn forget<'a>(&self, runs: impl IntoIterator<Item = &'a RunId>) {
        let mut known = self.known();
        runs.into_iter().for_each(|run| known.forget(*run));
    }
}

impl Known {
    fn forget(&mut self, run: RunId) {
        if let Some(held) = self.runs.remove(&run) {
            self.steps -= held.steps.len();
        }
    }
}

fn is_unfinished(held: &HeldStep) -> bool {
    matches!(held.step.state, StepState::Pending | StepState::Running | StepState::Undoing)
}
