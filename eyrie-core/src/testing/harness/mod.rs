//! A harness for a plan and its actions: everything that can happen to them, one thing at a time.

mod case;
mod play;
mod struck;

use std::{fmt, time::Duration};

pub use case::Case;

use crate::{
    EyrieBuilder,
    model::{Plan, RunState, StopPolicy},
    name::StepName,
    testing::{Fault, oracle::Record},
};
use play::Play;

/// The variable that names the one case to be tried.
const CASE: &str = "EYRIE_TEST_CASE";

type Actions = dyn Fn(EyrieBuilder) -> EyrieBuilder;
type Before = dyn Fn(&Case);
type After = dyn Fn(&Ended) -> Result<(), String>;

/// Tries a plan with its actions in every [`Case`]: it fails each step and has the run undone, has each step (and each undo) executed
/// twice because the process dies in between, and has every call to the store fail, once without and once with its effect, by an
/// error and by the death of the process. The run must come to its proper end each time, and its record must be in order.
///
/// ```
/// use eyrie_core::testing::{Failure, Harness};
/// # use async_trait::async_trait;
/// # use eyrie_core::{engine::{Action, ActionContext, ActionError, Output}, model::{Plan, StopPolicy}};
/// # #[derive(Debug)]
/// # struct Copy;
/// # #[async_trait]
/// # impl Action for Copy {
/// #     async fn run(&self, _: ActionContext) -> Result<Option<Output>, ActionError> { Ok(None) }
/// #     async fn undo(&self, _: ActionContext) -> Result<(), ActionError> { Ok(()) }
/// # }
/// # fn main() -> Result<(), Failure> {
/// let plan = Plan::builder().step("copy", "copy", |step| step.undo()).on_failure(StopPolicy::Undo).build()?;
/// let tried = Harness::new(plan, |eyrie| eyrie.action("copy", Copy)).run()?;
/// println!("{tried} cases");
/// # Ok(())
/// # }
/// ```
///
/// A [`Failure`] names its case; `EYRIE_TEST_CASE=double:copy cargo test …` tries that one alone. Time is virtual: what sleeps by tokio's clock
/// takes no time. Actions that talk to something real, which takes its time, need [`real_time`](Self::real_time).
pub struct Harness {
    plan: Plan,
    actions: Box<Actions>,
    before: Box<Before>,
    after: Box<After>,
    real_time: bool,
    limit: Duration,
}

impl fmt::Debug for Harness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Harness").field("plan", &self.plan).finish_non_exhaustive()
    }
}

/// How a case ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// The case.
    pub case: Case,
    /// The run with all that is kept of it.
    pub record: Record,
}

/// What went wrong, in which case.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.text())]
pub struct Failure {
    case: Option<Case>,
    faults: Vec<String>,
}

impl Failure {
    /// The case; none when it was not possible to begin.
    #[must_use]
    pub fn case(&self) -> Option<&Case> {
        self.case.as_ref()
    }

    /// What went wrong.
    #[must_use]
    pub fn faults(&self) -> &[String] {
        &self.faults
    }

    fn text(&self) -> String {
        let faults = self.faults.join("\n  ");
        match &self.case {
            Some(case) => format!("in the case {case} (try it alone with {CASE}={case:?}):\n  {faults}", case = case.to_string()),
            None => faults,
        }
    }
}

/// A test that returns it prints this.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl From<crate::Error> for Failure {
    fn from(error: crate::Error) -> Self {
        Self { case: None, faults: vec![crate::error::report(&error)] }
    }
}

impl Harness {
    /// A harness for the plan; `actions` registers what it needs, anew for every process that a case takes.
    pub fn new(plan: Plan, actions: impl Fn(EyrieBuilder) -> EyrieBuilder + 'static) -> Self {
        Self {
            plan,
            actions: Box::new(actions),
            before: Box::new(|_| {}),
            after: Box::new(|_| Ok(())),
            real_time: false,
            limit: Duration::from_secs(24 * 3600),
        }
    }

    /// Called before each case, to make what the actions act on as it was.
    #[must_use]
    pub fn before_each(mut self, before: impl Fn(&Case) + 'static) -> Self {
        self.before = Box::new(before);
        self
    }

    /// Called after each case, to see whether what the actions act on is as it should be: a run that was undone has left nothing.
    #[must_use]
    pub fn after_each(mut self, after: impl Fn(&Ended) -> Result<(), String> + 'static) -> Self {
        self.after = Box::new(after);
        self
    }

    /// Time is this machine's, and a case may take a minute.
    #[must_use]
    pub fn real_time(mut self) -> Self {
        self.real_time = true;
        self.limit = Duration::from_secs(60);
        self
    }

    /// Tries every case, or the one that `EYRIE_TEST_CASE` names. Answers with how many there were. Not to be called on a tokio
    /// runtime: it makes its own.
    ///
    /// # Errors
    /// The first case that did not end as it should.
    pub fn run(&self) -> Result<usize, Failure> {
        if tokio::runtime::Handle::try_current().is_ok() {
            let refused =
                crate::Error::new(crate::ErrorKind::Internal, "test", "the harness makes runtimes of its own: call it in a plain #[test]");
            return Err(refused.into());
        }
        if let Ok(name) = std::env::var(CASE) {
            let case = name.parse().map_err(crate::Error::from)?;
            self.try_case(&case)?;
            return Ok(1);
        }
        let mut tried = 1;
        let calls = self.try_case(&Case::Well)?;
        let undone = self.undoable().first().map(|(_, failing)| Case::FailAfter(failing.clone()));
        let undo_calls = undone.map_or(Ok(0), |case| self.try_case(&case))?;
        for case in self.cases(calls, undo_calls) {
            self.try_case(&case)?;
            tried += 1;
        }
        Ok(tried)
    }

    /// Tries one case. Answers with how many calls to the store its first process made.
    ///
    /// # Errors
    /// What went wrong.
    pub fn try_case(&self, case: &Case) -> Result<u64, Failure> {
        let failed = |faults| Failure { case: Some(case.clone()), faults };
        (self.before)(case);
        let played = Play::new(self, case).and_then(Play::play).map_err(|error| failed(vec![crate::error::report(&error)]))?;
        let mut faults = played.faults;
        let ended = Ended { case: case.clone(), record: played.record };
        faults.extend(self.misplaced_end(&ended));
        if faults.is_empty() {
            faults.extend((self.after)(&ended).err());
        }
        if faults.is_empty() { Ok(played.calls) } else { Err(failed(faults)) }
    }

    /// Every case but the first, for a plan whose run (and whose undo) takes so many calls to the store.
    fn cases(&self, calls: u64, undo_calls: u64) -> Vec<Case> {
        let faults = [Fault::Refused, Fault::Unanswered, Fault::Dead, Fault::DeadAfterwards];
        let with_body = self.plan.steps().iter().filter(|step| step.approval.is_none()).map(|step| step.name.clone());
        let steps = with_body.flat_map(|step| [Case::FailInstead(step.clone()), Case::FailAfter(step.clone()), Case::Double(step)]);
        let undos = self.undoable().into_iter().map(|(step, _)| Case::DoubleUndo(step));
        let store = (1..=calls).flat_map(|call| faults.map(|fault| Case::Store(call, fault)));
        let undo_store = (1..=undo_calls).flat_map(|call| faults.map(|fault| Case::UndoStore(call, fault)));
        steps.chain(undos).chain(store).chain(undo_store).collect()
    }

    /// The steps that are undone when a run fails, each with the step whose failure comes as late as possible behind it.
    fn undoable(&self) -> Vec<(StepName, StepName)> {
        if self.plan.on_failure() != StopPolicy::Undo {
            return Vec::new();
        }
        let steps = self.plan.steps().iter().enumerate().filter(|(_, step)| step.undo.is_some());
        let behind = |place| self.plan.downstream(crate::model::StepIndex::from_position(place)).into_iter().rev();
        let fails = |place| behind(place).filter_map(|index| self.plan.step(index)).find(|step| step.approval.is_none());
        steps.filter_map(|(place, step)| Some((step.name.clone(), fails(place)?.name.clone()))).collect()
    }

    /// The step that is made to fail so that the run of this case is undone.
    fn failing(&self, case: &Case) -> Option<StepName> {
        let undoable = self.undoable();
        match case {
            Case::DoubleUndo(step) => undoable.into_iter().find(|(undone, _)| undone == step).map(|(_, failing)| failing),
            Case::UndoStore(..) => undoable.into_iter().next().map(|(_, failing)| failing),
            _ => None,
        }
    }

    /// What is wrong with the state that the run ended in, if anything.
    fn misplaced_end(&self, ended: &Ended) -> Option<String> {
        let run = &ended.record.run;
        let has_undo = |index| self.plan.step(index).is_some_and(|step| step.undo.is_some());
        let began = ended.record.steps.iter().any(|step| step.parent.is_none() && step.attempt > 0 && has_undo(step.index));
        let undone = began && self.plan.on_failure() == StopPolicy::Undo;
        let expected: &[RunState] = match ended.case {
            Case::Well | Case::Double(_) | Case::Store(..) => &[RunState::Succeeded],
            Case::DoubleUndo(_) | Case::UndoStore(..) => &[RunState::Undone],
            _ if undone => &[RunState::Undone],
            _ => &[RunState::Failed],
        };
        let said = if run.message.is_empty() { String::new() } else { format!(" ({})", run.message) };
        (!expected.contains(&run.state)).then(|| format!("the run ended {}{said} instead of {}", run.state, expected[0]))
    }
}
