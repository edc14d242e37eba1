//! Values at rest.

use std::fmt;

use crate::{
    id::SecretId,
    secret::{KeyVersion, SecretValue},
};

/// Where a sealed value stands: part of what is sealed, so that it opens nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedPlace(Place);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Value { secret: SecretId, version: u64 },
    Check,
}

impl SealedPlace {
    /// A version of a secret's value.
    #[must_use]
    pub const fn value(secret: SecretId, version: u64) -> Self {
        Self(Place::Value { secret, version })
    }

    /// The known value by which a store tells whether a keyring is the one that it was sealed by.
    #[must_use]
    pub const fn check() -> Self {
        Self(Place::Check)
    }

    /// What the sealed bytes are bound to beside their key.
    pub(super) fn bound_to(self, key: KeyVersion) -> String {
        match self.0 {
            Place::Value { secret, version } => format!("eyrie secret {secret} {version} key {key}"),
            Place::Check => format!("eyrie check key {key}"),
        }
    }
}

impl fmt::Display for SealedPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Place::Value { secret, version } => write!(f, "value {version} of secret {secret}"),
            Place::Check => f.write_str("keyring's check"),
        }
    }
}

/// A value as it is kept. The bytes tell nothing but its length.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedValue {
    /// The key that it is sealed by.
    pub key_version: KeyVersion,
    /// The sealed bytes.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for SealedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedValue").field("key_version", &self.key_version).finish_non_exhaustive()
    }
}

/// What every keyring's check says.
pub(crate) fn check_value() -> Result<SecretValue, crate::error::Invalid> {
    SecretValue::new("eyrie keyring check")
}
