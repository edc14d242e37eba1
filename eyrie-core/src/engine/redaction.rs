//! What keeps the secrets of a run out of everything that is written down of it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::Value;

use crate::{
    engine::{
        ActionError,
        body::{BodyEnd, Done, How},
        log_writer::LogWriter,
    },
    id::RunId,
    model::StepIndex,
    name::StepName,
    secret::{RedactedStream, Redactor},
    store::{Change, StepReport},
};

/// The redactors of the runs that are driven in this process: reports that come from outside go through them, too.
#[derive(Debug, Clone, Default)]
pub(super) struct Redactors(Arc<Mutex<HashMap<RunId, (Redactor, usize)>>>);

impl Redactors {
    fn all(&self) -> MutexGuard<'_, HashMap<RunId, (Redactor, usize)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The run's redactor, for as long as what is returned is held.
    pub(super) fn hold(&self, run: RunId) -> RunRedactor {
        let mut all = self.all();
        let (redactor, holders) = all.entry(run).or_default();
        *holders += 1;
        RunRedactor { redactor: redactor.clone(), run, all: self.clone() }
    }

    /// The run's redactor, if the run is driven here.
    pub(super) fn of(&self, run: RunId) -> Option<Redactor> {
        self.all().get(&run).map(|(redactor, _)| redactor.clone())
    }
}

/// The redactor of a run that is driven here.
#[derive(Debug)]
pub(super) struct RunRedactor {
    pub(super) redactor: Redactor,
    run: RunId,
    all: Redactors,
}

impl Drop for RunRedactor {
    fn drop(&mut self) {
        let mut all = self.all.all();
        if let Some((_, holders)) = all.get_mut(&self.run) {
            *holders -= 1;
            if *holders == 0 {
                all.remove(&self.run);
            }
        }
    }
}

/// The log of one attempt of a step. Clones share where it stands.
#[derive(Debug, Clone)]
pub(super) struct StepLog {
    writer: LogWriter,
    run: RunId,
    step: StepIndex,
    stream: Arc<Mutex<RedactedStream>>,
}

impl StepLog {
    pub(super) fn new(writer: LogWriter, run: RunId, step: StepIndex, redactor: Redactor) -> Self {
        Self { writer, run, step, stream: Arc::new(Mutex::new(RedactedStream::new(redactor))) }
    }

    /// Appends text. What may be the beginning of a secret waits for what follows.
    pub(super) async fn append(&self, text: String) {
        let clean = self.stream.lock().unwrap_or_else(PoisonError::into_inner).push(text);
        self.writer.append(self.run, self.step, clean).await;
    }

    /// Nothing follows.
    pub(super) async fn end(&self) {
        let rest = self.stream.lock().unwrap_or_else(PoisonError::into_inner).finish();
        self.writer.append(self.run, self.step, rest).await;
    }
}

/// The change without the run's secrets.
pub(super) fn redacted(redactor: &Redactor, change: Change) -> Change {
    if redactor.is_empty() {
        return change;
    }
    match change {
        Change::Expect { parent, names } => {
            Change::Expect { parent, names: names.into_iter().map(|name| redacted_name(redactor, name)).collect() }
        }
        Change::Report(report) => Change::Report(redacted_report(redactor, report)),
        Change::KeepHandle { step, attempt, handle } => Change::KeepHandle { step, attempt, handle: redactor.redact_value(handle) },
        Change::SaveUndo { step, attempt, data } => Change::SaveUndo { step, attempt, data: redactor.redact_value(data) },
        Change::Progress { step, message } => Change::Progress { step, message: redactor.redact(message) },
        other => other,
    }
}

/// The report without the run's secrets.
pub(crate) fn redacted_report(redactor: &Redactor, report: StepReport) -> StepReport {
    let StepReport { parent, report_id, name, state, message } = report;
    StepReport { parent, report_id, name: redacted_name(redactor, name), state, message: redactor.redact(message) }
}

fn redacted_name(redactor: &Redactor, name: StepName) -> StepName {
    let clean = redactor.redact(name.as_str().to_owned());
    if clean == name.as_str() { name } else { StepName::new(clean).unwrap_or_else(|_| StepName::unnamed()) }
}

/// What a body leaves, without the run's secrets.
pub(super) fn redacted_end(redactor: &Redactor, end: BodyEnd) -> BodyEnd {
    if redactor.is_empty() {
        return end;
    }
    let BodyEnd { step, attempt, how } = end;
    let how = match how {
        How::Succeeded(Done { output, statements }) => How::Succeeded(Done { output: redacted_output(redactor, output), statements }),
        How::Failed(error) => {
            let message = redactor.redact(error.to_string());
            How::Failed(if error.is_permanent() { ActionError::permanent(message) } else { ActionError::new(message) })
        }
        How::Cancelled(message) => How::Cancelled(redactor.redact(message)),
        How::Interrupted(message) => How::Interrupted(redactor.redact(message)),
        other @ (How::TimedOut(_) | How::Lost) => other,
    };
    BodyEnd { step, attempt, how }
}

pub(super) fn redacted_output(redactor: &Redactor, output: Option<Value>) -> Option<Value> {
    output.map(|output| redactor.redact_value(output))
}
