//! Asking whether a claimed run may begin, or go on: whoever answers for it may have lost their rights since they asked.

use crate::{
    Result,
    engine::driver::{Driver, Left},
    model::{RunState, StepStart},
    store::{Change, Claim, End, Settle, Settlement},
};

impl Driver {
    /// Why the run may no longer begin, or go on for whoever resumed it, if so. What has begun is not asked about again, and neither is
    /// a cancel.
    pub(super) async fn refused(&self, claim: &Claim) -> Option<String> {
        if claim.run.state == RunState::Cancelling {
            return None;
        }
        let host = self.shared.host.as_ref()?;
        let asked = async {
            if self.was_asked_about(claim).await? {
                return Ok(Ok(()));
            }
            host.admit(&self.info, claim.run.resumption.as_ref()).await
        };
        match asked.await {
            Ok(admitted) => admitted.err(),
            Err(error) => Some(format!("the asker's rights could not be checked: {}", crate::error::report(&error))),
        }
    }

    /// Whether the run was asked about since it was queued, or resumed last. A holder asks before it records anything: where there are
    /// only claims since, each holder may have gone away before it asked, unless a body has said that it began.
    async fn was_asked_about(&self, claim: &Claim) -> Result<bool> {
        let run = &claim.run;
        let before = run.resumption.as_ref().map_or(0, |resumption| resumption.epoch);
        if run.epoch == before + 1 {
            return Ok(false);
        }
        if claim.steps.iter().any(|step| step.has_body() && (step.handle.is_some() || step.undo_data.is_some())) {
            return Ok(true);
        }
        // A claim is one event, and the first one starts the first steps.
        let first_steps = if before == 0 { run.first_steps.len() as u64 } else { 0 };
        let claims = run.epoch - before + first_steps;
        let last_before = run.last_seq.saturating_sub(claims);
        let events = self.shared.store.run_events(run.id, last_before.saturating_sub(1), 1).await?;
        Ok(events.first().is_some_and(|event| event.epoch > before))
    }

    /// Ends a run that may not begin, of which nothing has begun but on paper.
    pub(super) async fn refuse(&mut self, begun: Vec<(StepStart, u32)>, message: String) -> Result<(), Left> {
        let settle = |(start, attempt): (StepStart, u32)| Settle {
            step: start.index,
            attempt,
            how: Settlement::Cancelled,
            message: "not begun".to_owned(),
        };
        let end = if self.is_cancelling() { End::Cancel { message: String::new() } } else { End::Fail { message } };
        let settle = begun.into_iter().map(settle).collect();
        self.record(Change::Advance { settle, skip: Vec::new(), start: Vec::new(), end: Some(end) }).await?;
        Ok(())
    }
}
