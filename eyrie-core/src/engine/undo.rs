//! Undoing a run: the plan backwards, as ordinary durable steps.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tracing::Instrument;

use crate::{
    engine::{
        ActionContext, Reclaimed, UndoOutcome, Undoing,
        body::{Body, BodyEnd, How, watch},
        driver::{Driver, Left},
        transactional::{Tray, done},
    },
    model::{Step, StepStart},
    store::{Change, End, Settle, Settlement},
};

impl Driver {
    /// What becomes of a run whose undo has begun, once `settle`, which the board shows already, is recorded.
    pub(super) fn end_of_undo(&self, settle: &[Settle]) -> Option<End> {
        if self.is_cancelling() {
            // Somebody wants the undo to stop where it is.
            return Some(End::Cancel { message: String::new() });
        }
        if let Some(message) = self.parked.clone() {
            return Some(End::Park { message });
        }
        let more = self.board.next_undo(&self.plan).is_some() || !self.board.undo_startable(&self.plan, Instant::now()).is_empty();
        if more {
            return self.signals.draining.is_cancelled().then_some(End::HandBack);
        }
        let Some(failed) = self.board.undo_failed() else { return Some(End::UndoSucceed) };
        let failed_now = settle.iter().find(|settle| settle.how == Settlement::Failed);
        let step = failed_now.map_or(failed, |settle| settle.step);
        let why = failed_now.map(|settle| format!(": {}", settle.message)).unwrap_or_default();
        Some(End::UndoFail { message: format!("that of step {:?} failed{why}", self.name_of(step)) })
    }

    /// The worker saw that the run is cancelling: perhaps it is again, perhaps it still was when the worker looked.
    pub(super) async fn look_for_a_cancel(&mut self) -> Result<(), Left> {
        self.record(Change::Advance { settle: Vec::new(), skip: Vec::new(), start: Vec::new(), end: None }).await.map(drop)
    }

    /// Starts the bodies of undos whose start is durable.
    pub(super) fn spawn_undos(&mut self, begun: Vec<(StepStart, u32)>) {
        let suspect = self.suspect.take();
        for (start, attempt) in begun {
            self.board.undo_started(start.index, attempt);
            if let Err(why) = suspect.clone().map_or_else(|| self.spawn_undo(start, attempt), Err) {
                self.parked.get_or_insert(why.clone());
                let (step, how) = (start.index, How::Interrupted(why));
                self.bodies.spawn(std::future::ready(BodyEnd { step, attempt, how }));
            }
        }
    }

    /// Starts one body, or says why the run must be set aside first.
    fn spawn_undo(&mut self, start: StepStart, attempt: u32) -> Result<(), String> {
        let step = start.index;
        let name = self.name_of(step);
        let planned = self.plan.step(step).cloned();
        let Some((own, planned)) = planned.and_then(|planned| Some((planned.undo.as_ref()?.action.is_none(), planned))) else {
            return Err(format!("step {name:?} has no undo in its plan"));
        };
        let Some(action) = self.shared.registry.get(planned.undo_action()) else {
            return Err(format!(
                "the undo of step {name:?} needs the action {:?}, which this program does not know; run a program that registers it, \
                 then resume or cancel the run",
                planned.undo_action().as_str()
            ));
        };
        if let Some(error) = self.unfit(&*action) {
            self.bodies.spawn(std::future::ready(BodyEnd { step, attempt, how: How::Failed(error) }));
            return Ok(());
        }
        let token = CancellationToken::new();
        let tray = Tray::of(&*action);
        let mut cx = ActionContext { tray: tray.clone(), ..self.context(step, attempt, token.clone()) };
        let outcome = self.board.undone_outcome(step).map_or(UndoOutcome::Unknown, UndoOutcome::Succeeded);
        cx.undoing = Some(Undoing { outcome, data: cx.saved_undo() });
        let span = tracing::info_span!(parent: &tracing::Span::current(), "undo", step = %step, name = %planned.name, attempt);
        let log = cx.log.clone();
        let undo = async move {
            let cx = cx.with_secrets().await?;
            let undone = if own { action.undo(cx).await } else { action.run(cx).await.map(drop) };
            log.end().await;
            undone.map(|()| None)
        };
        let task = AbortOnDropHandle::new(self.shared.bodies.spawn(done(undo, tray).instrument(span)));
        let time_limit = start.timeout_ms.map(Duration::from_millis);
        let body = Body { step, attempt, task, token, time_limit };
        self.bodies.spawn(watch(body, std::sync::Arc::clone(&self.body_signals)));
        Ok(())
    }

    /// What is known of an undo whose worker went away in the middle: it begins again once its old body is known to be dead.
    pub(super) async fn judge_undo(&mut self, step: &Step) -> (Settlement, String, Option<String>) {
        let interrupted = "interrupted: its worker went away".to_owned();
        let action = self.plan.step(step.index).and_then(|planned| self.shared.registry.get(planned.undo_action()));
        if let (Some(handle), Some(action)) = (step.handle.clone(), action) {
            let reclaim = self.shared.bodies.spawn(async move { action.reclaim(&handle).await });
            let reclaimed = reclaim.await.unwrap_or_else(|error| Reclaimed::Unknown(format!("looking for it failed: {error}")));
            if let Reclaimed::Unknown(why) = reclaimed {
                let message = format!(
                    "the undo of step {:?} may still be running: {why}; make sure that it is not, then resume or cancel the run",
                    step.name.as_str()
                );
                return (Settlement::Interrupted, message.clone(), Some(message));
            }
        }
        (Settlement::Interrupted, interrupted, None)
    }
}
