//! Where each planned step of a run stands, and what may start next. Pure: no clock, no store, no task.

use std::{collections::BTreeMap, time::Instant};

use serde_json::Value;

use crate::{
    model::{Plan, Step, StepIndex, StepStart, StepState},
    name::StepName,
};

/// The board of one run.
#[derive(Debug)]
pub(super) struct Board {
    rows: Vec<Row>,
    running: u32,
    succeeded: usize,
    failed: Option<StepIndex>,
}

#[derive(Debug, Clone)]
struct Row {
    state: StepState,
    attempt: u32,
    output: Option<Value>,
    open_needs: u32,
    not_before: Option<Instant>,
}

impl Board {
    /// A board for the plan with its steps as the store has them.
    pub(super) fn new(plan: &Plan, steps: &[Step], not_before: impl Fn(&Step) -> Option<Instant>) -> Self {
        let blank = Row { state: StepState::Pending, attempt: 0, output: None, open_needs: 0, not_before: None };
        let mut rows = vec![blank; plan.steps().len()];
        for step in steps.iter().filter(|step| step.parent.is_none()) {
            if let Some(row) = rows.get_mut(step.index.position()) {
                row.state = step.state;
                row.attempt = step.attempt;
                row.output.clone_from(&step.output);
                row.not_before = not_before(step);
            }
        }
        for position in 0..rows.len() {
            let needs = plan.needs(StepIndex::from_position(position));
            let open = needs.iter().filter(|need| rows[need.position()].state != StepState::Succeeded).count();
            rows[position].open_needs = u32::try_from(open).unwrap_or(u32::MAX);
        }
        let running = rows.iter().filter(|row| row.state == StepState::Running).count();
        let failed = rows.iter().position(|row| row.state == StepState::Failed).map(StepIndex::from_position);
        let succeeded = rows.iter().filter(|row| row.state == StepState::Succeeded).count();
        Self { rows, running: u32::try_from(running).unwrap_or(u32::MAX), succeeded, failed }
    }

    /// Notes that the step runs as this attempt.
    pub(super) fn started(&mut self, step: StepIndex, attempt: u32) {
        if let Some(row) = self.rows.get_mut(step.position()) {
            if row.state != StepState::Running {
                self.running += 1;
            }
            row.state = StepState::Running;
            row.attempt = attempt;
            row.not_before = None;
        }
    }

    /// Notes how a running step ended; `not_before` for one that is to be tried again.
    pub(super) fn settled(&mut self, plan: &Plan, step: StepIndex, state: StepState, output: Option<Value>, not_before: Option<Instant>) {
        let Some(row) = self.rows.get_mut(step.position()) else { return };
        if row.state == StepState::Running {
            self.running -= 1;
        }
        row.state = state;
        row.output = output;
        row.not_before = not_before;
        match state {
            StepState::Failed => self.failed = self.failed.or(Some(step)),
            StepState::Succeeded => {
                self.succeeded += 1;
                for dependent in plan.dependents(step) {
                    let row = &mut self.rows[dependent.position()];
                    row.open_needs = row.open_needs.saturating_sub(1);
                }
            }
            _ => {}
        }
    }

    /// What may start now, within the plan's bound on parallel steps. Nothing, once a step has failed.
    pub(super) fn startable(&self, plan: &Plan, now: Instant) -> Vec<StepStart> {
        self.startable_with(plan, &[], 0, now)
    }

    /// Like [`startable`](Self::startable), as it will be once `succeeded` are noted and `ended` bodies no longer run.
    pub(super) fn startable_with(&self, plan: &Plan, succeeded: &[StepIndex], ended: usize, now: Instant) -> Vec<StepStart> {
        let ended = u32::try_from(ended).unwrap_or(u32::MAX);
        let closes = |place: usize| {
            let needs = plan.needs(StepIndex::from_position(place));
            let closing = succeeded.iter().filter(|step| needs.binary_search(step).is_ok()).count();
            u32::try_from(closing).unwrap_or(u32::MAX)
        };
        let free = plan.max_parallel().saturating_sub(self.running.saturating_sub(ended)) as usize;
        if self.failed.is_some() || free == 0 {
            return Vec::new();
        }
        let due = |row: &Row| row.state == StepState::Pending && row.not_before.is_none_or(|at| at <= now);
        let ready = |place: usize, row: &Row| due(row) && (row.open_needs == 0 || row.open_needs <= closes(place));
        let places = self.rows.iter().enumerate().filter(|(place, row)| ready(*place, row)).map(|(place, _)| place);
        places.take(free).map(|place| plan.start(StepIndex::from_position(place))).collect()
    }

    /// When the earliest step that waits for its next attempt may start.
    pub(super) fn next_attempt(&self) -> Option<Instant> {
        let waiting = self.rows.iter().filter(|row| row.state == StepState::Pending && row.open_needs == 0);
        waiting.filter_map(|row| row.not_before).min()
    }

    /// The steps that run, with their attempts.
    pub(super) fn running(&self) -> Vec<(StepIndex, u32)> {
        let rows = self.rows.iter().enumerate().filter(|(_, row)| row.state == StepState::Running);
        rows.map(|(place, row)| (StepIndex::from_position(place), row.attempt)).collect()
    }

    /// Whether no step runs.
    pub(super) fn is_idle(&self) -> bool {
        self.running == 0
    }

    /// Whether every step has succeeded once `more` further ones have.
    pub(super) fn is_complete_with(&self, more: usize) -> bool {
        self.succeeded + more == self.rows.len()
    }

    /// The first step that failed for good.
    pub(super) fn failed(&self) -> Option<StepIndex> {
        self.failed
    }

    /// What the steps that `step` needs produced.
    pub(super) fn outputs(&self, plan: &Plan, step: StepIndex) -> BTreeMap<StepName, Value> {
        let needs = plan.needs(step).iter();
        needs.filter_map(|need| Some((plan.step(*need)?.name.clone(), self.rows.get(need.position())?.output.clone()?))).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn indices(starts: &[StepStart]) -> Vec<u32> {
        starts.iter().map(|start| start.index.get()).collect()
    }

    #[test]
    fn a_diamond_starts_in_order_and_in_parallel() {
        let plan = Plan::builder()
            .step("a", "x", |s| s)
            .step("b", "x", |s| s.needs(["a"]))
            .step("c", "x", |s| s.needs(["a"]))
            .step("d", "x", |s| s.needs(["b", "c"]))
            .build()
            .unwrap();
        let mut board = Board::new(&plan, &[], |_| None);
        let now = Instant::now();
        let settle = |board: &mut Board, n| board.settled(&plan, StepIndex::new(n), StepState::Succeeded, None, None);
        assert_eq!(indices(&board.startable(&plan, now)), [0]);
        board.started(StepIndex::new(0), 1);
        assert!(board.startable(&plan, now).is_empty());
        settle(&mut board, 0);
        assert_eq!(indices(&board.startable(&plan, now)), [1, 2]);
        board.started(StepIndex::new(1), 1);
        board.started(StepIndex::new(2), 1);
        settle(&mut board, 2);
        assert!(board.startable(&plan, now).is_empty());
        settle(&mut board, 1);
        assert_eq!(indices(&board.startable(&plan, now)), [3]);
        board.started(StepIndex::new(3), 1);
        settle(&mut board, 3);
        assert!(board.is_complete_with(0));
    }

    #[test]
    fn nothing_starts_after_a_failure() {
        let plan = Plan::builder().step("a", "x", |s| s).step("b", "x", |s| s).max_parallel(1).build().unwrap();
        let mut board = Board::new(&plan, &[], |_| None);
        assert_eq!(indices(&board.startable(&plan, Instant::now())), [0], "max_parallel is kept");
        board.started(StepIndex::new(0), 1);
        board.settled(&plan, StepIndex::new(0), StepState::Failed, None, None);
        assert!(board.startable(&plan, Instant::now()).is_empty());
        assert_eq!(board.failed(), Some(StepIndex::new(0)));
        assert!(board.is_idle() && !board.is_complete_with(0));
    }
}
