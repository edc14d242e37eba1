//! Secrets, as they are known without their values.

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    error::Invalid,
    id::{ProjectId, SecretId},
    model::{Owner, PrincipalRef},
    name::SecretName,
    secret::{KeyVersion, SealedValue, SecretRef, SecretValue},
};

/// A value that settings and plans name instead of holding it. The value is written, never read back.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Secret {
    /// The secret's id.
    pub id: SecretId,
    /// The project that has it; none: the operators do.
    pub project_id: Option<ProjectId>,
    /// Unique among those of its owner.
    pub name: SecretName,
    /// The version of its newest value, from 1.
    pub value_version: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: PrincipalRef,
    /// When its newest value was given.
    pub replaced_at: Timestamp,
    /// Who gave it.
    pub replaced_by: PrincipalRef,
    /// Grows at every change.
    pub version: u64,
}

impl Secret {
    /// Who has it.
    #[must_use]
    pub const fn owner(&self) -> Owner {
        Owner::of(self.project_id)
    }

    /// Its newest value.
    #[must_use]
    pub const fn newest(&self) -> SecretRef {
        SecretRef { id: self.id, version: self.value_version }
    }
}

/// One of a secret's values, sealed. Never serialized.
#[derive(Debug, Clone, PartialEq)]
pub struct SealedSecret {
    /// Which value of which secret.
    pub of: SecretRef,
    /// The value.
    pub value: SealedValue,
    /// When it was given.
    pub created_at: Timestamp,
    /// Who gave it.
    pub created_by: PrincipalRef,
}

/// What may be known of one of a secret's values.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SecretVersion {
    /// Which.
    pub version: u64,
    /// When it was given.
    pub created_at: Timestamp,
    /// Who gave it.
    pub created_by: PrincipalRef,
    /// The key that it is sealed by.
    pub key_version: KeyVersion,
}

impl From<&SealedSecret> for SecretVersion {
    fn from(sealed: &SealedSecret) -> Self {
        Self {
            version: sealed.of.version,
            created_at: sealed.created_at,
            created_by: sealed.created_by.clone(),
            key_version: sealed.value.key_version,
        }
    }
}

/// A key that values are sealed by, as a store knows it: not the key, but what tells whether a keyring holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct SealingKey {
    /// The key's version, and a known value that is sealed by it.
    pub check: SealedValue,
    /// When it was made known.
    pub created_at: Timestamp,
}

/// What a new secret needs.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewSecret {
    /// Unique among those of its owner.
    pub name: SecretName,
    /// Its first value.
    pub value: SecretValue,
}

impl NewSecret {
    /// A secret of that name and value.
    ///
    /// # Errors
    /// [`Invalid`] names the field that is not acceptable.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Result<Self, Invalid> {
        Ok(Self { name: SecretName::new(name)?, value: SecretValue::new(value)? })
    }
}
