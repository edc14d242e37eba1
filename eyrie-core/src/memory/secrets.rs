//! Secrets and the keys that they are sealed by.

use std::ops::Bound;

use async_trait::async_trait;

use super::{
    MemoryStore,
    state::{State, free, get, need, oldest_first, same_version, unused},
};
use crate::{
    error::{Error, ErrorKind, Result},
    id::SecretId,
    model::{AuditEntry, Owner, SealedSecret, SealingKey, Secret, Settings},
    secret::{KeyVersion, SealedValue, SecretRef},
    store::{KEPT_VALUES, Page, PageRequest, SealingKeyStore, SecretStore},
};

impl State {
    fn check_key(&self, value: &SealedSecret, operation: &'static str) -> Result<()> {
        let known = self.sealing_keys.contains_key(&value.value.key_version);
        unused(!known, operation, "the key that the value is sealed by is not known, or was retired")
    }

    fn plan_names(&self, of: SecretRef) -> bool {
        self.plan_secrets.values().any(|named| named.contains(&of))
    }

    fn settings_name(&self, id: SecretId) -> bool {
        let projects = self.projects.values().map(|one| &one.settings);
        let groups = self.groups.values().map(|one| &one.settings);
        let scopes = self.scopes.values().map(|one| &one.settings);
        let deployments = self.deployments.values().map(|one| &one.settings);
        let names = |settings: &Settings| settings.secrets().contains(&id);
        projects.chain(groups).chain(scopes).chain(deployments).any(names)
    }

    /// Refuses settings that name a secret which is not there.
    pub(super) fn check_settings(&self, settings: &Settings) -> Result<()> {
        settings.secrets().into_iter().try_for_each(|id| need(&self.secrets, id, "secret"))
    }

    fn values_of(&self, id: SecretId) -> impl Iterator<Item = &SealedSecret> {
        self.secret_values.range(SecretRef { id, version: 0 }..=SecretRef { id, version: u64::MAX }).map(|(_, value)| value)
    }
}

#[async_trait]
impl SecretStore for MemoryStore {
    async fn create_secret(&self, secret: &Secret, value: &SealedSecret, audit: &AuditEntry) -> Result<()> {
        const OPERATION: &str = "create secret";
        let mut state = self.state();
        free(state.secrets.keys(), OPERATION, "there is a secret of that id", |id| *id == secret.id)?;
        secret.project_id.map_or(Ok(()), |project| need(&state.projects, project, "project"))?;
        let others = state.secrets.values().filter(|other| other.project_id == secret.project_id);
        free(others, OPERATION, "there is a secret of that name", |other| other.name == secret.name)?;
        state.check_key(value, OPERATION)?;
        state.secrets.insert(secret.id, secret.clone());
        state.secret_values.insert(value.of, value.clone());
        state.note(audit);
        Ok(())
    }

    async fn secret(&self, id: SecretId) -> Result<Secret> {
        get(&self.state().secrets, id, "secret")
    }

    async fn secrets(&self, owner: Owner, page: PageRequest) -> Result<Page<Secret>> {
        let state = self.state();
        Ok(oldest_first(&state.secrets, &page, SecretId::from_uuid, |secret| secret.id.uuid(), |secret| secret.owner() == owner))
    }

    async fn replace_secret_value(&self, secret: &Secret, value: &SealedSecret, audit: &AuditEntry) -> Result<()> {
        const OPERATION: &str = "replace secret value";
        let mut state = self.state();
        let stored = get(&state.secrets, secret.id, "secret")?;
        same_version(stored.version, secret.version, OPERATION)?;
        state.check_key(value, OPERATION)?;
        free(state.secret_values.keys(), OPERATION, "there is a value of that version", |of| *of == value.of)?;
        let last_dropped = secret.value_version.saturating_sub(KEPT_VALUES);
        let old = state.values_of(secret.id).map(|value| value.of).filter(|of| of.version <= last_dropped);
        let dropped: Vec<_> = old.filter(|of| !state.plan_names(*of)).collect();
        for of in dropped {
            state.secret_values.remove(&of);
        }
        state.secret_values.insert(value.of, value.clone());
        state.secrets.insert(secret.id, Secret { version: secret.version + 1, ..secret.clone() });
        state.note(audit);
        Ok(())
    }

    async fn delete_secret(&self, id: SecretId, audit: &AuditEntry) -> Result<()> {
        let mut state = self.state();
        need(&state.secrets, id, "secret")?;
        let in_plan = state.values_of(id).any(|value| state.plan_names(value.of));
        let holds = |credentials: Option<SecretId>| credentials == Some(id);
        let is_credentials = state.clusters.values().any(|cluster| holds(cluster.credentials_secret_id))
            || state.datasources.values().any(|datasource| holds(datasource.credentials_secret_id))
            || state.repositories.values().any(|repository| holds(repository.credentials_secret_id));
        unused(in_plan || is_credentials || state.settings_name(id), "delete secret", "something still names the secret")?;
        state.secrets.remove(&id);
        state.secret_values.retain(|of, _| of.id != id);
        state.note(audit);
        Ok(())
    }

    async fn secret_values(&self, id: SecretId) -> Result<Vec<SealedSecret>> {
        Ok(self.state().values_of(id).cloned().collect())
    }

    async fn secret_value(&self, of: SecretRef) -> Result<SealedSecret> {
        get(&self.state().secret_values, of, "secret value")
    }
}

#[async_trait]
impl SealingKeyStore for MemoryStore {
    async fn sealing_keys(&self) -> Result<Vec<(SealingKey, u64)>> {
        let state = self.state();
        let sealed_by = |version| state.secret_values.values().filter(|value| value.value.key_version == version).count() as u64;
        Ok(state.sealing_keys.iter().map(|(version, key)| (key.clone(), sealed_by(*version))).collect())
    }

    async fn keep_sealing_key(&self, key: &SealingKey, audit: &AuditEntry) -> Result<()> {
        let mut state = self.state();
        let version = key.check.key_version;
        free(state.sealing_keys.keys(), "keep sealing key", "a key of that version is known", |known| *known == version)?;
        state.sealing_keys.insert(version, key.clone());
        state.note(audit);
        Ok(())
    }

    async fn retire_sealing_key(&self, version: KeyVersion, audit: &AuditEntry) -> Result<()> {
        let mut state = self.state();
        need(&state.sealing_keys, version, "sealing key")?;
        let is_used = state.secret_values.values().any(|value| value.value.key_version == version);
        unused(is_used, "retire sealing key", "values are still sealed by the key")?;
        state.sealing_keys.remove(&version);
        state.note(audit);
        Ok(())
    }

    async fn sealed_by_others(&self, newest: KeyVersion, after: Option<SecretRef>, limit: u32) -> Result<Vec<SealedSecret>> {
        let state = self.state();
        let behind = state.secret_values.range((after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded));
        let others = behind.map(|(_, value)| value).filter(|value| value.value.key_version != newest);
        Ok(others.take(limit as usize).cloned().collect())
    }

    async fn reseal(&self, pairs: &[(SealedSecret, SealedValue)]) -> Result<u64> {
        const OPERATION: &str = "reseal";
        let mut state = self.state();
        if pairs.iter().any(|(_, to)| !state.sealing_keys.contains_key(&to.key_version)) {
            return Err(Error::new(ErrorKind::Conflict, OPERATION, "the key that the value is sealed by is not known, or was retired"));
        }
        let mut done = 0;
        for (from, to) in pairs {
            if let Some(kept) = state.secret_values.get_mut(&from.of).filter(|kept| kept.value == from.value) {
                kept.value = to.clone();
                done += 1;
            }
        }
        Ok(done)
    }
}
