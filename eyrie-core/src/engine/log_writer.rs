//! Run logs on their way to the store: gathered into chunks, written behind the transitions, with backpressure.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::{mpsc, oneshot};

use crate::{
    clock::Timestamp,
    id::RunId,
    model::StepIndex,
    store::{LogBound, LogChunk, MAX_LOG_CHUNK, Store},
};

/// How long text is gathered before it is written.
const GATHER: Duration = Duration::from_millis(50);
/// How many pieces may be on their way; more wait.
const QUEUE: usize = 64;
/// How much is written in one transaction.
const WRITE: usize = 16;

#[derive(Debug)]
enum Message {
    Text(RunId, StepIndex, String),
    Flush(oneshot::Sender<()>),
}

/// A way to the log writer. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct LogWriter {
    sender: mpsc::Sender<Message>,
    pending: Arc<AtomicUsize>,
}

impl LogWriter {
    /// A writer that keeps as much of each log as `bound` says, and the loop that serves it.
    pub(super) fn new(store: Arc<dyn Store>, bound: LogBound) -> (Self, impl Future<Output = ()> + Send) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let pending = Arc::new(AtomicUsize::new(0));
        (Self { sender, pending: Arc::clone(&pending) }, serve(store, bound, receiver, pending))
    }

    /// Appends text; waits while too much is on its way.
    pub(super) async fn append(&self, run: RunId, step: StepIndex, text: String) {
        if !text.is_empty() {
            self.pending.fetch_add(1, Ordering::SeqCst);
            drop(self.sender.send(Message::Text(run, step, text)).await);
        }
    }

    /// Whether any text is on its way.
    pub(super) fn has_pending(&self) -> bool {
        self.pending.load(Ordering::SeqCst) > 0
    }

    /// Returns when everything appended before is durable (or the store has refused it).
    pub(super) async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        if self.sender.send(Message::Flush(done)).await.is_ok() {
            drop(flushed.await);
        }
    }
}

async fn serve(store: Arc<dyn Store>, bound: LogBound, mut receiver: mpsc::Receiver<Message>, pending: Arc<AtomicUsize>) {
    let mut chunks: VecDeque<LogChunk> = VecDeque::new();
    let mut flushes = Vec::new();
    while let Some(first) = receiver.recv().await {
        let mut taken = usize::from(matches!(first, Message::Text(..)));
        take(first, &mut chunks, &mut flushes);
        let gather = tokio::time::sleep(GATHER);
        tokio::pin!(gather);
        while flushes.is_empty() && chunks.len() < WRITE {
            tokio::select! {
                biased;
                () = &mut gather => break,
                message = receiver.recv() => match message {
                    Some(message) => {
                        taken += usize::from(matches!(message, Message::Text(..)));
                        take(message, &mut chunks, &mut flushes);
                    }
                    None => break,
                },
            }
        }
        while !chunks.is_empty() {
            let batch: Vec<_> = chunks.drain(..chunks.len().min(WRITE)).collect();
            write(&*store, &batch, bound).await;
        }
        pending.fetch_sub(taken, Ordering::SeqCst);
        for done in flushes.drain(..) {
            // Whoever asked may have gone.
            let _: Result<(), ()> = oneshot::Sender::send(done, ());
        }
    }
}

/// Adds text to the newest chunk of the same step, or cuts it into new ones.
fn take(message: Message, chunks: &mut VecDeque<LogChunk>, flushes: &mut Vec<oneshot::Sender<()>>) {
    let (run_id, step, mut text) = match message {
        Message::Flush(done) => return flushes.push(done),
        Message::Text(run, step, text) => (run, step, text),
    };
    if let Some(last) = chunks.back_mut()
        && last.run_id == run_id
        && last.step == step
        && last.text.len() + text.len() <= MAX_LOG_CHUNK
    {
        last.text.push_str(&text);
        return;
    }
    while !text.is_empty() {
        let rest = text.split_off(text.floor_char_boundary(MAX_LOG_CHUNK));
        chunks.push_back(LogChunk { run_id, offset: 0, step, at: Timestamp::UNIX_EPOCH, text });
        text = rest;
    }
}

async fn write(store: &dyn Store, batch: &[LogChunk], bound: LogBound) {
    let mut pause = Duration::from_millis(50);
    for _ in 0..6 {
        match store.append_log(batch, bound).await {
            Ok(()) => return,
            Err(error) => {
                tracing::warn!(error = %crate::error::report(&error), chunks = batch.len(), "log lines could not be written");
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
        }
    }
    let runs: std::collections::BTreeSet<_> = batch.iter().map(|chunk| chunk.run_id).collect();
    tracing::error!(?runs, chunks = batch.len(), "log lines are lost: the store went on refusing them");
}
