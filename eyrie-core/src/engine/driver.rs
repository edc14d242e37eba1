//! Drives one claimed run to its end: starts what may start, records what ended.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{sync::Notify, task::JoinSet, time::Instant};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tracing::Instrument;

use crate::{
    engine::{
        ActionContext, Registry, RunHost, RunInfo,
        action::UndoData,
        board::Board,
        body::{Body, BodyEnd, How, Signals, watch},
        lease::Validity,
        log_writer::LogWriter,
        parameters::Parameters,
        plan_cache::PlanCache,
        progress::ProgressGate,
        recorder::Recorder,
        redaction::{Redactors, RunRedactor, StepLog, redacted_end},
        transactional::{Tray, done},
    },
    model::{Plan, Run, RunState, StepIndex, StepStart},
    store::{Change, Claim, Command, End, Fence, RecordError, Recorded, Settle, Settlement, Store},
};

/// What all drivers of a worker share.
#[derive(Debug)]
pub(super) struct Shared {
    pub store: Arc<dyn Store>,
    pub recorder: Recorder,
    pub log: LogWriter,
    pub registry: Arc<Registry>,
    pub plans: PlanCache,
    pub redactors: Redactors,
    pub host: Option<Arc<dyn RunHost>>,
    /// The program's own runtime: bodies run there.
    pub bodies: tokio::runtime::Handle,
    pub grace: Duration,
}

/// The signals of one run.
#[derive(Debug, Clone)]
pub(super) struct RunSignals {
    /// Somebody asked for the run to be cancelled. Another one while the run is undone.
    pub cancel: CancellationToken,
    /// The run was found to be cancelling, perhaps not for the first time.
    pub cancelling: Arc<Notify>,
    /// The worker takes no new steps.
    pub draining: CancellationToken,
    /// The grace for bodies is over.
    pub stop: CancellationToken,
    /// The lease is lost.
    pub lost: CancellationToken,
    /// Gives the worker's lease up.
    pub give_up: CancellationToken,
    /// Until when the lease may be acted on.
    pub validity: Validity,
}

/// The run has left this worker's hands: it ended, was handed back, or was lost.
#[derive(Debug)]
pub(super) struct Left;

pub(super) struct Driver {
    pub(super) shared: Arc<Shared>,
    pub(super) info: Arc<RunInfo>,
    pub(super) plan: Arc<Plan>,
    pub(super) fence: Fence,
    pub(super) signals: RunSignals,
    pub(super) board: Board,
    pub(super) body_signals: Arc<Signals>,
    pub(super) bodies: JoinSet<BodyEnd>,
    pub(super) redaction: RunRedactor,
    gates: BTreeMap<StepIndex, Arc<ProgressGate>>,
    /// What bodies kept for the undo of their steps.
    undo_data: BTreeMap<StepIndex, UndoData>,
    /// What to tell an operator of a body that may still live under an earlier worker, so that nothing is to be undone yet.
    pub(super) suspect: Option<String>,
    pub(super) state: RunState,
    /// Why the run must be set aside once its bodies have ended.
    pub(super) parked: Option<String>,
    /// Why the run's transitions can no longer be recorded.
    broken: Option<String>,
}

/// Drives the claimed run until it leaves this worker's hands.
pub(super) async fn drive(shared: Arc<Shared>, claim: Claim, signals: RunSignals) {
    let span = tracing::info_span!("run", run = %claim.run.id, epoch = claim.run.epoch);
    async move {
        let plan = match shared.plans.get(&*shared.store, claim.run.plan_hash).await {
            Ok(plan) => plan,
            Err(error) if is_for_now(&error) => {
                tracing::error!(error = %crate::error::report(&error), "a plan could not be read; the worker starts anew");
                return signals.give_up.cancel();
            }
            Err(error) => return park_unreadable(&shared, &claim, &error).await,
        };
        let mut driver = Driver::new(shared, plan, &claim.run, &claim, signals);
        tracing::info!(kind = %claim.run.kind, taken_over = claim.taken_over, "run claimed");
        let outcome = driver.run_to_end(&claim).await;
        if outcome.is_err() {
            driver.abandon().await;
            driver.park_if_broken().await;
        }
        tracing::info!(state = %driver.state, "run left this worker");
    }
    .instrument(span)
    .await;
}

impl Driver {
    fn new(shared: Arc<Shared>, plan: Arc<Plan>, run: &Run, claim: &Claim, signals: RunSignals) -> Self {
        // The store's clock, not this machine's: the two may differ by hours.
        let claimed_at = claim.events.last().map_or_else(crate::Timestamp::now, |event| event.at);
        let now = Instant::now();
        let not_before = |step: &crate::model::Step| {
            let wait = step.next_attempt_at?.as_microsecond().saturating_sub(claimed_at.as_microsecond());
            Some(now + Duration::from_micros(u64::try_from(wait).unwrap_or(0)))
        };
        let body_signals = body_signals(&signals, &shared);
        let kept = claim.steps.iter().filter_map(|step| Some((step.index, step.undo_data.clone()?)));
        Self {
            info: Arc::new(RunInfo {
                id: run.id,
                project_id: run.project_id,
                deployment_id: run.deployment_id,
                kind: run.kind,
                requested_by: run.requested_by.clone(),
                origin: run.origin.clone(),
                context: Arc::clone(&run.context),
            }),
            fence: Fence { worker: run.worker_id.unwrap_or(crate::id::WorkerId::from_uuid(uuid::Uuid::nil())), epoch: run.epoch },
            board: Board::new(&plan, &claim.steps, not_before),
            redaction: shared.redactors.hold(run.id),
            shared,
            plan,
            signals,
            body_signals,
            bodies: JoinSet::new(),
            gates: BTreeMap::new(),
            undo_data: kept.map(|(step, data)| (step, Arc::new(Mutex::new(Some(data))))).collect(),
            suspect: None,
            state: run.state,
            parked: None,
            broken: None,
        }
    }

    async fn run_to_end(&mut self, claim: &Claim) -> Result<(), Left> {
        let refused = self.refused(claim).await;
        let begun = if claim.taken_over {
            self.parked = refused.map(|refused| format!("{refused}; resume or cancel the run"));
            self.recover(&claim.steps).await?
        } else {
            let begun = self.board.running().into_iter().map(|(step, attempt)| (self.plan.start(step), attempt)).collect();
            if let Some(refused) = refused {
                return self.refuse(begun, refused).await;
            }
            begun
        };
        self.spawn(begun, self.state == RunState::Undoing)?;
        let mut ended: Vec<BodyEnd> = Vec::new();
        loop {
            let settle = self.settlements(std::mem::take(&mut ended));
            let skip = self.skips();
            let end = self.end_after(&settle);
            let start = self.startable_with(end.as_ref());
            if !settle.is_empty() || !skip.is_empty() || !start.is_empty() || end.is_some() {
                settle.iter().for_each(|settle| self.flush_progress(settle.step));
                let handed_back = matches!(end, Some(End::HandBack));
                let is_undo = self.state == RunState::Undoing || matches!(end, Some(End::Undo { .. }));
                let recorded = self.record(Change::Advance { settle, skip, start: start.clone(), end }).await?;
                let begun = start.iter().filter_map(|start| {
                    let started = recorded.started.iter().find(|(index, ..)| *index == start.index)?;
                    Some((*start, started.1))
                });
                self.spawn(begun.collect(), is_undo)?;
                if handed_back || !self.state.is_held() {
                    return Ok(());
                }
                if self.nothing_left_to_wait_for() {
                    continue;
                }
            }
            let just_ended = self.wait().await?;
            ended = self.transact(just_ended).await?;
        }
    }

    /// What a body said last is recorded before its end is.
    pub(super) fn flush_progress(&mut self, step: StepIndex) {
        if let Some(gate) = self.gates.remove(&step) {
            gate.flush();
        }
    }

    /// Starts the bodies of what is durably begun, unless the answer that says so came too late: after the end of the lease another
    /// worker may have the run.
    fn spawn(&mut self, begun: Vec<(StepStart, u32)>, is_undo: bool) -> Result<(), Left> {
        if self.signals.validity.is_over() {
            self.signals.give_up.cancel();
            return Err(Left);
        }
        if is_undo {
            self.spawn_undos(begun);
        } else {
            self.spawn_all(begun);
        }
        Ok(())
    }

    /// Whether the next turn of the loop has something to record although no body has ended.
    fn nothing_left_to_wait_for(&self) -> bool {
        let has_failed = self.board.failed().is_some() && self.state != RunState::Undoing;
        self.board.is_idle() && (self.parked.is_some() || self.is_cancelling() || self.signals.draining.is_cancelled() || has_failed)
    }

    pub(super) fn is_cancelling(&self) -> bool {
        self.state == RunState::Cancelling || self.signals.cancel.is_cancelled()
    }

    /// Waits for bodies to end, and for whatever else makes a turn of the loop worthwhile.
    async fn wait(&mut self) -> Result<Vec<BodyEnd>, Left> {
        let mut ended = Vec::new();
        let idle = self.board.is_idle();
        let can_start = !self.is_cancelling() && !self.signals.draining.is_cancelled();
        let is_undoing = self.state == RunState::Undoing;
        let retry = match (can_start, is_undoing) {
            (false, _) => None,
            (true, true) => self.board.next_undo(&self.plan),
            (true, false) => self.board.next_attempt(&self.plan),
        };
        let mut asked_again = false;
        tokio::select! {
            biased;
            () = self.signals.lost.cancelled() => return Err(Left),
            Some(joined) = self.bodies.join_next() => ended.extend(joined.ok()),
            () = self.signals.cancel.cancelled(), if idle => {}
            () = self.signals.draining.cancelled(), if idle => {}
            () = self.signals.cancelling.notified(), if is_undoing => asked_again = true,
            () = async {
                match retry {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            } => {}
        }
        if asked_again {
            self.look_for_a_cancel().await?;
        }
        while let Some(joined) = self.bodies.try_join_next() {
            ended.extend(joined.ok());
        }
        if ended.iter().any(|end| matches!(end.how, How::Lost)) {
            return Err(Left);
        }
        let ended: Vec<_> = ended.into_iter().map(|end| redacted_end(&self.redaction.redactor, end)).collect();
        // What a body said is durable before its end is.
        if !ended.is_empty() && self.shared.log.has_pending() {
            self.shared.log.flush().await;
        }
        Ok(ended)
    }

    pub(super) async fn record(&mut self, change: Change) -> Result<Recorded, Left> {
        let answer = self.shared.recorder.record(Command::fenced(self.info.id, self.fence, change)).await;
        self.recorded(answer)
    }

    /// Takes the recorder's answer to a command of this driver's.
    pub(super) fn recorded(&mut self, answer: Result<Recorded, RecordError>) -> Result<Recorded, Left> {
        match answer {
            Ok(recorded) => {
                self.state = recorded.run_state;
                match self.state {
                    RunState::Cancelling => self.signals.cancel.cancel(),
                    // The cancel that was asked for is done with; the bodies of the undo listen for another.
                    RunState::Undoing if self.signals.cancel.is_cancelled() => {
                        self.signals.cancel = CancellationToken::new();
                        self.body_signals = body_signals(&self.signals, &self.shared);
                    }
                    _ => {}
                }
                Ok(recorded)
            }
            Err(error) => {
                match &error {
                    RecordError::LeaseLost { .. } => tracing::warn!(%error, "the run was taken over"),
                    // Nobody takes a run from a worker whose lease is valid. One that could not write for so long starts anew.
                    RecordError::Store(store) if is_for_now(store) => {
                        tracing::error!(%error, "nothing could be recorded for too long; the worker starts anew");
                        self.signals.give_up.cancel();
                    }
                    _ => {
                        tracing::error!(%error, "a transition could not be recorded");
                        self.broken = Some(error.to_string());
                    }
                }
                Err(Left)
            }
        }
    }

    /// Starts the bodies of steps whose start is durable. A step whose action is unknown ends at once, and the run is to be parked.
    fn spawn_all(&mut self, begun: Vec<(StepStart, u32)>) {
        let plan = Arc::clone(&self.plan);
        for (start, attempt) in begun {
            self.board.started(start.index, attempt);
            let Some(planned) = plan.step(start.index) else { continue };
            let Some(action) = self.shared.registry.get(&planned.action) else {
                let message = format!(
                    "step {:?} needs the action {:?}, which this program does not know; run a program that registers it, then resume or cancel the run",
                    planned.name.as_str(),
                    planned.action.as_str()
                );
                self.parked.get_or_insert(message.clone());
                let (step, how) = (start.index, How::Interrupted(message));
                self.bodies.spawn(std::future::ready(BodyEnd { step, attempt, how }));
                continue;
            };
            if let Some(error) = self.unfit(&*action) {
                let (step, how) = (start.index, How::Failed(error));
                self.bodies.spawn(std::future::ready(BodyEnd { step, attempt, how }));
                continue;
            }
            let token = CancellationToken::new();
            let tray = Tray::of(&*action);
            let cx = ActionContext { tray: tray.clone(), ..self.context(start.index, attempt, token.clone()) };
            let span = tracing::info_span!(parent: &tracing::Span::current(), "step", step = %start.index, name = %planned.name, attempt);
            let log = cx.log.clone();
            let run = async move {
                let done = action.run(cx.with_secrets().await?).await;
                log.end().await;
                done
            };
            let body = done(run, tray);
            let task = AbortOnDropHandle::new(self.shared.bodies.spawn(body.instrument(span)));
            let time_limit = start.timeout_ms.map(Duration::from_millis);
            let body = Body { step: start.index, attempt, task, token, time_limit };
            self.bodies.spawn(watch(body, Arc::clone(&self.body_signals)));
        }
    }

    pub(super) fn context(&mut self, step: StepIndex, attempt: u32, cancel: CancellationToken) -> ActionContext {
        let planned = self.plan.step(step);
        let gate = Arc::new(ProgressGate::new(self.shared.recorder.clone(), self.info.id, self.fence, step));
        self.gates.insert(step, Arc::clone(&gate));
        ActionContext {
            run: Arc::clone(&self.info),
            step,
            name: planned.map_or_else(crate::name::StepName::unnamed, |planned| planned.name.clone()),
            attempt,
            parameters: Parameters::planned(planned.map(|planned| planned.parameters.clone()).unwrap_or_default()),
            outputs: Arc::new(self.board.outputs(&self.plan, step)),
            undoing: None,
            undo_data: Arc::clone(self.undo_data.entry(step).or_default()),
            tray: Tray::default(),
            cancel,
            fence: self.fence,
            recorder: self.shared.recorder.clone(),
            progress: gate,
            redactor: self.redaction.redactor.clone(),
            log: StepLog::new(self.shared.log.clone(), self.info.id, step, self.redaction.redactor.clone()),
            host: self.shared.host.clone(),
        }
    }

    /// A run whose transitions are refused for good must not stay with this worker for ever: it is set aside, bodies stopped.
    async fn park_if_broken(&mut self) {
        let Some(why) = self.broken.take() else { return };
        let message = format!("a transition could not be recorded: {why}; mend the cause, then resume or cancel the run");
        let change = Change::Advance { settle: Vec::new(), skip: Vec::new(), start: Vec::new(), end: Some(End::Park { message }) };
        if let Err(error) = self.shared.recorder.record(Command::fenced(self.info.id, self.fence, change)).await {
            tracing::error!(%error, "the run could not be parked either; it stays with this worker until the process ends");
        }
    }

    /// The run is no longer ours: stop the bodies, write nothing, and wait until they are gone.
    async fn abandon(&mut self) {
        self.signals.lost.cancel();
        while self.bodies.join_next().await.is_some() {}
    }
}

/// What the bodies of a run are told.
fn body_signals(signals: &RunSignals, shared: &Shared) -> Arc<Signals> {
    let (cancel, stop, lost) = (signals.cancel.clone(), signals.stop.clone(), signals.lost.clone());
    Arc::new(Signals { cancel, stop, lost, grace: shared.grace })
}

/// Whether the store may work again later.
fn is_for_now(error: &crate::Error) -> bool {
    error.is_retryable() || error.kind() == crate::ErrorKind::StorageFull
}

/// A plan that this program cannot read: set the run aside, with the way out.
async fn park_unreadable(shared: &Shared, claim: &Claim, error: &crate::Error) {
    let run = &claim.run;
    let Some(worker) = run.worker_id else { return };
    let message = format!("the plan cannot be read by this program ({error}); run a program that can, then resume or cancel the run");
    let running = claim.steps.iter().filter(|step| step.parent.is_none() && step.has_body());
    let settle =
        running.map(|step| Settle { step: step.index, attempt: step.attempt, how: Settlement::Interrupted, message: message.clone() });
    let end =
        if run.state == RunState::Cancelling { End::Cancel { message: String::new() } } else { End::Park { message: message.clone() } };
    let change = Change::Advance { settle: settle.collect(), skip: Vec::new(), start: Vec::new(), end: Some(end) };
    let fence = Fence { worker, epoch: run.epoch };
    if let Err(error) = shared.recorder.record(Command::fenced(run.id, fence, change)).await {
        tracing::error!(%error, "a run whose plan cannot be read could not be parked");
    }
}
