//! The value of a secret while it is in memory.

use std::fmt;

use serde::{Deserialize, Deserializer, de::Error as _};
use zeroize::Zeroizing;

use crate::error::Invalid;

/// The shortest value, in bytes: a shorter one stands in too much other text to be taken out of it.
pub const MIN_SECRET: usize = 6;
/// The longest value, in bytes.
pub const MAX_SECRET: usize = 64 * 1024;

/// A secret's value. `Debug` does not show it, and its memory is overwritten when it goes.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretValue(Zeroizing<String>);

impl SecretValue {
    /// Takes text as a secret.
    ///
    /// # Errors
    /// [`Invalid`] unless it is [`MIN_SECRET`] to [`MAX_SECRET`] bytes long. The refusal says nothing of the text but its length.
    pub fn new(text: impl Into<String>) -> Result<Self, Invalid> {
        let text = Zeroizing::new(text.into());
        if (MIN_SECRET..=MAX_SECRET).contains(&text.len()) {
            return Ok(Self(text));
        }
        Err(Invalid::new("value", format!("is {} bytes long; {MIN_SECRET} to {MAX_SECRET} are accepted", text.len())))
    }

    /// The value itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretValue(…)")
    }
}

impl<'de> Deserialize<'de> for SecretValue {
    /// Refuses without naming what it was given.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) => Self::new(text).map_err(|invalid| D::Error::custom(invalid.reason())),
            _ => Err(D::Error::custom("must be a string")),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn values_are_bounded_and_never_shown() {
        assert!(SecretValue::new("12345").unwrap_err().reason().starts_with("is 5 bytes"));
        assert!(SecretValue::new("x".repeat(MAX_SECRET + 1)).is_err());
        let value = SecretValue::new("hunter").unwrap();
        assert_eq!((value.reveal(), format!("{value:?}").as_str()), ("hunter", "SecretValue(…)"));
        for bad in ["123456789", "{\"hunter2hunter2\": 1}", "\"short\"", "null"] {
            let refusal = serde_json::from_str::<SecretValue>(bad).unwrap_err().to_string();
            assert!(!refusal.contains("hunter") && !refusal.contains("12345") && !refusal.contains("short"), "{refusal}");
        }
    }
}
