//! Progress messages, thinned to ten a second a step; the last one always gets through.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    engine::recorder::Recorder,
    id::RunId,
    model::StepIndex,
    store::{Change, Command, Fence},
};

const PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct ProgressGate {
    recorder: Recorder,
    run: RunId,
    fence: Fence,
    step: StepIndex,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: Option<String>,
    sending: bool,
}

impl ProgressGate {
    pub(super) fn new(recorder: Recorder, run: RunId, fence: Fence, step: StepIndex) -> Self {
        Self { recorder, run, fence, step, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends the message now, or keeps it as the one to be sent when the pause is over.
    pub(super) fn say(self: &std::sync::Arc<Self>, message: String) {
        let mut state = self.state();
        state.waiting = Some(message);
        if std::mem::replace(&mut state.sending, true) {
            return;
        }
        drop(state);
        self.flush();
        let gate = std::sync::Arc::clone(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(PAUSE).await;
                if !gate.flush() {
                    return;
                }
            }
        });
    }

    /// Sends what waits, and says whether there was anything.
    pub(super) fn flush(&self) -> bool {
        let mut state = self.state();
        let Some(message) = state.waiting.take() else {
            state.sending = false;
            return false;
        };
        drop(state);
        let change = Change::Progress { step: self.step, message };
        // Nobody waits for the answer: when the step has moved on, its progress no longer matters.
        drop(self.recorder.record(Command::fenced(self.run, self.fence, change)));
        true
    }
}
