//! What the benchmarks have executed: steps that do nothing, steps that take several attempts, and how late their events are heard of.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use eyrie_core::{
    Acting, EyrieBuilder, Result, Timestamp,
    engine::{Action, ActionContext, ActionError, Output},
    id::RunId,
    model::{Plan, RetryPolicy},
};

/// How many attempts a step of [`flaky`] takes.
const ATTEMPTS: u32 = 5;

/// The action `no-op` does nothing, and says when it began; `flaky` fails until its last attempt.
pub fn actions(builder: EyrieBuilder, no_op: &NoOp) -> EyrieBuilder {
    builder.action("no-op", no_op.clone()).action("flaky", Flaky)
}

/// Does nothing, and says when it began.
#[derive(Debug, Clone, Default)]
pub struct NoOp {
    begun: Arc<Mutex<Option<Instant>>>,
}

impl NoOp {
    /// Forgets when it began.
    pub fn reset(&self) {
        if let Ok(mut begun) = self.begun.lock() {
            *begun = None;
        }
    }

    /// When it first began since [`reset`](Self::reset).
    #[must_use]
    pub fn begun(&self) -> Option<Instant> {
        self.begun.lock().ok().and_then(|begun| *begun)
    }
}

#[async_trait]
impl Action for NoOp {
    async fn run(&self, _cx: ActionContext) -> Result<Option<Output>, ActionError> {
        if let Ok(mut begun) = self.begun.lock() {
            begun.get_or_insert_with(Instant::now);
        }
        Ok(None)
    }
}

#[derive(Debug)]
struct Flaky;

#[async_trait]
impl Action for Flaky {
    async fn run(&self, cx: ActionContext) -> Result<Option<Output>, ActionError> {
        if cx.attempt() < ATTEMPTS { Err(ActionError::new("not yet")) } else { Ok(None) }
    }
}

/// So many steps one behind the other that do nothing.
///
/// # Errors
/// When the plan would be too long.
pub fn chain(length: usize) -> Result<Plan> {
    let plan = (0..length).fold(Plan::builder(), |plan, n| {
        plan.step(format!("s{n}"), "no-op", |step| if n == 0 { step } else { step.needs([format!("s{}", n - 1)]) })
    });
    plan.build()
}

/// So many steps beside each other that take several attempts.
///
/// # Errors
/// When the plan would be too long.
pub fn flaky(steps: usize) -> Result<Plan> {
    let retry = RetryPolicy { max_attempts: ATTEMPTS, initial_backoff_ms: 0, max_backoff_ms: 0 };
    (0..steps).fold(Plan::builder(), |plan, n| plan.step(format!("s{n}"), "flaky", |step| step.retry(retry))).build()
}

/// Follows the run to its end: how long after each event was given its time (before its commit) it arrived here.
///
/// # Errors
/// When the store fails.
pub async fn follow(me: &Acting, run: RunId) -> Result<Vec<Duration>> {
    let mut stream = me.follow_run(run, 1).await?;
    let mut samples = Vec::new();
    while let Some(event) = stream.next().await? {
        let late = Timestamp::now().as_microsecond() - event.at.as_microsecond();
        samples.push(Duration::from_micros(u64::try_from(late).unwrap_or(0)));
    }
    Ok(samples)
}
