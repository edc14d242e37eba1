//! Cutting a byte stream into lines of bounded length.

/// The longest piece of a line that is delivered at once, in bytes of the
/// process's output.
pub const MAX_LINE: usize = 64 * 1024;

/// Room that is always left for a read.
const READ: usize = 32 * 1024;

/// Holds at most one unfinished piece plus what one read brought.
#[derive(Debug)]
pub(super) struct LineSplitter {
    buffer: Box<[u8]>,
    /// First byte not yet delivered.
    start: usize,
    /// First byte not yet searched for a newline.
    searched: usize,
    /// End of what was read.
    end: usize,
    /// No more input will come.
    ended: bool,
}

impl LineSplitter {
    pub(super) fn new() -> Self {
        Self { buffer: vec![0; MAX_LINE + 2 + READ].into_boxed_slice(), start: 0, searched: 0, end: 0, ended: false }
    }

    /// Where the next input goes. Never empty after
    /// [`next_line`](Self::next_line) returned `None`.
    pub(super) fn space(&mut self) -> &mut [u8] {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.searched -= self.start;
            self.end -= self.start;
            self.start = 0;
        }
        &mut self.buffer[self.end..]
    }

    /// Records that `count` bytes were written to [`space`](Self::space).
    pub(super) fn filled(&mut self, count: usize) {
        self.end = (self.end + count).min(self.buffer.len());
    }

    /// Records that no more input will come: what is left becomes a line.
    pub(super) fn finish(&mut self) {
        self.ended = true;
    }

    /// Whether input ended and everything was delivered.
    pub(super) fn is_drained(&self) -> bool {
        self.ended && self.start == self.end
    }

    /// The next line or piece of a line, and whether a line is complete with
    /// it. `None` when that takes more input.
    pub(super) fn next_line(&mut self) -> Option<(String, bool)> {
        let fresh = &self.buffer[self.searched..self.end];
        if let Some(offset) = fresh.iter().position(|byte| *byte == b'\n') {
            let newline = self.searched + offset;
            let line = &self.buffer[self.start..newline];
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.len() > MAX_LINE {
                self.searched = newline;
                return Some((self.cut(), false));
            }
            let text = lossy(line);
            self.start = newline + 1;
            self.searched = self.start;
            return Some((text, true));
        }
        self.searched = self.end;
        let length = self.end - self.start;
        // Two bytes more than a piece: they might have been "\r\n".
        if length >= MAX_LINE + 2 || (self.ended && length > MAX_LINE) {
            Some((self.cut(), false))
        } else if self.ended && length > 0 {
            let text = lossy(&self.buffer[self.start..self.end]);
            self.start = self.end;
            Some((text, true))
        } else {
            None
        }
    }

    /// Takes a piece off a line that is known to be longer than one, not
    /// splitting a character.
    fn cut(&mut self) -> String {
        let limit = self.start + MAX_LINE;
        let mut at = limit;
        if is_continuation(self.buffer[limit]) {
            let lead = (limit - 3..limit).rev().find(|index| !is_continuation(self.buffer[*index]));
            if let Some(lead) = lead
                && lead + sequence_length(self.buffer[lead]) > limit
            {
                at = lead;
            }
        }
        let text = lossy(&self.buffer[self.start..at]);
        self.start = at;
        text
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn is_continuation(byte: u8) -> bool {
    byte & 0b1100_0000 == 0b1000_0000
}

/// The length of the UTF-8 sequence a byte begins; 1 if it begins none.
fn sequence_length(lead: u8) -> usize {
    match lead {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{LineSplitter, MAX_LINE};

    /// Feeds input in chunks of at most `chunk` bytes.
    fn split(input: &[u8], chunk: usize) -> Vec<(String, bool)> {
        let mut splitter = LineSplitter::new();
        let mut lines = Vec::new();
        let mut rest = input;
        while !rest.is_empty() {
            let space = splitter.space();
            let count = chunk.min(rest.len()).min(space.len());
            assert!(count > 0);
            space[..count].copy_from_slice(&rest[..count]);
            splitter.filled(count);
            rest = &rest[count..];
            lines.extend(std::iter::from_fn(|| splitter.next_line()));
        }
        splitter.finish();
        lines.extend(std::iter::from_fn(|| splitter.next_line()));
        assert!(splitter.is_drained());
        lines
    }

    fn line(text: &str) -> (String, bool) {
        (text.to_owned(), true)
    }

    #[test]
    fn line_ends() {
        for chunk in 1..8 {
            assert_eq!(split(b"a\r\n\nb\rc\n\x00\r\r\nlast\r", chunk), [line("a"), line(""), line("b\rc"), line("\0\r"), line("last\r")]);
        }
        assert_eq!(split(b"", 1), []);
    }

    #[test]
    fn invalid_bytes_are_replaced() {
        assert_eq!(split(b"a\xff\xfeb\n\xe2\x82", 3), [line("a\u{fffd}\u{fffd}b"), line("\u{fffd}")]);
    }

    #[test]
    fn long_lines_come_in_pieces_of_whole_characters() {
        for text in ["x", "é", "€", "🦅"] {
            for shift in 0..4 {
                for (extra, end) in [(0, "\n"), (1, "\r\n"), (70_000, "")] {
                    let body = "-".repeat(shift) + &text.repeat((MAX_LINE + extra) / text.len());
                    let input = body.clone() + end + "next\n";
                    let mut lines = split(input.as_bytes(), 10_007);
                    if end.is_empty() {
                        assert!(lines.last().unwrap().0.ends_with("next"));
                        let last = lines.last_mut().unwrap();
                        last.0.truncate(last.0.len() - 4);
                    } else {
                        assert_eq!(lines.pop(), Some(line("next")));
                    }
                    assert!(lines.iter().all(|(text, _)| text.len() <= MAX_LINE && !text.is_empty()));
                    assert!(lines.pop_if(|(_, complete)| *complete).is_some_and(|(tail, _)| {
                        assert!(lines.iter().all(|(_, complete)| !complete));
                        lines.iter().map(|(text, _)| text.as_str()).collect::<String>() + &tail == body
                    }));
                }
            }
        }
    }

    #[test]
    fn a_line_of_exactly_the_limit_is_one_piece() {
        let body = "x".repeat(MAX_LINE);
        for end in ["", "\n", "\r\n"] {
            assert_eq!(split((body.clone() + end).as_bytes(), 1 << 20), [line(&body)]);
        }
    }

    #[test]
    fn continuation_bytes_alone_still_make_progress() {
        let lines = split(&vec![0x80; 3 * MAX_LINE], 1 << 20);
        let count: usize = lines.iter().map(|(text, _)| text.chars().count()).sum();
        assert_eq!(count, 3 * MAX_LINE);
    }
}
