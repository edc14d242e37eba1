//! Keys, and the set of them that a keyring holds.

use std::{collections::BTreeMap, fmt, str::FromStr};

use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305,
    aead::{Aead, Payload},
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    clock::Timestamp,
    error::{Error, ErrorKind, Invalid, Result},
    random,
    secret::{SealedPlace, SealedValue, SecretValue},
};

/// A key's length, in bytes.
pub(super) const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
/// What sealed bytes begin with: the way they were sealed in.
const FORM: u8 = 1;

/// Which key of a keyring. The first is 1; none is ever given again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyVersion(u32);

impl KeyVersion {
    /// The first key of a keyring.
    pub const FIRST: Self = Self(1);

    /// The version of that number.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for KeyVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for KeyVersion {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let number = text.parse().ok().filter(|number| *number > 0);
        number.map(Self).ok_or_else(|| Invalid::new("key_version", "must be a whole number from 1"))
    }
}

/// What may be known of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct KeyInfo {
    /// Its version.
    pub version: KeyVersion,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A key with its time.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) bytes: Zeroizing<[u8; KEY_BYTES]>,
    pub(super) created_at: Timestamp,
}

impl Key {
    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.bytes).into())
    }
}

/// The keys of a keyring; the newest is what new values are sealed with.
#[derive(Clone)]
pub(super) struct KeySet(pub(super) BTreeMap<KeyVersion, Key>);

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

impl KeySet {
    /// One new key.
    pub(super) fn generate() -> Result<Self> {
        let mut set = Self(BTreeMap::new());
        set.add()?;
        Ok(set)
    }

    pub(super) fn info(&self) -> Vec<KeyInfo> {
        self.0.iter().map(|(version, key)| KeyInfo { version: *version, created_at: key.created_at }).collect()
    }

    /// Adds a new key, which is the newest from now on.
    pub(super) fn add(&mut self) -> Result<KeyVersion> {
        let version = self.0.last_key_value().map_or(Some(1), |(newest, _)| newest.number().checked_add(1));
        let version = version.map(KeyVersion::new).ok_or_else(|| failed(ErrorKind::LimitExceeded, "there are no more key versions"))?;
        let mut bytes = Zeroizing::new([0_u8; KEY_BYTES]);
        random::fill(&mut *bytes)?;
        self.0.insert(version, Key { bytes, created_at: Timestamp::now() });
        Ok(version)
    }

    /// Drops a key; one that is not there is dropped already.
    pub(super) fn remove(&mut self, version: KeyVersion) -> Result<()> {
        if self.0.last_key_value().is_some_and(|(newest, _)| *newest == version) {
            return Err(failed(
                ErrorKind::Conflict,
                format!("key version {version} is the one that new values are sealed with; rotate first"),
            ));
        }
        self.0.remove(&version);
        Ok(())
    }

    /// Seals with the newest key.
    pub(super) fn seal(&self, place: &SealedPlace, value: &SecretValue) -> Result<SealedValue> {
        let (version, key) = self.0.last_key_value().ok_or_else(|| failed(ErrorKind::Internal, "the keyring is empty"))?;
        let mut nonce = [0_u8; NONCE_BYTES];
        random::fill(&mut nonce)?;
        let aad = place.bound_to(*version);
        let payload = Payload { msg: value.reveal().as_bytes(), aad: aad.as_bytes() };
        let sealed =
            key.cipher().encrypt((&nonce).into(), payload).map_err(|_| failed(ErrorKind::Internal, "a value could not be sealed"))?;
        let mut bytes = Vec::with_capacity(1 + NONCE_BYTES + sealed.len());
        bytes.push(FORM);
        bytes.extend(nonce);
        bytes.extend(sealed);
        Ok(SealedValue { key_version: *version, bytes })
    }

    /// Opens what was sealed in that place.
    pub(super) fn open(&self, place: &SealedPlace, sealed: &SealedValue) -> Result<SecretValue> {
        let version = sealed.key_version;
        let key = self.0.get(&version).ok_or_else(|| {
            failed(ErrorKind::Incompatible, format!("the {place} is sealed by key version {version}, which the keyring does not hold"))
        })?;
        let corrupt = || {
            let message = format!(
                "the {place} does not open with key version {version}: it was changed, stands in another place than it was sealed for, or \
                 the keyring is not the one that it was sealed by"
            );
            failed(ErrorKind::Corrupt, message)
        };
        let (form, rest) = sealed.bytes.split_first().ok_or_else(corrupt)?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_BYTES>().ok_or_else(corrupt)?;
        if *form != FORM {
            return Err(failed(ErrorKind::Incompatible, format!("the {place} was sealed by a newer program")));
        }
        let aad = place.bound_to(version);
        let opened = key.cipher().decrypt(nonce.into(), Payload { msg: sealed, aad: aad.as_bytes() }).map_err(|_| corrupt())?;
        let text = String::from_utf8(opened).map_err(|_| corrupt())?;
        SecretValue::new(text).map_err(|_| corrupt())
    }
}

pub(super) fn failed(kind: ErrorKind, message: impl Into<String>) -> Error {
    Error::new(kind, "keyring", message)
}
