//! Secrets: written by those who may, opened for steps that need them, and never read back.

use serde::Serialize;

use crate::{
    access::Permission,
    error::{Error, ErrorKind, Invalid, Result},
    id::{ProjectId, SecretId},
    model::{Deployment, NewSecret, Owner, Plan, PrincipalRef, Run, SealedSecret, Secret, SecretVersion, Settings},
    platform::{Acting, Eyrie, Resource},
    secret::{Keyring, Redactor, SECRET_KEY, SealedPlace, SecretRef, SecretUse, SecretValue},
    store::{Page, PageRequest},
};

/// A secret with what is known of its values.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SecretView {
    /// The secret.
    #[serde(flatten)]
    pub secret: Secret,
    /// Its values that are kept, oldest first.
    pub values: Vec<SecretVersion>,
}

impl Acting {
    /// Keeps a secret for a project, or for the operators.
    ///
    /// # Errors
    /// `AlreadyExists` when the owner has one of that name; `Unsupported` in a program without a keyring.
    pub async fn create_secret(&self, owner: Owner, new: NewSecret) -> Result<Secret> {
        self.require_owner(Permission::SecretCreate, owner, "secrets").await?;
        let (now, by) = (self.now(), PrincipalRef::from(&self.principal));
        let secret = Secret {
            id: SecretId::new(),
            project_id: owner.project(),
            name: new.name,
            value_version: 1,
            created_at: now,
            created_by: by.clone(),
            replaced_at: now,
            replaced_by: by,
            version: 1,
        };
        let sealed = self.sealed(&secret, &new.value)?;
        let audit = self.allowed(Permission::SecretCreate.as_str(), format!("secret {}", secret.id), secret.project_id);
        self.store().create_secret(&secret, &sealed, &audit).await?;
        Ok(secret)
    }

    /// The secret of that id, without its value.
    ///
    /// # Errors
    /// `NotFound`, also for what the principal may not know of.
    pub async fn secret(&self, id: SecretId) -> Result<SecretView> {
        let secret = self.secret_for(id, Permission::SecretRead).await?;
        let values = self.store().secret_values(id).await?.iter().map(SecretVersion::from).collect();
        Ok(SecretView { secret, values })
    }

    /// The secrets of a project, or the operators', in the order of their making.
    ///
    /// # Errors
    /// `NotFound` for a project that the principal may not read; `Denied` for who may not list them.
    pub async fn secrets(&self, owner: Owner, page: PageRequest) -> Result<Page<Secret>> {
        self.require_owner(Permission::SecretRead, owner, "secrets").await?;
        self.store().secrets(owner, page).await
    }

    /// Gives a secret that still has the version that was read another value. Plans made from now on take it; those that were made go
    /// on with the one that they name, which is kept as long as they are.
    ///
    /// # Errors
    /// `Conflict` when it has changed since.
    pub async fn replace_secret_value(&self, id: SecretId, version: u64, value: &SecretValue) -> Result<Secret> {
        let mut secret = self.secret_for(id, Permission::SecretUpdate).await?;
        secret.version = version;
        secret.value_version += 1;
        secret.replaced_at = self.now();
        secret.replaced_by = PrincipalRef::from(&self.principal);
        let sealed = self.sealed(&secret, value)?;
        let mut audit = self.allowed(Permission::SecretUpdate.as_str(), format!("secret {id}"), secret.project_id);
        audit.reason = format!("value {}", secret.value_version);
        self.store().replace_secret_value(&secret, &sealed, &audit).await?;
        secret.version += 1;
        Ok(secret)
    }

    /// Deletes a secret that nothing names, with all its values.
    ///
    /// # Errors
    /// `Conflict` while settings, a plan that is kept, a cluster or a datasource name it.
    pub async fn delete_secret(&self, id: SecretId) -> Result<()> {
        let secret = self.secret_for(id, Permission::SecretDelete).await?;
        let audit = self.allowed(Permission::SecretDelete.as_str(), format!("secret {id}"), secret.project_id);
        self.store().delete_secret(id, &audit).await
    }

    /// Lets through whoever has the permission on what the owner has.
    pub(super) async fn require_owner(&self, permission: Permission, owner: Owner, what: &str) -> Result<()> {
        match owner {
            Owner::Project(project) => self.require(permission, &Resource::project(project)).await,
            Owner::Operators => self.require_everywhere(permission, what).await,
        }
    }

    async fn secret_for(&self, id: SecretId, permission: Permission) -> Result<Secret> {
        let secret = self.store().secret(id).await?;
        match secret.project_id {
            Some(project) => self.require(permission, &Resource::inside("secret", id.uuid(), project)).await?,
            // Nobody else knows that there is one.
            None => self.require_everywhere_unseen(permission, "secret", &format!("secret {id}")).await?,
        }
        Ok(secret)
    }

    /// The value as the newest one of the secret.
    fn sealed(&self, secret: &Secret, value: &SecretValue) -> Result<SealedSecret> {
        let keyring = self.eyrie.keyring()?;
        // Another process may have given up the key that was the newest.
        keyring.refresh()?;
        let of = secret.newest();
        let value = keyring.seal(&SealedPlace::value(of.id, of.version), value)?;
        Ok(SealedSecret { of, value, created_at: secret.replaced_at, created_by: secret.replaced_by.clone() })
    }

    /// Refuses settings of something in a project that name a secret which the project does not have.
    pub(super) async fn check_secrets(&self, project: ProjectId, settings: &Settings) -> Result<()> {
        for id in settings.secrets() {
            self.own_secret(id, project, &settings_field(settings, id)).await?;
        }
        Ok(())
    }

    /// The plan with every secret pinned to the value that it has now, and what it names.
    pub(super) async fn pin_secrets(&self, deployment: &Deployment, plan: &Plan) -> Result<(Plan, Vec<SecretRef>)> {
        let mut named = Vec::new();
        let mut plan = plan.clone();
        plan.map_secrets(&mut |path, found| {
            named.push((path.to_owned(), found));
            Ok(None)
        })?;
        if named.is_empty() {
            return Ok((plan, Vec::new()));
        }
        let mut pinned = std::collections::BTreeMap::new();
        let mut refs = std::collections::BTreeSet::new();
        for (path, found) in named {
            let newest = match pinned.get(&found.id()) {
                Some(newest) => *newest,
                None => self.own_secret(found.id(), deployment.project_id, &path).await?.newest(),
            };
            pinned.insert(found.id(), newest);
            refs.insert(match found {
                SecretUse::Newest(_) => newest,
                SecretUse::Pinned(of) => of,
            });
        }
        plan.map_secrets(&mut |_, found| {
            Ok(match found {
                SecretUse::Newest(id) => pinned.get(&id).map(|newest| newest.to_value()),
                SecretUse::Pinned(_) => None,
            })
        })?;
        Ok((plan, refs.into_iter().collect()))
    }

    /// The secret, if the project has it. Another project's looks like none.
    async fn own_secret(&self, id: SecretId, project: ProjectId, field: &str) -> Result<Secret> {
        match self.store().secret(id).await {
            Ok(secret) if secret.project_id == Some(project) => Ok(secret),
            Err(error) if !error.is_not_found() => Err(error),
            _ => Err(Invalid::new(format!("{field}.{SECRET_KEY}"), "there is no such secret in the project").into()),
        }
    }
}

fn settings_field(settings: &Settings, id: SecretId) -> String {
    let names = |value: &serde_json::Value| {
        let mut found = Vec::new();
        crate::secret::find_refs(value, &mut found);
        found.iter().any(|one| one.id() == id)
    };
    settings.iter().find(|(_, value)| names(value)).map(|(key, _)| format!("settings.{key}")).unwrap_or_default()
}

impl Eyrie {
    pub(super) fn keyring(&self) -> Result<&dyn Keyring> {
        self.0.keyring.as_deref().ok_or_else(|| {
            Error::new(ErrorKind::Unsupported, "keyring", "this program has no keyring, and so can neither seal nor open secrets")
        })
    }

    /// What takes the run's secrets out of text that comes from outside.
    pub(super) async fn redactor_of(&self, run: &Run) -> Result<Redactor> {
        if let Some(redactor) = self.0.engine.redactor(run.id) {
            return Ok(redactor);
        }
        let redactor = Redactor::default();
        let mut plan = self.store().plan(run.plan_hash).await?;
        let mut named = Vec::new();
        plan.map_secrets(&mut |_, found| {
            if let SecretUse::Pinned(of) = found {
                named.push(of);
            }
            Ok(None)
        })?;
        if !named.is_empty() {
            redactor.learn(&self.open_secrets(run.project_id, &named).await?);
        }
        Ok(redactor)
    }

    /// Opens values for a run of the project. What the project does not have is not opened, whoever named it.
    pub(super) async fn open_secrets(&self, project: ProjectId, refs: &[SecretRef]) -> Result<Vec<SecretValue>> {
        let keyring = self.keyring()?;
        let mut values = Vec::with_capacity(refs.len());
        for of in refs {
            if self.store().secret(of.id).await?.project_id != Some(project) {
                return Err(Error::not_found("secret"));
            }
            let sealed = self.store().secret_value(*of).await?.value;
            let place = SealedPlace::value(of.id, of.version);
            values.push(match keyring.open(&place, &sealed) {
                // Another process may have added the key since.
                Err(error) if error.kind() == ErrorKind::Incompatible => {
                    keyring.refresh()?;
                    keyring.open(&place, &sealed)?
                }
                opened => opened?,
            });
        }
        Ok(values)
    }
}
