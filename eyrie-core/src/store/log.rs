//! Run logs: text in chunks with offsets of their own, apart from events.

use std::ops::Range;

use async_trait::async_trait;
use serde::Serialize;

use crate::{
    clock::Timestamp,
    error::{Invalid, Result},
    id::RunId,
    model::StepIndex,
};

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

impl LogChunk {
    /// Where the piece ends, and the next one begins.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.offset + self.text.len() as u64
    }
}

/// How much of one run's log is kept. Of a longer one the beginning stays, which says what was done, and the end, which says how
/// it went; chunks in the middle are dropped. Offsets stay what they were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogBound(u64);

impl LogBound {
    /// The smallest bound, in bytes.
    pub const MIN: u64 = 8 * MAX_LOG_CHUNK as u64;

    /// Keeps at most `bytes` of a log.
    ///
    /// # Errors
    /// [`Invalid`] below [`MIN`](Self::MIN).
    pub fn new(bytes: u64) -> Result<Self, Invalid> {
        if bytes >= Self::MIN { Ok(Self(bytes)) } else { Err(Invalid::new("max_log", format!("must be at least {} bytes", Self::MIN))) }
    }

    /// The bytes that are kept at most.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// What is dropped of a log that has grown to `end`: the chunks that lie in this range as a whole.
    #[must_use]
    pub fn dropped(self, end: u64) -> Option<Range<u64>> {
        // A chunk on either edge stays as a whole.
        let head = self.0 / 4;
        let tail = self.0 - head - 2 * MAX_LOG_CHUNK as u64;
        (end > self.0).then(|| head..end - tail)
    }
}

impl Default for LogBound {
    /// 64 MiB.
    fn default() -> Self {
        Self(64 * 1024 * 1024)
    }
}

/// What was read of a run's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPiece {
    /// From where it was read.
    pub from: u64,
    /// The chunks, in order. What lies between two of them, or before the first, is no longer kept.
    pub chunks: Vec<LogChunk>,
    /// From where to read on. Behind the last chunk, if there is one; else what lies before the end of the log is no longer kept.
    pub end: u64,
}

impl LogPiece {
    /// The text from where it was read, with a line that says so in place of what is no longer kept.
    #[must_use]
    pub fn text(&self) -> String {
        let (mut text, mut end) = (String::new(), self.from);
        for chunk in &self.chunks {
            say_missing(&mut text, end..chunk.offset);
            // A chunk may begin before the offset; what stands there has been read.
            let read = usize::try_from(end.saturating_sub(chunk.offset)).unwrap_or(usize::MAX).min(chunk.text.len());
            text.push_str(&chunk.text[chunk.text.ceil_char_boundary(read)..]);
            end = chunk.end();
        }
        say_missing(&mut text, end..self.end);
        text
    }
}

fn say_missing(text: &mut String, missing: Range<u64>) {
    if !missing.is_empty() {
        let begin = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        text.push_str(&format!("{begin}[{} bytes of the log are no longer kept]\n", missing.end - missing.start));
    }
}

/// Keeps run logs.
#[async_trait]
pub trait LogStore {
    /// Appends the chunks in order, in one transaction; offsets and times are set by the store. Chunks of unknown runs are dropped.
    /// What `bound` says of a log that has grown too long is dropped in the same transaction.
    async fn append_log(&self, chunks: &[LogChunk], bound: LogBound) -> Result<()>;
    /// Chunks of the run's log that end behind `offset`, in order, about `max_bytes` of text but at least one chunk if there is one.
    async fn read_log(&self, run: RunId, offset: u64, max_bytes: usize) -> Result<LogPiece>;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_kept_never_exceeds_the_bound() {
        assert_eq!(LogBound::new(LogBound::MIN - 1).unwrap_err().field(), "max_log");
        for bytes in [LogBound::MIN, LogBound::MIN + 1, 64 << 20] {
            let bound = LogBound::new(bytes).unwrap();
            assert_eq!(bound.dropped(bytes), None);
            for over in [1, MAX_LOG_CHUNK as u64, 10 * bytes] {
                let dropped = bound.dropped(bytes + over).unwrap();
                let edges = 2 * (MAX_LOG_CHUNK as u64 - 1);
                assert!(dropped.start + (bytes + over - dropped.end) + edges <= bytes, "{bytes} + {over}: {dropped:?}");
            }
        }
    }

    #[test]
    fn a_reader_is_told_what_is_missing() {
        let chunk = |offset, text: &str| LogChunk {
            run_id: RunId::new(),
            offset,
            step: StepIndex::new(0),
            at: Timestamp::UNIX_EPOCH,
            text: text.to_owned(),
        };
        let piece = LogPiece { from: 2, chunks: vec![chunk(0, "one\n"), chunk(14, "two")], end: 20 };
        let missing = |bytes: u32| format!("[{bytes} bytes of the log are no longer kept]\n");
        assert_eq!(piece.text(), format!("e\n{}two\n{}", missing(10), missing(3)));
        assert_eq!(LogPiece { from: 5, chunks: Vec::new(), end: 5 }.text(), "");
        assert_eq!(LogPiece { from: 1, chunks: vec![chunk(0, "ö\n")], end: 3 }.text(), "\n");
    }
}
