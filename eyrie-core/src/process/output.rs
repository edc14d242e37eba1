//! Pieces of output, and those that wait to be fetched.

use serde::{Deserialize, Serialize};

/// Where a piece of output came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A line of output, or a piece of one longer than
/// [`MAX_LINE`](super::MAX_LINE).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputLine {
    /// Where it came from.
    pub stream: Stream,
    /// The text without its line end (`\n` or `\r\n`). Bytes that are not
    /// UTF-8 became U+FFFD; NUL is kept.
    pub text: String,
    /// False for a piece of a line whose rest follows on the same stream. The
    /// last piece is complete, as is a last line without a line end.
    pub complete: bool,
}

/// How much output is kept while nobody fetches it, in bytes.
const LIMIT: usize = 256 * 1024;

/// Output that was read but not fetched.
///
/// Beyond the limit whole lines are left out, or the rest of a line that was
/// begun; what is kept always forms lines.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    lines: Vec<OutputLine>,
    bytes: usize,
    dropped: u64,
    stdout: LineState,
    stderr: LineState,
}

/// Where a stream is within a line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum LineState {
    #[default]
    Between,
    /// Pieces were kept, the last is to come.
    Within,
    /// The rest of the line is left out.
    Skipping,
}

impl Backlog {
    /// Everything that waits, oldest first; `None` when nothing does.
    pub(super) fn take(&mut self) -> Option<Vec<OutputLine>> {
        self.bytes = 0;
        Some(std::mem::take(&mut self.lines)).filter(|lines| !lines.is_empty())
    }

    /// How many pieces were left out so far.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Appends a piece. A `bounded` one is left out when the limit is
    /// reached. Returns whether it was kept.
    pub(super) fn push(&mut self, line: OutputLine, bounded: bool) -> bool {
        let state = match line.stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        let cost = line.text.len() + size_of::<OutputLine>();
        let full = bounded && self.bytes + cost > LIMIT;
        if *state != LineState::Skipping && !full {
            *state = if line.complete { LineState::Between } else { LineState::Within };
            self.bytes += cost;
            self.lines.push(line);
            return true;
        }
        self.dropped += 1;
        if *state == LineState::Within {
            // End the line here rather than let the next one continue it.
            self.lines.push(OutputLine { stream: line.stream, text: String::new(), complete: true });
        }
        *state = if line.complete { LineState::Between } else { LineState::Skipping };
        false
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Backlog, LIMIT, OutputLine, Stream};

    fn piece(text: &str, complete: bool) -> OutputLine {
        OutputLine { stream: Stream::Stdout, text: text.to_owned(), complete }
    }

    #[test]
    fn a_line_cut_by_the_limit_is_closed_and_its_rest_skipped() {
        let mut backlog = Backlog::default();
        backlog.push(piece("begun", false), true);
        backlog.push(piece(&"x".repeat(LIMIT), false), true);
        assert_eq!(backlog.take().unwrap(), [piece("begun", false), piece("", true)]);
        backlog.push(piece("rest", false), false);
        backlog.push(piece("end", true), false);
        backlog.push(piece("next", true), true);
        assert_eq!(backlog.take().unwrap(), [piece("next", true)]);
        assert_eq!(backlog.take(), None);
        assert_eq!(backlog.dropped(), 3);
    }
}
