//! How large and how deep a piece of JSON is.

use std::io;

use serde::Serialize;
use serde_json::Value;

use crate::error::Invalid;

/// The length of what is written, as JSON in bytes.
pub(super) fn json_len(value: &impl Serialize) -> usize {
    let mut length = Length(0);
    match serde_json::to_writer(&mut length, value) {
        Ok(()) => length.0,
        // What cannot be written as JSON is larger than anything that can.
        Err(_) => usize::MAX,
    }
}

struct Length(usize);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether the value has lists or objects within each other more than `depth` deep. Looks no deeper than that.
pub(super) fn is_deeper(value: &Value, depth: usize) -> bool {
    match value {
        Value::Array(values) => depth == 0 || values.iter().any(|value| is_deeper(value, depth - 1)),
        Value::Object(fields) => depth == 0 || fields.values().any(|value| is_deeper(value, depth - 1)),
        _ => false,
    }
}

/// Refuses a value that is nested too deep to be read back with what will stand around it, or too large.
pub(crate) fn check_json(value: &Value, depth: usize, most: usize, field: impl Fn() -> String) -> Result<(), Invalid> {
    if is_deeper(value, depth) {
        return Err(Invalid::new(field(), format!("is nested more than {depth} deep")));
    }
    match json_len(value) {
        len if len > most => Err(Invalid::new(field(), format!("is {len} bytes as JSON; at most {most} are accepted"))),
        _ => Ok(()),
    }
}
