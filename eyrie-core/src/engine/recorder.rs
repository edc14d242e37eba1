//! The one writer of transitions in a process: group commit without a timer.
//!
//! It takes what is waiting, commits it once, then answers all. While that commit is under way the next batch forms behind it.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use crate::{
    engine::hub::Hub,
    error::{Error, ErrorKind, Result},
    store::{Command, Enqueue, Enqueued, RecordError, Recorded, Store},
};

/// The most messages of one commit.
const BATCH: usize = 512;

type Answer<T> = oneshot::Sender<T>;

enum Message {
    Record(Box<Command>, Answer<Result<Recorded, RecordError>>),
    Enqueue(Box<Enqueue>, Answer<Result<Enqueued>>),
}

/// A way to the recorder. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Recorder {
    sender: mpsc::UnboundedSender<Message>,
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Record(command, _) => command.fmt(f),
            Self::Enqueue(enqueue, _) => enqueue.run.id.fmt(f),
        }
    }
}

impl Recorder {
    /// A recorder and the loop that serves it. `patience`: how long a store that fails for now is asked again.
    pub(super) fn new(store: Arc<dyn Store>, hub: Hub, patience: Duration) -> (Self, impl Future<Output = ()> + Send) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self { sender }, serve(Loop { store, hub, patience }, receiver))
    }

    /// Has the command carried out. Its place in line is taken before this returns its future.
    pub(super) fn record(&self, command: Command) -> impl Future<Output = Result<Recorded, RecordError>> + Send + use<> {
        let (answer, answered) = oneshot::channel();
        let sent = self.sender.send(Message::Record(Box::new(command), answer)).is_ok();
        async move {
            let gone = || RecordError::Store(Arc::new(closed("record")));
            if sent { answered.await.unwrap_or_else(|_| Err(gone())) } else { Err(gone()) }
        }
    }

    /// Has the run queued.
    pub(super) async fn enqueue(&self, enqueue: Enqueue) -> Result<Enqueued> {
        let (answer, answered) = oneshot::channel();
        self.sender.send(Message::Enqueue(Box::new(enqueue), answer)).map_err(|_| closed("enqueue"))?;
        answered.await.map_err(|_| closed("enqueue"))?
    }
}

fn closed(operation: &'static str) -> Error {
    Error::new(ErrorKind::Unavailable, operation, "the engine has been shut down")
}

struct Loop {
    store: Arc<dyn Store>,
    hub: Hub,
    patience: Duration,
}

async fn serve(this: Loop, mut receiver: mpsc::UnboundedReceiver<Message>) {
    let mut waiting = Vec::with_capacity(BATCH);
    while receiver.recv_many(&mut waiting, BATCH).await > 0 {
        let (mut commands, mut answers) = (Vec::new(), Vec::new());
        let (mut enqueues, mut enqueue_answers) = (Vec::new(), Vec::new());
        for message in waiting.drain(..) {
            match message {
                Message::Record(command, answer) => {
                    commands.push(*command);
                    answers.push(answer);
                }
                Message::Enqueue(enqueue, answer) => {
                    enqueues.push(*enqueue);
                    enqueue_answers.push(answer);
                }
            }
        }
        if !enqueues.is_empty() {
            let results = this.enqueue(&enqueues).await;
            for queued in results.iter().flatten() {
                this.hub.publish(&queued.superseded);
            }
            for (answer, result) in enqueue_answers.into_iter().zip(results) {
                drop(answer.send(result));
            }
            this.hub.queued();
        }
        if !commands.is_empty() {
            let results = this.record(&mut commands).await;
            for (answer, result) in answers.into_iter().zip(results) {
                drop(answer.send(result));
            }
        }
    }
}

impl Loop {
    async fn enqueue(&self, enqueues: &[Enqueue]) -> Vec<Result<Enqueued>> {
        let begun = Instant::now();
        match self.store.enqueue(enqueues).await {
            Ok(results) => results,
            Err(error) if enqueues.len() == 1 && error.kind() != ErrorKind::OutcomeUnknown => vec![Err(error)],
            Err(error) => {
                let is_unknown = error.kind() == ErrorKind::OutcomeUnknown;
                let mut results = Vec::with_capacity(enqueues.len());
                for one in enqueues {
                    results.push(match is_unknown {
                        false => self.enqueue_alone(one).await,
                        true if begun.elapsed() <= self.patience => self.enqueue_again(one).await,
                        // By now the run may have ended and be forgotten. It would not be known again, and come back.
                        true => Err(Error::new(ErrorKind::OutcomeUnknown, "enqueue", "the store did not say in time whether it was done")),
                    });
                }
                results
            }
        }
    }

    async fn enqueue_alone(&self, one: &Enqueue) -> Result<Enqueued> {
        let mut answers = self.store.enqueue(std::slice::from_ref(one)).await?;
        answers.pop().unwrap_or_else(|| Err(no_answer("enqueue")))
    }

    /// Queues what may be queued already, by a call that did not say how it ended.
    async fn enqueue_again(&self, one: &Enqueue) -> Result<Enqueued> {
        let again = match self.enqueue_alone(one).await {
            Ok(queued) => Ok(Enqueued { is_new: queued.is_new || queued.run.id == one.run.id, ..queued }),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                self.store.run(one.run.id).await.map(|run| Enqueued { run, is_new: true, superseded: Vec::new() })
            }
            refused => refused,
        };
        again.map_err(|error| if error.is_retryable() { unknown("enqueue", error) } else { error })
    }

    async fn record(&self, commands: &mut [Command]) -> Vec<Result<Recorded, RecordError>> {
        match self.record_patiently(commands).await {
            Ok(results) => results,
            Err(error) if commands.len() == 1 || error.is_retryable() || error.kind() == ErrorKind::StorageFull => {
                let error = Arc::new(error);
                commands.iter().map(|_| Err(RecordError::Store(Arc::clone(&error)))).collect()
            }
            // Something in the batch cannot be written: find it, and let its neighbours through.
            Err(_) => {
                let mut results = Vec::with_capacity(commands.len());
                for one in commands {
                    let alone = self.record_patiently(std::slice::from_mut(one)).await;
                    results.push(match alone {
                        Ok(mut list) => list.pop().unwrap_or_else(|| Err(RecordError::Store(Arc::new(no_answer("record"))))),
                        Err(error) => Err(RecordError::Store(Arc::new(error))),
                    });
                }
                results
            }
        }
    }

    /// Asks again while the store fails for now. After a commit without an answer the commands say that they are repeats.
    async fn record_patiently(&self, commands: &mut [Command]) -> Result<Vec<Result<Recorded, RecordError>>> {
        let begun = Instant::now();
        let mut is_unknown = false;
        let mut pause = Duration::from_millis(20);
        loop {
            match self.store.record(commands).await {
                Ok(results) => {
                    for recorded in results.iter().flatten() {
                        self.hub.publish(&recorded.events);
                    }
                    return Ok(results);
                }
                Err(error) => {
                    let transient = error.is_retryable() || error.kind() == ErrorKind::StorageFull;
                    if !transient || begun.elapsed() + pause > self.patience {
                        // What may have happened has not been taken back by a failure that came later.
                        return Err(if is_unknown { unknown("record", error) } else { error });
                    }
                    tracing::warn!(error = %crate::error::report(&error), commands = commands.len(), "the store failed; trying again");
                    if error.kind() == ErrorKind::OutcomeUnknown {
                        is_unknown = true;
                        commands.iter_mut().for_each(|command| command.retried = true);
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_millis(500));
                }
            }
        }
    }
}

/// The answer when a repeat failed of what may have happened at the first time.
fn unknown(operation: &'static str, last: Error) -> Error {
    Error::new(ErrorKind::OutcomeUnknown, operation, "the store did not say whether it was done, and cannot be asked").with_source(last)
}

fn no_answer(operation: &'static str) -> Error {
    Error::new(ErrorKind::Internal, operation, "the store answered fewer results than it was asked for")
}
