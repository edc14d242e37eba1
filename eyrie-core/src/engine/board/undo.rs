//! What of a run is to be undone, and what comes next of that.

use serde_json::Value;
use tokio::time::Instant;

use super::{Board, Row};
use crate::model::{Plan, StepIndex, StepStart, StepState};

impl Row {
    /// Whether the step may have had an effect that is still there, and its undo has not begun.
    fn is_undoable(&self) -> bool {
        let stopped = matches!(self.state, StepState::Succeeded | StepState::Failed | StepState::Cancelled | StepState::Pending);
        stopped && self.attempt > 0
    }

    /// Whether its undo waits for its next attempt.
    fn is_undo_waiting(&self) -> bool {
        self.state == StepState::Undoing && !self.busy
    }
}

impl Board {
    /// Notes that the step's undo runs as this attempt.
    pub(in crate::engine) fn undo_started(&mut self, step: StepIndex, attempt: u32) {
        self.begun(step, StepState::Undoing, attempt);
    }

    /// The undos that may start now, within the plan's bound on parallel steps: a step is undone once all that needs it, directly or
    /// through others, and is to be undone has been.
    pub(in crate::engine) fn undo_startable(&self, plan: &Plan, now: Instant) -> Vec<StepStart> {
        let free = self.free(plan);
        if free == 0 {
            return Vec::new();
        }
        let blocked = self.undo_blocked(plan);
        let due = |row: &Row| row.is_undo_waiting() && row.not_before.is_none_or(|at| at <= now);
        let may = |place: usize, row: &Row| !blocked[place] && (due(row) || (row.is_undoable() && has_undo(plan, place)));
        // The latest steps first, as a person would.
        let places = self.rows.iter().enumerate().rev().filter(|(place, row)| may(*place, row)).map(|(place, _)| place);
        places.take(free).map(|place| plan.start_undo(StepIndex::from_position(place))).collect()
    }

    /// For each step, whether something that needs it is still to be undone. Kahn's algorithm from the end of the plan.
    fn undo_blocked(&self, plan: &Plan) -> Vec<bool> {
        let index = StepIndex::from_position;
        let mut waits_for: Vec<usize> = (0..self.rows.len()).map(|place| plan.dependents(index(place)).len()).collect();
        let mut blocked = vec![false; self.rows.len()];
        let mut ready: Vec<usize> = (0..self.rows.len()).filter(|&place| waits_for[place] == 0).collect();
        while let Some(place) = ready.pop() {
            let row = &self.rows[place];
            let is_open = match row.state {
                StepState::Undoing | StepState::UndoFailed => true,
                _ => row.is_undoable() && has_undo(plan, place),
            };
            for need in plan.needs(index(place)).iter().map(|need| need.position()) {
                blocked[need] |= is_open || blocked[place];
                waits_for[need] -= 1;
                if waits_for[need] == 0 {
                    ready.push(need);
                }
            }
        }
        blocked
    }

    /// Whether there is anything that an undo of the run would do.
    pub(in crate::engine) fn is_anything_to_undo(&self, plan: &Plan) -> bool {
        self.rows.iter().enumerate().any(|(place, row)| row.is_undoable() && has_undo(plan, place))
    }

    /// Whether the undo of any step has begun.
    pub(in crate::engine) fn undo_begun(&self) -> bool {
        self.rows.iter().any(|row| row.state.is_undo())
    }

    /// The first step whose undo failed for good.
    pub(in crate::engine) fn undo_failed(&self) -> Option<StepIndex> {
        self.rows.iter().position(|row| row.state == StepState::UndoFailed).map(StepIndex::from_position)
    }

    /// Whether the step's undo has begun.
    pub(in crate::engine) fn is_undo(&self, step: StepIndex) -> bool {
        self.rows.get(step.position()).is_some_and(|row| row.state.is_undo())
    }

    /// What is known of a step whose undo has begun: whether it succeeded, and its output.
    pub(in crate::engine) fn undone_outcome(&self, step: StepIndex) -> Option<Option<Value>> {
        let row = self.rows.get(step.position())?;
        (row.undo_from == Some(StepState::Succeeded)).then(|| row.output.clone())
    }

    /// When the earliest undo that waits for its next attempt may start. None while nothing could start anyway.
    pub(in crate::engine) fn next_undo(&self, plan: &Plan) -> Option<Instant> {
        if self.free(plan) == 0 || !self.rows.iter().any(Row::is_undo_waiting) {
            return None;
        }
        let blocked = self.undo_blocked(plan);
        let waiting = self.rows.iter().zip(blocked).filter(|(row, blocked)| row.is_undo_waiting() && !blocked);
        waiting.filter_map(|(row, _)| row.not_before).min()
    }
}

fn has_undo(plan: &Plan, place: usize) -> bool {
    plan.steps().get(place).is_some_and(|step| step.undo.is_some())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::engine::board::tests::indices;

    /// a ← b ← d, a ← c; b has no undo, so that d stands before a only through it.
    #[test]
    fn undo_goes_backwards_also_through_steps_without_one() {
        let plan = Plan::builder()
            .step("a", "x", |s| s.undo())
            .step("b", "x", |s| s.needs(["a"]))
            .step("c", "x", |s| s.needs(["a"]).undo())
            .step("d", "x", |s| s.needs(["b"]).undo())
            .step("e", "x", |s| s.needs(["d"]).undo())
            .build()
            .unwrap();
        let mut board = Board::new(&plan, &[], |_| None);
        let now = Instant::now();
        assert!(!board.is_anything_to_undo(&plan));
        for n in 0..4 {
            board.started(StepIndex::new(n), 1);
            let state = if n == 3 { StepState::Failed } else { StepState::Succeeded };
            board.settled(&plan, StepIndex::new(n), state, Some(Value::from(n)), None);
        }
        assert!(board.is_anything_to_undo(&plan) && !board.undo_begun());
        assert_eq!(indices(&board.undo_startable(&plan, now)), [3, 2], "e never began, and b has no undo");
        let undone = |board: &mut Board, n, state| {
            board.undo_started(StepIndex::new(n), 2);
            board.settled(&plan, StepIndex::new(n), state, None, None);
        };
        undone(&mut board, 2, StepState::Undone);
        assert_eq!(indices(&board.undo_startable(&plan, now)), [3], "a waits for d");
        board.undo_started(StepIndex::new(3), 2);
        assert_eq!(board.undone_outcome(StepIndex::new(3)), None, "it failed");
        let later = now + std::time::Duration::from_secs(5);
        board.settled(&plan, StepIndex::new(3), StepState::Undoing, None, Some(later));
        assert!(board.undo_startable(&plan, now).is_empty());
        assert_eq!((board.next_undo(&plan), board.next_attempt(&plan)), (Some(later), None));
        assert_eq!(indices(&board.undo_startable(&plan, later)), [3]);
        board.undo_started(StepIndex::new(3), 3);
        assert_eq!(board.tries(StepIndex::new(3), 3), 2);
        board.settled(&plan, StepIndex::new(3), StepState::UndoFailed, None, None);
        assert!(board.undo_startable(&plan, later).is_empty(), "what d needs stays as it is");
        assert_eq!(board.undo_failed(), Some(StepIndex::new(3)));
        board.settled(&plan, StepIndex::new(3), StepState::Undone, None, None);
        assert_eq!(indices(&board.undo_startable(&plan, now)), [0]);
        board.undo_started(StepIndex::new(0), 2);
        assert_eq!(board.undone_outcome(StepIndex::new(0)), Some(Some(Value::from(0))), "its own output is kept");
        board.settled(&plan, StepIndex::new(0), StepState::Undone, None, None);
        assert!(board.undo_startable(&plan, now).is_empty() && board.is_idle() && board.next_undo(&plan).is_none());
    }
}
