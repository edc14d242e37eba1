//! Watching one body: its end, its time-out, a cancel, and a body that will not stop.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{
    engine::{Output, action::ActionError},
    model::StepIndex,
    store::Statements,
};

/// The signals that a body's watcher listens to.
#[derive(Debug, Clone)]
pub(super) struct Signals {
    /// The run is to be cancelled.
    pub cancel: CancellationToken,
    /// The worker goes away and the grace for bodies is over.
    pub stop: CancellationToken,
    /// The lease is lost.
    pub lost: CancellationToken,
    /// How long a body may take to stop after it was told to.
    pub grace: Duration,
}

/// A body that has ended.
#[derive(Debug)]
pub(super) struct BodyEnd {
    pub step: StepIndex,
    pub attempt: u32,
    pub how: How,
}

/// What a body that ended well leaves.
#[derive(Debug)]
pub(super) struct Done {
    pub output: Option<Output>,
    /// What is to be carried out with the record of its end.
    pub statements: Statements,
}

/// How it ended.
#[derive(Debug)]
pub(super) enum How {
    Succeeded(Done),
    Failed(ActionError),
    TimedOut(Duration),
    Cancelled(String),
    Interrupted(String),
    /// The lease was lost: nothing may be written.
    Lost,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Nothing,
    TimeOut,
    Cancel,
    Stop,
    Lost,
}

/// A body that runs.
#[derive(Debug)]
pub(super) struct Body {
    pub step: StepIndex,
    pub attempt: u32,
    /// Nobody can settle a body that nobody watches: it ends with its watcher.
    pub task: AbortOnDropHandle<Result<Done, ActionError>>,
    /// Tells the body to stop.
    pub token: CancellationToken,
    pub time_limit: Option<Duration>,
}

/// Waits for the body's end, and sees to it that there is one.
pub(super) async fn watch(body: Body, signals: Arc<Signals>) -> BodyEnd {
    let Body { step, attempt, mut task, token, time_limit } = body;
    let deadline = time_limit.map(|limit| Instant::now() + limit);
    let mut told = Told::Nothing;
    let mut kill_at: Option<Instant> = None;
    let result = loop {
        let news = tokio::select! {
            biased;
            result = &mut task => break result,
            () = signals.lost.cancelled(), if told != Told::Lost => Told::Lost,
            () = signals.cancel.cancelled(), if told == Told::Nothing => Told::Cancel,
            () = at(deadline), if told == Told::Nothing => Told::TimeOut,
            () = signals.stop.cancelled(), if matches!(told, Told::Nothing) => Told::Stop,
            () = at(kill_at) => {
                task.abort();
                kill_at = None;
                continue;
            }
        };
        told = news;
        token.cancel();
        kill_at = Some(Instant::now() + if told == Told::Lost { Duration::ZERO } else { signals.grace });
    };
    let how = match (result, told) {
        (_, Told::Lost) => How::Lost,
        (Ok(Ok(done)), _) => How::Succeeded(done),
        (Ok(Err(error)), Told::Nothing) => How::Failed(error),
        (Ok(Err(_)), Told::TimeOut) => How::TimedOut(time_limit.unwrap_or_default()),
        (Ok(Err(error)), Told::Cancel) => How::Cancelled(error.to_string()),
        (Ok(Err(error)), Told::Stop) => How::Interrupted(error.to_string()),
        (Err(join), told) if join.is_cancelled() => match told {
            Told::TimeOut => How::TimedOut(time_limit.unwrap_or_default()),
            Told::Cancel => How::Cancelled("did not stop within the grace and was killed".to_owned()),
            _ => How::Interrupted("killed: the worker went away".to_owned()),
        },
        (Err(join), _) => How::Failed(ActionError::new(panic_message(join))),
    };
    BodyEnd { step, attempt, how }
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

fn panic_message(join: tokio::task::JoinError) -> String {
    match join.try_into_panic() {
        Ok(payload) => {
            let text = payload.downcast_ref::<String>().map(String::as_str).or_else(|| payload.downcast_ref::<&str>().copied());
            format!("the action panicked: {}", text.unwrap_or("(no message)"))
        }
        Err(join) => format!("the action's task ended: {join}"),
    }
}
