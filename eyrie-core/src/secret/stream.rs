//! The same for text that comes in pieces: a value is found also where it is cut.

use std::{fmt, mem};

use crate::secret::{
    Redactor,
    redactor::{MASK, utf8},
};

/// A stream of text on its way through a [`Redactor`]. It holds back what may be the beginning of a value, at most one byte less than
/// the longest form that is looked for, until it is decided.
pub struct RedactedStream {
    redactor: Redactor,
    held: Vec<u8>,
    /// How much of what is held belongs to a value that was found already.
    masked: usize,
    /// Whether what was let out last ends with a mask that what follows may belong to.
    open: bool,
}

impl fmt::Debug for RedactedStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedactedStream").field("held", &self.held.len()).finish_non_exhaustive()
    }
}

impl RedactedStream {
    /// A stream through the redactor, with whatever it knows by the time.
    #[must_use]
    pub fn new(redactor: Redactor) -> Self {
        Self { redactor, held: Vec::new(), masked: 0, open: false }
    }

    /// Takes a piece, and lets out what is decided.
    pub fn push(&mut self, text: String) -> String {
        let Some(patterns) = self.redactor.patterns() else {
            if self.held.is_empty() {
                self.open = false;
                return text;
            }
            self.held.extend(text.as_bytes());
            return self.finish();
        };
        self.held.extend(text.as_bytes());
        let until = floor_char(&self.held, patterns.undecided(&self.held));
        self.let_out(&patterns.covered(&self.held), until)
    }

    /// Lets out what is left: nothing follows that could make a value of it.
    pub fn finish(&mut self) -> String {
        let covered = self.redactor.patterns().map(|patterns| patterns.covered(&self.held)).unwrap_or_default();
        let out = self.let_out(&covered, self.held.len());
        self.open = false;
        out
    }

    fn let_out(&mut self, covered: &[(usize, usize)], until: usize) -> String {
        let rest = self.held.split_off(until);
        let decided = mem::replace(&mut self.held, rest);
        let mut out = Vec::with_capacity(decided.len());
        let mut from = self.masked.min(until);
        let mut masked = self.masked.saturating_sub(until);
        if self.masked > 0 && !self.open {
            out.extend(MASK.as_bytes());
        }
        self.open |= self.masked > 0;
        for &(start, end) in covered {
            if start >= until {
                // What is held back is looked through again, unless it belongs to what ends here.
                continue;
            }
            let (start, end_here) = (start.max(from), end.min(until));
            if start > from {
                out.extend(&decided[from..start]);
                self.open = false;
            }
            if end_here > start || end > until {
                if !self.open {
                    out.extend(MASK.as_bytes());
                }
                self.open = true;
            }
            from = from.max(end_here);
            masked = masked.max(end.saturating_sub(until));
        }
        if from < until {
            out.extend(&decided[from..until]);
            self.open = false;
        }
        self.masked = masked;
        utf8(out)
    }
}

/// The last place before `at`, or there, where a character begins.
fn floor_char(bytes: &[u8], at: usize) -> usize {
    let mut at = at;
    while at > 0 && at < bytes.len() && bytes[at] & 0xC0 == 0x80 {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;
    use crate::secret::SecretValue;

    proptest! {
        /// However the text is cut, what comes out is what comes out of the whole; nothing of a value is left.
        #[test]
        fn pieces_come_out_like_the_whole(
            values in proptest::collection::vec("[ab\u{e4}]{6,9}", 1..4),
            parts in proptest::collection::vec(("[ab\u{e4}c]{0,12}", 0_usize..5), 0..12),
            cuts in proptest::collection::vec(0.0_f64..1.0, 0..20),
        ) {
            let redactor = Redactor::default();
            redactor.learn(&values.iter().map(|value| SecretValue::new(value.clone()).unwrap()).collect::<Vec<_>>());
            let text: String = parts.iter().map(|(text, value)| format!("{text}{}", values.get(*value).map_or("", String::as_str))).collect();
            let mut places: Vec<usize> = cuts.iter().map(|cut| text.floor_char_boundary((cut * text.len() as f64) as usize)).collect();
            places.extend([0, text.len()]);
            places.sort_unstable();
            let mut stream = RedactedStream::new(redactor.clone());
            let mut out = String::new();
            for window in places.windows(2) {
                out.push_str(&stream.push(text[window[0]..window[1]].to_owned()));
                prop_assert!(stream.held.len() <= 6 * 9 * 2, "{}", stream.held.len());
            }
            out.push_str(&stream.finish());
            prop_assert_eq!(&out, &redactor.redact(text));
            for value in &values {
                prop_assert!(!out.contains(value.as_str()), "{} in {}", value, out);
            }
        }
    }

    #[test]
    fn what_cannot_be_a_value_is_not_held_back() {
        let redactor = Redactor::default();
        redactor.learn(&[SecretValue::new("hunter2").unwrap()]);
        let mut stream = RedactedStream::new(redactor);
        assert_eq!(stream.push("a line\n".to_owned()), "a line\n");
        assert_eq!(stream.push("then hun".to_owned()), "then ");
        assert_eq!(stream.push("ter".to_owned()), "");
        assert_eq!(stream.push("2, then hunt".to_owned()), "***, then ");
        assert_eq!(stream.finish(), "hunt");
    }
}
