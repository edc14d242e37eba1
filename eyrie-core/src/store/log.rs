//! Run logs: text in chunks with offsets of their own, apart from events.

use async_trait::async_trait;
use serde::Serialize;

use crate::{clock::Timestamp, error::Result, id::RunId, model::StepIndex};

/// The largest chunk, in bytes.
pub const MAX_LOG_CHUNK: usize = 64 * 1024;

/// A piece of a run's log: whole lines, except where a line is longer than a chunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogChunk {
    /// The run.
    pub run_id: RunId,
    /// Where the piece begins, in bytes from the beginning of the run's log. Set by the store when it is appended.
    pub offset: u64,
    /// The step that wrote it.
    pub step: StepIndex,
    /// When it became durable. Set by the store.
    pub at: Timestamp,
    /// The text, at most [`MAX_LOG_CHUNK`] bytes.
    pub text: String,
}

/// Keeps run logs.
#[async_trait]
pub trait LogStore {
    /// Appends the chunks in order, in one transaction; offsets and times are set by the store. Chunks of unknown runs are dropped.
    async fn append_log(&self, chunks: &[LogChunk]) -> Result<()>;
    /// Chunks of the run's log that end behind `offset`, in order, about `max_bytes` of text but at least one chunk if there is one.
    async fn read_log(&self, run: RunId, offset: u64, max_bytes: usize) -> Result<Vec<LogChunk>>;
}
