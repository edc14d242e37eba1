//! Takes the values of secrets out of text before it is written down.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use aho_corasick::{AhoCorasick, MatchKind};
use serde_json::{Map, Value};

use crate::secret::{SecretValue, forms::forms_of};

/// What stands in the place of a value.
pub const MASK: &str = "***";

/// Knows values, and what they look like as base64, in hexadecimal digits, in URLs and in JSON. Clones share what they know.
#[derive(Clone, Default)]
pub struct Redactor(Arc<RwLock<Known>>);

#[derive(Default)]
struct Known {
    forms: BTreeSet<Vec<u8>>,
    patterns: Option<Arc<Patterns>>,
}

/// What to look for, ready to be looked for.
pub(super) struct Patterns {
    automaton: AhoCorasick,
    forms: Vec<Vec<u8>>,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").field("forms", &self.0.read().unwrap_or_else(PoisonError::into_inner).forms.len()).finish()
    }
}

impl Redactor {
    /// Takes these values out from now on, too.
    pub fn learn<'a>(&self, values: impl IntoIterator<Item = &'a SecretValue>) {
        self.learn_text(values.into_iter().map(SecretValue::reveal));
    }

    pub(crate) fn learn_text<'a>(&self, values: impl IntoIterator<Item = &'a str>) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let before = known.forms.len();
        for value in values {
            // One whose forms are there, as its first is, was learnt before.
            let forms = forms_of(value);
            known.forms.extend(forms);
        }
        if known.forms.len() == before {
            return;
        }
        let forms: Vec<_> = known.forms.iter().cloned().collect();
        let built = AhoCorasick::builder().match_kind(MatchKind::Standard).build(&forms);
        match built {
            Ok(automaton) => known.patterns = Some(Arc::new(Patterns { automaton, forms })),
            // More patterns than can be numbered: 2^31 bytes of secrets in one run.
            Err(error) => tracing::error!(%error, "the values of secrets could not be learnt"),
        }
    }

    /// Whether it knows nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.patterns().is_none()
    }

    pub(super) fn patterns(&self) -> Option<Arc<Patterns>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).patterns.clone()
    }

    /// The text without the values.
    #[must_use]
    pub fn redact(&self, text: String) -> String {
        let Some(patterns) = self.patterns() else { return text };
        let covered = patterns.covered(text.as_bytes());
        if covered.is_empty() {
            return text;
        }
        let mut clean = Vec::with_capacity(text.len());
        let mut from = 0;
        for (start, end) in covered {
            clean.extend(&text.as_bytes()[from..start]);
            clean.extend(MASK.as_bytes());
            from = end;
        }
        clean.extend(&text.as_bytes()[from..]);
        utf8(clean)
    }

    /// The value with the values of secrets taken out of its strings, numbers and field names.
    #[must_use]
    pub fn redact_value(&self, value: Value) -> Value {
        if self.is_empty() {
            return value;
        }
        match value {
            Value::String(text) => Value::String(self.redact(text)),
            Value::Number(number) => {
                let text = number.to_string();
                let clean = self.redact(text.clone());
                if clean == text { Value::Number(number) } else { Value::String(clean) }
            }
            Value::Array(items) => items.into_iter().map(|item| self.redact_value(item)).collect(),
            Value::Object(fields) => {
                let clean = fields.into_iter().map(|(name, inner)| (self.redact(name), self.redact_value(inner)));
                Value::Object(clean.collect::<Map<_, _>>())
            }
            other => other,
        }
    }
}

impl Patterns {
    /// The places that belong to some value, in order, none touching another.
    pub(super) fn covered(&self, text: &[u8]) -> Vec<(usize, usize)> {
        let mut found: Vec<_> = self.automaton.find_overlapping_iter(text).map(|found| (found.start(), found.end())).collect();
        found.sort_unstable();
        let mut covered: Vec<(usize, usize)> = Vec::new();
        for (start, end) in found {
            match covered.last_mut() {
                Some((_, last)) if start <= *last => *last = end.max(*last),
                _ => covered.push((start, end)),
            }
        }
        covered
    }

    /// Where the longest end of the text begins with which a value may begin.
    pub(super) fn undecided(&self, text: &[u8]) -> usize {
        let longest = self.forms.iter().map(|form| {
            let most = form.len().saturating_sub(1).min(text.len());
            (1..=most).rev().find(|length| text.ends_with(&form[..*length])).unwrap_or(0)
        });
        text.len() - longest.max().unwrap_or(0)
    }
}

/// A value may be cut out of text between the bytes of a character only where it held those bytes itself.
pub(super) fn utf8(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use data_encoding::{BASE64, BASE64URL};
    use serde_json::json;

    use super::*;

    fn knowing(values: &[&str]) -> Redactor {
        let redactor = Redactor::default();
        redactor.learn(&values.iter().map(|value| SecretValue::new(*value).unwrap()).collect::<Vec<_>>());
        redactor
    }

    #[test]
    fn every_form_is_taken_out() {
        let value = "p\u{e4}ss \"w\u{f6}rd\"/?&+";
        let redactor = knowing(&[value]);
        let ascii = "p\\u00e4ss \\\"w\\u00f6rd\\\"/?&+";
        let percent = "p%C3%A4ss%20%22w%C3%B6rd%22%2F%3F%26%2B";
        for form in [
            value.to_owned(),
            serde_json::to_string(value).unwrap().trim_matches('"').trim_end_matches('\\').to_owned(),
            ascii.to_owned(),
            percent.to_owned(),
            percent.to_lowercase(),
            percent.replace("%20", "+"),
            BASE64.encode(value.as_bytes()),
            BASE64URL.encode(value.as_bytes()),
            data_encoding::HEXLOWER.encode(value.as_bytes()),
        ] {
            assert_eq!(redactor.redact(format!("a {form} b")), "a *** b", "{form}");
        }
        for before in ["", "u", "us", "use", "user"] {
            let encoded = BASE64.encode(format!("{before}:{value}:rest").as_bytes());
            let clean = redactor.redact(encoded.clone());
            assert!(clean.contains(MASK) && clean.len() < encoded.len() / 2, "{before}: {encoded} became {clean}");
        }
    }

    #[test]
    fn values_of_several_lines_are_found_line_by_line() {
        let redactor = knowing(&["-----BEGIN KEY-----\nMIIEvQIBADANBg\nshort\n-----END KEY-----\n"]);
        assert_eq!(redactor.redact("log: MIIEvQIBADANBg\r\n".to_owned()), "log: ***\r\n");
        assert_eq!(redactor.redact("short".to_owned()), "short");
    }

    #[test]
    fn values_that_overlap_leave_nothing() {
        let redactor = knowing(&["abcdef", "defghi", "abcdefXYZ"]);
        assert_eq!(redactor.redact("1abcdefghi2abcdefXYZ3".to_owned()), "1***2***3");
    }

    #[test]
    fn long_values_are_found_whole_and_in_pieces() {
        let value: String = (0..20_000).map(|n| char::from(b'a' + (n * n % 23) as u8)).collect();
        let redactor = knowing(&[&value]);
        assert_eq!(redactor.redact(format!("<{value}>")), "<***>");
        assert!(redactor.redact(value[3..1500].to_owned()).contains(MASK));
    }

    #[test]
    fn values_are_taken_out_of_json() {
        let redactor = knowing(&["hunter2", "1234567"]);
        let output = json!({ "a": ["xhunter2x", 1_234_567, true, null], "hunter2": 1.5 });
        assert_eq!(redactor.redact_value(output), json!({ "a": ["x***x", "***", true, null], "***": 1.5 }));
        assert!(!format!("{redactor:?}").contains("hunter2"));
    }
}
