//! What can become of a call to the store, and who decides it.

use std::{fmt::Debug, time::Duration};

use tokio::sync::watch;

use crate::{
    store::{Change, Command, End},
    word_enum::word_enum,
};

word_enum! {
    /// A point at which a process can die.
    pub enum CrashPoint("crash_point") {
        /// Before runs are claimed.
        BeforeClaim = "before_claim",
        /// After runs were claimed, before the worker hears of it.
        AfterClaim = "after_claim",
        /// Before a step's start is durable.
        BeforeStart = "before_start",
        /// After a step's start is durable, before its body begins.
        AfterStart = "after_start",
        /// When a body has been called, before it does anything.
        BeforeBody = "before_body",
        /// When a body has done all that it does, before the engine hears of it.
        AfterBody = "after_body",
        /// Before a step's end is durable.
        BeforeFinish = "before_finish",
        /// After a step's end is durable, before the engine hears of it.
        AfterFinish = "after_finish",
        /// After something was written, before any other process is woken.
        BeforeNotify = "before_notify",
        /// After something was written and others were woken, before this process hears that it was.
        AfterNotify = "after_notify",
        /// Before it is durable that a run's undo begins or ends.
        BeforeUndo = "before_undo",
        /// After that is durable.
        AfterUndo = "after_undo",
    }
}

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// It has no effect, and is answered with [`Unavailable`](crate::ErrorKind::Unavailable).
    Refused,
    /// It takes effect, and is answered with [`OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown).
    Unanswered,
    /// It has no effect and is never answered: its process died before it.
    Dead,
    /// It takes effect and is never answered: its process died after it.
    DeadAfterwards,
}

/// A call to the store.
#[derive(Debug, Clone)]
pub struct Call {
    /// Its number, from 1, among all calls of this store.
    pub number: u64,
    /// Its number, from 1, among the calls of this method.
    pub of_method: u64,
    /// The method's name.
    pub method: &'static str,
    /// Whether it changes anything.
    pub writes: bool,
    pub(super) starts: bool,
    pub(super) finishes: bool,
    pub(super) undoes: bool,
}

impl Call {
    /// The points before this call at which its process could die.
    pub fn points_before(&self) -> impl Iterator<Item = CrashPoint> + use<> {
        self.points([CrashPoint::BeforeClaim, CrashPoint::BeforeStart, CrashPoint::BeforeFinish, CrashPoint::BeforeUndo], None)
    }

    /// The points after this call, in their order.
    pub fn points_after(&self) -> impl Iterator<Item = CrashPoint> + use<> {
        let notify = self.writes.then_some([CrashPoint::BeforeNotify, CrashPoint::AfterNotify]);
        self.points([CrashPoint::AfterClaim, CrashPoint::AfterStart, CrashPoint::AfterFinish, CrashPoint::AfterUndo], notify)
    }

    fn points(&self, named: [CrashPoint; 4], more: Option<[CrashPoint; 2]>) -> impl Iterator<Item = CrashPoint> + use<> {
        let is_there = [self.method == "claim", self.starts, self.finishes, self.undoes];
        let there = named.into_iter().zip(is_there).filter_map(|(point, there)| there.then_some(point));
        there.chain(more.into_iter().flatten())
    }

    pub(super) fn look_at(&mut self, commands: &[Command]) {
        for command in commands {
            match &command.change {
                Change::Advance { settle, skip, start, end } => {
                    self.starts |= !start.is_empty();
                    self.finishes |= !settle.is_empty() || !skip.is_empty() || end.is_some();
                    self.undoes |= matches!(end, Some(End::Undo { .. } | End::UndoSucceed | End::UndoFail { .. }));
                }
                Change::Transact { .. } => self.finishes = true,
                _ => {}
            }
        }
    }
}

/// Decides what becomes of each call to a [`FaultyStore`](super::FaultyStore).
pub trait FaultPlan: Debug + Send + Sync + 'static {
    /// What happens to the call, if it is not to go well. Asked once, before it takes effect.
    fn fault(&self, call: &Call) -> Option<Fault>;

    /// How long the call takes before it has its effect, and afterwards.
    fn latency(&self, _call: &Call) -> (Duration, Duration) {
        (Duration::ZERO, Duration::ZERO)
    }

    /// The call took effect; nobody has heard of it yet.
    fn took_effect(&self, _call: &Call) {}

    /// What the store says of changes by others; `inner` is what the decorated store says.
    fn changes(&self, inner: watch::Receiver<u64>) -> watch::Receiver<u64> {
        inner
    }
}

/// One fault, at one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NthCall {
    method: Option<&'static str>,
    call: u64,
    fault: Fault,
}

impl NthCall {
    /// The fault at the `call`-th call of all, from 1.
    #[must_use]
    pub fn of_all(call: u64, fault: Fault) -> Self {
        Self { method: None, call, fault }
    }

    /// The fault at the `call`-th call of that method, from 1.
    #[must_use]
    pub fn of(method: &'static str, call: u64, fault: Fault) -> Self {
        Self { method: Some(method), call, fault }
    }
}

impl FaultPlan for NthCall {
    fn fault(&self, call: &Call) -> Option<Fault> {
        let number = match self.method {
            None => call.number,
            Some(method) if method == call.method => call.of_method,
            Some(_) => return None,
        };
        (number == self.call).then_some(self.fault)
    }
}

/// Every call goes well.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NoFaults;

impl FaultPlan for NoFaults {
    fn fault(&self, _call: &Call) -> Option<Fault> {
        None
    }
}
