//! Secrets, sealed, and the keys that they are sealed by.

use async_trait::async_trait;

use crate::{
    error::Result,
    id::SecretId,
    model::{AuditEntry, Owner, SealedSecret, SealingKey, Secret},
    secret::{KeyVersion, SealedValue, SecretRef},
    store::{Page, PageRequest},
};

/// How many of a secret's newest values are kept in any case. Older ones are kept while a plan names them, and go when the value is
/// replaced the next time after that.
pub const KEPT_VALUES: u64 = 3;

/// Keeps secrets. What a value is sealed by must be a key that the store knows: else it is refused as `Conflict`.
#[async_trait]
pub trait SecretStore {
    /// Keeps a new secret with its first value; its name must be free among those of its owner.
    async fn create_secret(&self, secret: &Secret, value: &SealedSecret, audit: &AuditEntry) -> Result<()>;
    /// The secret of that id.
    async fn secret(&self, id: SecretId) -> Result<Secret>;
    /// The owner's secrets in the order of their making.
    async fn secrets(&self, owner: Owner, page: PageRequest) -> Result<Page<Secret>>;
    /// Adds a value to the secret whose stored version is `secret.version`, and drops those that are no longer kept; the stored
    /// version then is one more.
    async fn replace_secret_value(&self, secret: &Secret, value: &SealedSecret, audit: &AuditEntry) -> Result<()>;
    /// Deletes the secret with all its values. `Conflict` while settings, a kept plan, a cluster or a datasource name it.
    async fn delete_secret(&self, id: SecretId, audit: &AuditEntry) -> Result<()>;
    /// The values of the secret that are kept, oldest first; none for one that does not exist.
    async fn secret_values(&self, id: SecretId) -> Result<Vec<SealedSecret>>;
    /// One of the values.
    async fn secret_value(&self, of: SecretRef) -> Result<SealedSecret>;
}

/// Keeps which keys values are sealed by, and sees to it that none is given up while a value needs it.
#[async_trait]
pub trait SealingKeyStore {
    /// The keys, oldest first, each with how many values are sealed by it.
    async fn sealing_keys(&self) -> Result<Vec<(SealingKey, u64)>>;
    /// Makes a key known. `AlreadyExists` when one of that version is.
    async fn keep_sealing_key(&self, key: &SealingKey, audit: &AuditEntry) -> Result<()>;
    /// Gives a key up: nothing can be sealed by it from then on. `Conflict` while a value is.
    async fn retire_sealing_key(&self, version: KeyVersion, audit: &AuditEntry) -> Result<()>;
    /// Values that are sealed by another key than the newest, in the order of their secrets and versions, behind `after`.
    async fn sealed_by_others(&self, newest: KeyVersion, after: Option<SecretRef>, limit: u32) -> Result<Vec<SealedSecret>>;
    /// Puts newly sealed bytes in the place of those of `from`, of each pair whose bytes are as they were read; the others stay. Says
    /// how many that were. Nothing of what is known changes, so no entry is kept.
    async fn reseal(&self, pairs: &[(SealedSecret, SealedValue)]) -> Result<u64>;
}
