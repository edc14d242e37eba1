//! Taking over a run: what became of the steps that were running when their worker went away.

use tokio_util::sync::CancellationToken;

use crate::{
    engine::{
        Probed, Reclaimed,
        driver::{Driver, Left},
        redaction::redacted_output,
    },
    model::{CrashPolicy, RunState, Step, StepStart, StepState},
    store::{Change, End, Settle, Settlement},
};

impl Driver {
    /// Settles every step that the earlier worker left running, skips and starts what is to go on, in one record. Answers
    /// with the steps that were started, each with its attempt.
    pub(super) async fn recover(&mut self, steps: &[Step]) -> Result<Vec<(StepStart, u32)>, Left> {
        let mut settle = Vec::new();
        let mut aside: Option<String> = None;
        let cancelling = self.signals.cancel.is_cancelled();
        for step in steps.iter().filter(|step| step.parent.is_none() && step.has_body()) {
            let (how, message, why) = if step.state == StepState::Undoing { self.judge_undo(step).await } else { self.judge(step).await };
            aside = aside.or(why);
            self.note(step.index, &how);
            settle.push(Settle { step: step.index, attempt: step.attempt, how, message });
        }
        if cancelling {
            // The cancel needs nobody's word; an undo that follows it does.
            self.suspect.clone_from(&aside);
        }
        let end = match aside {
            Some(message) if !cancelling => Some(End::Park { message }),
            _ => None,
        };
        let skip = if end.is_none() { self.skips() } else { Vec::new() };
        let start = self.startable_with(end.as_ref());
        if settle.is_empty() && skip.is_empty() && start.is_empty() && end.is_none() {
            return Ok(Vec::new());
        }
        tracing::info!(interrupted = settle.len(), restarted = start.len(), "run recovered");
        let recorded = self.record(Change::Advance { settle, skip, start: start.clone(), end }).await?;
        if recorded.run_state == RunState::Parked {
            return Err(Left);
        }
        let attempt = |start: &StepStart| recorded.started.iter().find(|(index, ..)| *index == start.index).map(|(_, attempt, _)| *attempt);
        Ok(start.iter().filter_map(|start| Some((*start, attempt(start)?))).collect())
    }

    /// What is known of one interrupted step: how to settle it, what to say, and why the run must be set aside, if it must.
    async fn judge(&mut self, step: &Step) -> (Settlement, String, Option<String>) {
        let interrupted = || "interrupted: its worker went away".to_owned();
        let Some(planned) = self.plan.step(step.index).cloned() else {
            return (Settlement::Interrupted, interrupted(), None);
        };
        let Some(action) = self.shared.registry.get(&planned.action) else {
            // Starting it again will find that out, and park the run with the way out.
            return (Settlement::Interrupted, interrupted(), None);
        };
        if let Some(handle) = step.handle.clone() {
            let reclaim = {
                let action = action.clone();
                self.shared.bodies.spawn(async move { action.reclaim(&handle).await })
            };
            let reclaimed = reclaim.await.unwrap_or_else(|error| Reclaimed::Unknown(format!("looking for it failed: {error}")));
            if let Reclaimed::Unknown(why) = reclaimed {
                let message = format!(
                    "step {:?} may still be running: {why}; make sure that it is not, then resume or cancel the run",
                    step.name.as_str()
                );
                return (Settlement::Interrupted, message.clone(), Some(message));
            }
        }
        match planned.on_crash {
            CrashPolicy::Rerun => (Settlement::Interrupted, interrupted(), None),
            CrashPolicy::NeedsOperator => {
                let message = format!(
                    "step {:?} was interrupted and may have done its work; look, then resume or cancel the run",
                    step.name.as_str()
                );
                (Settlement::Interrupted, interrupted(), Some(message))
            }
            CrashPolicy::Probe => {
                let cx = self.context(step.index, step.attempt, CancellationToken::new());
                let log = cx.log.clone();
                let probe = self.shared.bodies.spawn(async move {
                    let Ok(cx) = cx.with_secrets().await else { return Probed::Unknown };
                    let probed = action.probe(cx).await;
                    log.end().await;
                    probed
                });
                match probe.await.unwrap_or(Probed::Unknown) {
                    Probed::Happened(output) => {
                        let output = redacted_output(&self.redaction.redactor, output);
                        (Settlement::Succeeded { output }, "found to have happened before the worker went away".to_owned(), None)
                    }
                    Probed::NotHappened => (Settlement::Interrupted, interrupted(), None),
                    Probed::Unknown => {
                        let message =
                            format!("nobody knows whether step {:?} did its work; look, then resume or cancel the run", step.name.as_str());
                        (Settlement::Interrupted, interrupted(), Some(message))
                    }
                }
            }
        }
    }
}
