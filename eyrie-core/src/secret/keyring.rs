//! The port to whatever holds the keys, and a keyring in memory.

use std::{
    fmt::Debug,
    sync::{PoisonError, RwLock},
};

use crate::{
    error::Result,
    secret::{KeyInfo, KeyVersion, SealedPlace, SealedValue, SecretValue, key::KeySet},
};

/// Holds the keys, by version, and seals and opens with them. Calls are short and may block for as long as a small file is written.
pub trait Keyring: Debug + Send + Sync + 'static {
    /// Its keys, oldest first; the last one is what new values are sealed with. Never empty.
    fn keys(&self) -> Vec<KeyInfo>;

    /// Seals a value for its place with the newest key.
    ///
    /// # Errors
    /// `Unavailable` when the system gives no randomness.
    fn seal(&self, place: &SealedPlace, value: &SecretValue) -> Result<SealedValue>;

    /// Opens what was sealed for that place.
    ///
    /// # Errors
    /// `Incompatible` names the key version that is missing; `Corrupt` for what was changed, moved, or sealed by another keyring.
    fn open(&self, place: &SealedPlace, sealed: &SealedValue) -> Result<SecretValue>;

    /// Adds a new key, which is the newest from then on. Durable when it returns.
    ///
    /// # Errors
    /// `Unavailable` or `StorageFull` when it cannot be kept; nothing has changed then.
    fn add_key(&self) -> Result<KeyVersion>;

    /// Drops a key for good; one that is not there counts as dropped. Durable when it returns.
    ///
    /// # Errors
    /// `Conflict` for the newest key; as for [`add_key`](Self::add_key) otherwise.
    fn drop_key(&self, version: KeyVersion) -> Result<()>;

    /// Looks again for keys that another process has added or dropped.
    ///
    /// # Errors
    /// When the keys cannot be read; those that were known stay.
    fn refresh(&self) -> Result<()> {
        Ok(())
    }
}

/// A keyring that ends with the process: for tests, and for programs whose store does, too.
#[derive(Debug)]
pub struct MemoryKeyring(RwLock<KeySet>);

impl MemoryKeyring {
    /// A keyring with one new key.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn generate() -> Result<Self> {
        Ok(Self(RwLock::new(KeySet::generate()?)))
    }

    fn set(&self) -> std::sync::RwLockReadGuard<'_, KeySet> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_mut(&self) -> std::sync::RwLockWriteGuard<'_, KeySet> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keyring for MemoryKeyring {
    fn keys(&self) -> Vec<KeyInfo> {
        self.set().info()
    }

    fn seal(&self, place: &SealedPlace, value: &SecretValue) -> Result<SealedValue> {
        self.set().seal(place, value)
    }

    fn open(&self, place: &SealedPlace, sealed: &SealedValue) -> Result<SecretValue> {
        self.set().open(place, sealed)
    }

    fn add_key(&self) -> Result<KeyVersion> {
        self.set_mut().add()
    }

    fn drop_key(&self, version: KeyVersion) -> Result<()> {
        self.set_mut().remove(version)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{error::ErrorKind, id::SecretId};

    #[test]
    fn a_value_opens_in_its_place_with_its_key_and_unchanged_only() {
        let (keyring, other) = (MemoryKeyring::generate().unwrap(), MemoryKeyring::generate().unwrap());
        let (id, value) = (SecretId::new(), SecretValue::new("correct horse").unwrap());
        let place = SealedPlace::value(id, 1);
        let sealed = keyring.seal(&place, &value).unwrap();
        assert!(!sealed.bytes.windows(7).any(|piece| piece == b"correct"));
        assert_ne!(keyring.seal(&place, &value).unwrap(), sealed, "no two sealings are the same");
        assert_eq!(keyring.open(&place, &sealed).unwrap(), value);
        let kind = |keyring: &MemoryKeyring, place: SealedPlace, sealed: &SealedValue| keyring.open(&place, sealed).unwrap_err().kind();
        for place in [SealedPlace::value(id, 2), SealedPlace::value(SecretId::new(), 1), SealedPlace::check()] {
            assert_eq!(kind(&keyring, place, &sealed), ErrorKind::Corrupt);
        }
        assert_eq!(kind(&other, place, &sealed), ErrorKind::Corrupt);
        for at in 0..sealed.bytes.len() {
            let mut spoilt = sealed.clone();
            spoilt.bytes[at] ^= 1;
            assert!(keyring.open(&place, &spoilt).is_err(), "byte {at}");
            spoilt.bytes.truncate(at);
            assert!(keyring.open(&place, &spoilt).is_err(), "cut to {at}");
        }
        let elsewhere = SealedValue { key_version: KeyVersion::new(7), ..sealed };
        let refusal = keyring.open(&place, &elsewhere).unwrap_err();
        assert_eq!(refusal.kind(), ErrorKind::Incompatible);
        assert!(refusal.to_string().contains("key version 7"), "{refusal}");
    }

    #[test]
    fn keys_come_and_go() {
        let keyring = MemoryKeyring::generate().unwrap();
        let (place, value) = (SealedPlace::check(), SecretValue::new("correct horse").unwrap());
        let old = keyring.seal(&place, &value).unwrap();
        assert_eq!(keyring.drop_key(KeyVersion::FIRST).unwrap_err().kind(), ErrorKind::Conflict, "the newest stays");
        assert_eq!(keyring.add_key().unwrap(), KeyVersion::new(2));
        assert_eq!(keyring.seal(&place, &value).unwrap().key_version, KeyVersion::new(2));
        assert_eq!(keyring.open(&place, &old).unwrap(), value);
        keyring.drop_key(KeyVersion::FIRST).unwrap();
        keyring.drop_key(KeyVersion::FIRST).unwrap();
        assert_eq!(keyring.open(&place, &old).unwrap_err().kind(), ErrorKind::Incompatible);
        assert_eq!(keyring.keys().iter().map(|key| key.version.number()).collect::<Vec<_>>(), [2]);
        assert!(!format!("{keyring:?}").contains("bytes"));
    }
}
