//! Where each planned step of a run stands, and what may start next. Pure: no clock, no store, no task.

mod undo;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::Value;
use tokio::time::Instant;

use crate::{
    model::{Done, Plan, Step, StepIndex, StepStart, StepState},
    name::StepName,
};

/// The board of one run.
#[derive(Debug)]
pub(super) struct Board {
    rows: Vec<Row>,
    busy: u32,
    /// How many steps are done.
    done: usize,
    /// Pending steps with a condition that was not looked at yet.
    undecided: BTreeSet<StepIndex>,
    failed: Option<StepIndex>,
    /// What the step that failed first said, when it did so before this worker had the run.
    failure: String,
}

#[derive(Debug, Clone)]
struct Row {
    state: StepState,
    /// It succeeded, or was skipped by its condition: what needs it may go on.
    done: bool,
    /// A body executes: the step's own, or that of its undo.
    busy: bool,
    attempt: u32,
    attempts_before: u32,
    undo_from: Option<StepState>,
    output: Option<Value>,
    open_needs: u32,
    not_before: Option<Instant>,
}

impl Row {
    /// What a condition sees of the step.
    fn as_done(&self) -> Option<Done<'_>> {
        match (self.done, self.state) {
            (false, _) => None,
            (true, StepState::Skipped) => Some(Done::Skipped),
            (true, _) => Some(Done::Succeeded(self.output.as_ref())),
        }
    }
}

impl Board {
    /// A board for the plan with its steps as the store has them.
    pub(super) fn new(plan: &Plan, steps: &[Step], not_before: impl Fn(&Step) -> Option<Instant>) -> Self {
        let blank = Row {
            state: StepState::Pending,
            done: false,
            busy: false,
            attempt: 0,
            attempts_before: 0,
            undo_from: None,
            output: None,
            open_needs: 0,
            not_before: None,
        };
        let mut rows = vec![blank; plan.steps().len()];
        for step in steps.iter().filter(|step| step.parent.is_none()) {
            if let Some(row) = rows.get_mut(step.index.position()) {
                row.state = step.state;
                row.busy = step.has_body();
                row.attempt = step.attempt;
                row.attempts_before = step.attempts_before;
                row.undo_from = step.undo_from;
                row.output.clone_from(&step.output);
                row.not_before = not_before(step);
            }
        }
        let stands =
            |index: StepIndex| rows.get(index.position()).map_or((StepState::Pending, None), |row| (row.state, row.output.as_ref()));
        let done: Vec<bool> = plan.done(stands).iter().map(Option::is_some).collect();
        for (place, row) in rows.iter_mut().enumerate() {
            let open = plan.needs(StepIndex::from_position(place)).iter().filter(|need| !done[need.position()]).count();
            row.open_needs = u32::try_from(open).unwrap_or(u32::MAX);
            row.done = done[place];
        }
        let busy = rows.iter().filter(|row| row.busy).count();
        // A step that failed before the run was resumed for the sake of another one no longer stops anything.
        let has_failed = |row: &Row| row.state == StepState::Failed && row.attempt > row.attempts_before;
        let failed = rows.iter().position(has_failed).map(StepIndex::from_position);
        let done = done.into_iter().filter(|done| *done).count();
        let is_undecided = |place: &usize| rows[*place].state == StepState::Pending && plan.steps()[*place].when.is_some();
        let undecided = (0..rows.len()).filter(is_undecided).map(StepIndex::from_position).collect();
        let said = steps.iter().find(|step| step.parent.is_none() && Some(step.index) == failed);
        let failure = said.map(|step| step.message.clone()).unwrap_or_default();
        Self { rows, busy: u32::try_from(busy).unwrap_or(u32::MAX), done, undecided, failed, failure }
    }

    /// Notes that the step runs as this attempt.
    pub(super) fn started(&mut self, step: StepIndex, attempt: u32) {
        self.begun(step, StepState::Running, attempt);
    }

    fn begun(&mut self, step: StepIndex, state: StepState, attempt: u32) {
        if let Some(row) = self.rows.get_mut(step.position()) {
            if !row.busy {
                self.busy += 1;
            }
            if state == StepState::Undoing && row.state != StepState::Undoing {
                row.undo_from = Some(row.state);
                row.attempts_before = attempt.saturating_sub(1);
            }
            row.busy = true;
            row.state = state;
            row.attempt = attempt;
            row.not_before = None;
        }
    }

    /// Notes how a body ended; `not_before` for one that is to be tried again.
    pub(super) fn settled(&mut self, plan: &Plan, step: StepIndex, state: StepState, output: Option<Value>, not_before: Option<Instant>) {
        let Some(row) = self.rows.get_mut(step.position()) else { return };
        if row.busy {
            self.busy -= 1;
        }
        row.busy = false;
        row.state = state;
        row.not_before = not_before;
        match state {
            StepState::Failed => self.failed = self.failed.or(Some(step)),
            StepState::Succeeded => {
                row.output = output;
                self.complete(plan, step);
            }
            _ => {}
        }
    }

    /// What needs the step may go on without it.
    fn complete(&mut self, plan: &Plan, step: StepIndex) {
        self.done += 1;
        self.rows[step.position()].done = true;
        for dependent in plan.dependents(step) {
            let row = &mut self.rows[dependent.position()];
            row.open_needs = row.open_needs.saturating_sub(1);
        }
    }

    /// Looks at the conditions of steps that wait for nothing else, and shows those as skipped whose condition is false, with what that
    /// lets be skipped in turn. Answers with them, each behind what it needs. None, once a step has failed.
    pub(super) fn skip(&mut self, plan: &Plan) -> Vec<StepIndex> {
        let mut skipped = Vec::new();
        if self.failed.is_some() {
            return skipped;
        }
        let mut ready: VecDeque<_> = self.undecided.iter().copied().filter(|index| self.rows[index.position()].open_needs == 0).collect();
        while let Some(index) = ready.pop_front() {
            self.undecided.remove(&index);
            if plan.is_wanted(index, |need| self.rows.get(need.position())?.as_done()) {
                continue;
            }
            self.rows[index.position()].state = StepState::Skipped;
            self.complete(plan, index);
            skipped.push(index);
            let is_ready = |dependent: &&StepIndex| self.rows[dependent.position()].open_needs == 0 && self.undecided.contains(dependent);
            ready.extend(plan.dependents(index).iter().filter(is_ready));
        }
        skipped
    }

    /// How many more bodies may run.
    fn free(&self, plan: &Plan) -> usize {
        plan.max_parallel().saturating_sub(self.busy) as usize
    }

    /// What may start now, within the plan's bound on parallel steps: what [`skip`](Self::skip) has left. Nothing, once a step has
    /// failed.
    pub(super) fn startable(&self, plan: &Plan, now: Instant) -> Vec<StepStart> {
        let free = self.free(plan);
        if self.failed.is_some() || free == 0 {
            return Vec::new();
        }
        let due = |row: &Row| row.state == StepState::Pending && row.not_before.is_none_or(|at| at <= now);
        let places = self.rows.iter().enumerate().filter(|(_, row)| due(row) && row.open_needs == 0).map(|(place, _)| place);
        let indices = places.map(StepIndex::from_position).filter(|index| !plan.is_approval(*index) && !self.undecided.contains(index));
        indices.take(free).map(|index| plan.start(index)).collect()
    }

    /// The first step that waits for an approval, and for nothing else.
    pub(super) fn awaits_approval(&self, plan: &Plan) -> Option<StepIndex> {
        let rows = self.rows.iter().enumerate().filter(|(_, row)| row.state == StepState::Pending && row.open_needs == 0);
        rows.map(|(place, _)| StepIndex::from_position(place)).find(|index| plan.is_approval(*index) && !self.undecided.contains(index))
    }

    /// The number of this attempt as retry policies count it.
    pub(super) fn tries(&self, step: StepIndex, attempt: u32) -> u32 {
        attempt.saturating_sub(self.rows.get(step.position()).map_or(0, |row| row.attempts_before))
    }

    /// When the earliest step that waits for its next attempt may start. None while nothing could start anyway.
    pub(super) fn next_attempt(&self, plan: &Plan) -> Option<Instant> {
        if self.failed.is_some() || self.free(plan) == 0 {
            return None;
        }
        let waiting = self.rows.iter().filter(|row| row.state == StepState::Pending && row.open_needs == 0);
        waiting.filter_map(|row| row.not_before).min()
    }

    /// The steps that run, or whose undo does, with their attempts.
    pub(super) fn running(&self) -> Vec<(StepIndex, u32)> {
        let rows = self.rows.iter().enumerate().filter(|(_, row)| row.busy);
        rows.map(|(place, row)| (StepIndex::from_position(place), row.attempt)).collect()
    }

    /// Whether no body runs.
    pub(super) fn is_idle(&self) -> bool {
        self.busy == 0
    }

    /// Whether every step has succeeded, or was skipped by its condition.
    pub(super) fn is_complete(&self) -> bool {
        self.done == self.rows.len()
    }

    /// The first step that failed for good.
    pub(super) fn failed(&self) -> Option<StepIndex> {
        self.failed
    }

    /// What that step said, when it failed before this worker had the run.
    pub(super) fn failure(&self) -> &str {
        &self.failure
    }

    /// The first step that was left as it was when the run was resumed for the sake of another one.
    pub(super) fn left_over(&self) -> Option<(StepIndex, StepState)> {
        let left = |row: &Row| !row.done && matches!(row.state, StepState::Failed | StepState::Skipped | StepState::Cancelled);
        let place = self.rows.iter().position(left)?;
        Some((StepIndex::from_position(place), self.rows[place].state))
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
    use crate::model::Condition;

    pub(super) fn indices(starts: &[StepStart]) -> Vec<u32> {
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
        assert!(board.is_complete());
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
        assert!(board.is_idle() && !board.is_complete());
        assert_eq!(board.left_over(), Some((StepIndex::new(0), StepState::Failed)));
    }

    fn with_conditions() -> Plan {
        Plan::builder()
            .step("a", "x", |s| s)
            .step("b", "x", |s| s.needs(["a"]).when(Condition::output("a").at("/n").greater_than(1)))
            .step("c", "x", |s| s.needs(["b"]).when(Condition::succeeded("b")))
            .step("d", "x", |s| s.needs(["a"]).when(Condition::output("a").exists()))
            .step("e", "x", |s| s.needs(["c", "d"]))
            .approval("f", crate::model::Role::Admin, |s| s.needs(["e"]).when(Condition::skipped("c")))
            .build()
            .unwrap()
    }

    #[test]
    fn a_chain_of_steps_is_skipped_in_one_go() {
        let plan = with_conditions();
        let now = Instant::now();
        let mut board = Board::new(&plan, &[], |_| None);
        assert_eq!(board.skip(&plan), [], "a is not done yet");
        board.started(StepIndex::new(0), 1);
        board.settled(&plan, StepIndex::new(0), StepState::Succeeded, Some(serde_json::json!({ "n": 1 })), None);
        assert!(board.startable(&plan, now).is_empty(), "nobody looked at the conditions yet");
        assert_eq!(board.skip(&plan), [1, 2].map(StepIndex::new));
        assert_eq!(board.skip(&plan), [], "they are looked at once");
        assert_eq!(indices(&board.startable(&plan, now)), [3]);
        board.started(StepIndex::new(3), 1);
        board.settled(&plan, StepIndex::new(3), StepState::Succeeded, None, None);
        assert_eq!(board.skip(&plan), []);
        assert_eq!(indices(&board.startable(&plan, now)), [4], "e waits for nothing that was skipped");
        assert!(board.outputs(&plan, StepIndex::new(4)).is_empty());
        board.started(StepIndex::new(4), 1);
        board.settled(&plan, StepIndex::new(4), StepState::Succeeded, None, None);
        assert_eq!(board.awaits_approval(&plan), None, "its condition comes first");
        assert_eq!(board.skip(&plan), []);
        assert_eq!((board.awaits_approval(&plan), board.left_over()), (Some(StepIndex::new(5)), None));
        board.settled(&plan, StepIndex::new(5), StepState::Succeeded, None, None);
        assert!(board.is_complete());
    }

    #[test]
    fn a_new_holder_tells_by_the_rows_what_was_skipped_by_its_condition() {
        let plan = with_conditions();
        let stood = |states: [StepState; 6]| {
            let rows = states.into_iter().enumerate().map(|(place, state)| {
                let index = StepIndex::from_position(place);
                let mut step = Step::pending(crate::id::RunId::new(), index, plan.steps()[place].name.clone(), None);
                step.row_mut().state = state;
                step.row_mut().attempt = u32::from(!matches!(state, StepState::Pending | StepState::Skipped));
                step.row_mut().output = (place == 0).then(|| serde_json::json!({ "n": 1 }));
                step
            });
            Board::new(&plan, &rows.collect::<Vec<_>>(), |_| None)
        };
        use StepState::{Failed, Pending, Skipped, Succeeded};
        let mut board = stood([Succeeded, Skipped, Skipped, Succeeded, Pending, Pending]);
        assert_eq!((board.skip(&plan), board.left_over()), (Vec::new(), None));
        assert_eq!(indices(&board.startable(&plan, Instant::now())), [4]);
        let mut board = stood([Succeeded, Skipped, Pending, Succeeded, Pending, Pending]);
        assert_eq!(board.skip(&plan), [StepIndex::new(2)]);
        let mut board = stood([Succeeded, Skipped, Pending, Failed, Pending, Pending]);
        assert_eq!(board.skip(&plan), [], "nothing is, once a step has failed");
        let board = stood([Succeeded, Skipped, Skipped, Skipped, Skipped, Skipped]);
        assert_eq!(board.left_over(), Some((StepIndex::new(3), Skipped)), "the condition of d holds: the end of the run skipped it");
        assert!(stood([Succeeded, Skipped, Skipped, Succeeded, Succeeded, Succeeded]).is_complete());
    }

    #[test]
    fn nobody_waits_for_an_attempt_that_could_not_start() {
        let plan = Plan::builder().step("a", "x", |s| s).step("b", "x", |s| s).step("c", "x", |s| s).max_parallel(2).build().unwrap();
        let mut board = Board::new(&plan, &[], |_| None);
        let now = Instant::now();
        board.started(StepIndex::new(0), 1);
        board.settled(&plan, StepIndex::new(0), StepState::Pending, None, Some(now));
        board.started(StepIndex::new(1), 1);
        assert_eq!(board.next_attempt(&plan), Some(now));
        board.started(StepIndex::new(2), 1);
        assert_eq!(board.next_attempt(&plan), None, "there is no room");
        board.settled(&plan, StepIndex::new(1), StepState::Failed, None, None);
        assert_eq!(board.next_attempt(&plan), None, "nothing starts any more");
    }
}
