//! Reading one of a process's output streams.

use std::io;
use std::os::fd::OwnedFd;

use rustix::io::{Errno, ioctl_fionread, read};
use tokio::net::unix::pipe::Receiver;

use super::lines::LineSplitter;
use super::output::{OutputLine, Stream};

/// The read end of a pipe, cut into lines.
#[derive(Debug)]
pub(super) struct OutputPipe {
    stream: Stream,
    /// `None` once the stream is over.
    source: Option<Receiver>,
    splitter: LineSplitter,
    /// Bytes that lay in the pipe when the process ended and are not read
    /// yet: these are the process's own and must not be lost.
    owed: u64,
}

impl OutputPipe {
    /// Must be called within a runtime with I/O enabled.
    pub(super) fn new(stream: Stream, source: OwnedFd) -> io::Result<Self> {
        Ok(Self { stream, source: Some(Receiver::from_owned_fd(source)?), splitter: LineSplitter::new(), owed: 0 })
    }

    /// Whether more may be read.
    pub(super) fn is_open(&self) -> bool {
        self.source.is_some()
    }

    /// Whether everything was read and delivered.
    pub(super) fn is_drained(&self) -> bool {
        self.splitter.is_drained()
    }

    /// The next piece of what was read.
    pub(super) fn next_line(&mut self) -> Option<OutputLine> {
        let (text, complete) = self.splitter.next_line()?;
        Some(OutputLine { stream: self.stream, text, complete })
    }

    /// Waits for input and reads it; returns how many bytes came, 0 when the
    /// stream is over. To be called when [`next_line`](Self::next_line)
    /// returned `None`. Cancel-safe.
    pub(super) async fn fill(&mut self) -> usize {
        loop {
            let Some(source) = &self.source else {
                return 0;
            };
            let space = self.splitter.space();
            let outcome = match source.readable().await {
                Ok(()) => source.try_read(space),
                Err(error) => Err(error),
            };
            match outcome {
                Ok(0) => self.close(),
                Ok(count) => {
                    self.account(count);
                    return count;
                }
                Err(error) if is_transient(&error) => {}
                Err(error) => {
                    tracing::warn!(stream = ?self.stream, %error, "cannot read process output");
                    self.close();
                }
            }
        }
    }

    /// Notes what is in the pipe now that the process ended.
    pub(super) fn note_owed(&mut self) {
        if let Some(source) = &self.source {
            self.owed = ioctl_fionread(source).unwrap_or(0);
        }
    }

    /// Reads what is owed without waiting, as far as there is space, and
    /// closes the stream when nothing is. Asks the pipe itself: the runtime
    /// may not have looked at it yet.
    pub(super) fn conclude(&mut self) {
        while self.owed > 0
            && let Some(source) = &self.source
        {
            let space = self.splitter.space();
            if space.is_empty() {
                return;
            }
            match read(source, space) {
                Ok(count) if count > 0 => self.account(count),
                Err(Errno::INTR) => {}
                _ => break,
            }
        }
        self.close();
    }

    fn account(&mut self, count: usize) {
        self.splitter.filled(count);
        self.owed = self.owed.saturating_sub(count as u64);
    }

    fn close(&mut self) {
        self.source = None;
        self.splitter.finish();
    }
}

fn is_transient(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
