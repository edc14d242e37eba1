//! The keyring: whether it is the right one, and how its keys are changed.
//!
//! A new key comes into the keyring first and then into the store: sealing by a key that the store does not know is refused. A key that
//! is given up goes out of the store first, in a transaction that is refused while a value needs it and after which nothing can be
//! sealed by it, and then out of the keyring. Whatever is interrupted in between is gone on with when it is asked for again.

use std::sync::Arc;

use serde::Serialize;

use crate::{
    access::Permission,
    clock::Timestamp,
    error::{Error, ErrorKind, Result, report},
    id::AuditId,
    model::{AuditEntry, Principal, PrincipalRef, SealingKey, Verdict},
    platform::{Acting, Eyrie},
    secret::{KeyVersion, Keyring, SealedPlace, check_value},
    store::Store,
};

/// How many values are sealed anew in one transaction.
const BATCH: u32 = 100;

/// A key of the keyring, and what it is needed for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyStatus {
    /// The key.
    pub version: KeyVersion,
    /// When it was made.
    pub created_at: Timestamp,
    /// How many values are sealed by it.
    pub values: u64,
    /// Whether new values are sealed by it.
    pub newest: bool,
}

impl Acting {
    /// The keys, oldest first.
    ///
    /// # Errors
    /// `Denied` for whoever is no operator.
    pub async fn keyring_status(&self) -> Result<Vec<KeyStatus>> {
        self.require_everywhere(Permission::KeyringManage, "keyring").await?;
        let keyring = self.eyrie.keyring()?;
        keyring.refresh()?;
        let (keys, sealed) = (keyring.keys(), self.store().sealing_keys().await?);
        let newest = keys.last().map(|key| key.version);
        let values = |version| sealed.iter().find(|(key, _)| key.check.key_version == version).map_or(0, |(_, values)| *values);
        let status = keys.iter().map(|key| KeyStatus {
            version: key.version,
            created_at: key.created_at,
            values: values(key.version),
            newest: Some(key.version) == newest,
        });
        Ok(status.collect())
    }

    /// Adds a key, by which everything is sealed from now on. Values that are sealed by older ones are sealed anew in the background,
    /// or by [`reseal_secrets`](Self::reseal_secrets).
    ///
    /// # Errors
    /// `Denied` for whoever is no operator. A rotation that was interrupted goes on when this is called again.
    pub async fn rotate_keyring(&self) -> Result<KeyVersion> {
        self.require_everywhere(Permission::KeyringManage, "keyring").await?;
        let keyring = self.eyrie.keyring()?;
        keyring.refresh()?;
        let known = self.store().sealing_keys().await?;
        let newest = newest(keyring)?;
        // One that the store does not know yet was added by a rotation that did not come to its end.
        let version = match known.iter().any(|(key, _)| key.check.key_version == newest) {
            true => keyring.add_key()?,
            false => newest,
        };
        let mut audit = self.allowed(Permission::KeyringManage.as_str(), "keyring", None);
        audit.reason = format!("key version {version} added");
        make_known(self.store(), keyring, self.now(), &audit).await?;
        self.eyrie.reseal_in_background();
        Ok(version)
    }

    /// Seals anew, by the newest key, whatever is sealed by another. Says how many values that were.
    ///
    /// # Errors
    /// `Denied` for whoever is no operator; `Corrupt` when a value cannot be opened: all others were sealed anew.
    pub async fn reseal_secrets(&self) -> Result<u64> {
        self.require_everywhere(Permission::KeyringManage, "keyring").await?;
        self.eyrie.reseal().await
    }

    /// Gives up a key for good.
    ///
    /// # Errors
    /// `Conflict` for the newest key, and while values are sealed by it; `NotFound` when there is none of that version; `Denied` for
    /// whoever is no operator.
    pub async fn retire_key(&self, version: KeyVersion) -> Result<()> {
        self.require_everywhere(Permission::KeyringManage, "keyring").await?;
        let keyring = self.eyrie.keyring()?;
        keyring.refresh()?;
        if newest(keyring)? == version {
            let message = format!("key version {version} is the one that new values are sealed by; rotate first");
            return Err(Error::new(ErrorKind::Conflict, "retire key", message));
        }
        let mut audit = self.allowed(Permission::KeyringManage.as_str(), "keyring", None);
        audit.reason = format!("key version {version} retired");
        match self.store().retire_sealing_key(version, &audit).await {
            // It went out of the store before, and not yet out of the keyring.
            Err(error) if error.is_not_found() && keyring.keys().iter().any(|key| key.version == version) => {}
            done => done?,
        }
        keyring.drop_key(version)
    }
}

impl Eyrie {
    /// Seals everything anew that needs it, beside whatever else is done. What is interrupted goes on at the next start.
    pub(super) fn reseal_in_background(&self) {
        let platform = Arc::downgrade(&self.0);
        tokio::spawn(async move {
            let Some(eyrie) = platform.upgrade().map(Eyrie) else { return };
            match eyrie.reseal().await {
                Ok(0) => {}
                Ok(values) => tracing::info!(values, "secrets were sealed by the newest key"),
                Err(error) => tracing::error!(error = %report(&error), "secrets could not be sealed by the newest key"),
            }
        });
    }

    async fn reseal(&self) -> Result<u64> {
        let keyring = self.keyring()?;
        keyring.refresh()?;
        let newest = newest(keyring)?;
        let (mut after, mut done, mut failed) = (None, 0, None);
        loop {
            let old = self.store().sealed_by_others(newest, after, BATCH).await?;
            let Some(last) = old.last().map(|sealed| sealed.of) else { break };
            let mut pairs = Vec::with_capacity(old.len());
            for sealed in old {
                let place = SealedPlace::value(sealed.of.id, sealed.of.version);
                match keyring.open(&place, &sealed.value).and_then(|value| keyring.seal(&place, &value)) {
                    Ok(anew) => pairs.push((sealed, anew)),
                    Err(error) => {
                        tracing::error!(error = %report(&error), "a secret cannot be sealed anew");
                        failed = Some(error);
                    }
                }
            }
            done += self.store().reseal(&pairs).await?;
            after = Some(last);
        }
        failed.map_or(Ok(done), Err)
    }
}

fn newest(keyring: &dyn Keyring) -> Result<KeyVersion> {
    let none = || Error::new(ErrorKind::Internal, "keyring", "the keyring is empty");
    keyring.keys().last().map(|key| key.version).ok_or_else(none)
}

/// Has the store know the newest key of the keyring.
async fn make_known(store: &dyn Store, keyring: &dyn Keyring, now: Timestamp, audit: &AuditEntry) -> Result<()> {
    let check = keyring.seal(&SealedPlace::check(), &check_value()?)?;
    match store.keep_sealing_key(&SealingKey { check, created_at: now }, audit).await {
        // Another process was faster: whether by the same key, is found out by opening its check.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        done => done,
    }
}

/// Refuses a keyring that is not the one that the store's values are sealed by. Changes nothing but to make its newest key known.
pub(super) async fn unlock(store: &dyn Store, keyring: &dyn Keyring, now: Timestamp) -> Result<()> {
    let known = store.sealing_keys().await?;
    check(&known, keyring)?;
    let newest = newest(keyring)?;
    if known.iter().all(|(key, _)| key.check.key_version != newest) {
        let audit = AuditEntry {
            id: AuditId::new(),
            at: now,
            principal: PrincipalRef::from(&Principal::System { cause: "start".to_owned() }),
            token_id: None,
            origin: None,
            request_id: None,
            action: Permission::KeyringManage.as_str().to_owned(),
            resource: "keyring".to_owned(),
            project_id: None,
            verdict: Verdict::Allowed,
            reason: format!("key version {newest} made known"),
            count: 1,
        };
        make_known(store, keyring, now, &audit).await?;
        check(&store.sealing_keys().await?, keyring)?;
    }
    Ok(())
}

fn check(known: &[(SealingKey, u64)], keyring: &dyn Keyring) -> Result<()> {
    for (key, values) in known {
        let version = key.check.key_version;
        if keyring.open(&SealedPlace::check(), &key.check).is_err() {
            let held = keyring.keys().iter().any(|key| key.version == version);
            let what = if held { "holds another key of that version" } else { "does not hold it" };
            let message = format!("the store needs key version {version} ({values} values are sealed by it), and the keyring {what}");
            return Err(Error::new(ErrorKind::Incompatible, "open keyring", message));
        }
    }
    Ok(())
}

/// Opens the key file; makes one only when the store holds nothing sealed.
#[cfg(feature = "key-file")]
pub(super) async fn open_key_file(store: &dyn Store, path: &std::path::Path) -> Result<crate::secret::KeyFile> {
    use crate::secret::KeyFile;

    let needed: Vec<_> = store.sealing_keys().await?.iter().map(|(key, _)| key.check.key_version.to_string()).collect();
    if needed.is_empty() {
        match KeyFile::open(path) {
            Err(error) if error.is_not_found() => {}
            opened => return opened,
        }
        return match KeyFile::create(path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => KeyFile::open(path),
            made => made,
        };
    }
    KeyFile::open(path).map_err(|error| {
        let message = format!("{error}; the store needs key version {}", needed.join(", "));
        Error::new(error.kind(), "open keyring", message).with_source(error)
    })
}
