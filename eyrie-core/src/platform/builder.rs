//! Putting a platform together.

use std::{collections::BTreeMap, sync::Arc};

#[cfg(feature = "process")]
use crate::deployment_type::service::{SCRIPT_ACTION, ScriptAction, ScriptOptions, ServiceType, ServicesRoot};
use crate::{
    access::PasswordHasher,
    clock::{Clock, SystemClock, Timestamp},
    deployment_type::{DeploymentType, SettingsSchema},
    engine::{Action, Engine, EngineOptions, Registry, WorkerOptions},
    error::{Invalid, Result},
    name::GroupType,
    platform::{Eyrie, Platform, host::PlatformHost, keyring},
    secret::Keyring,
    store::Store,
};

/// Collects what a platform is made of; [`start`](Self::start) starts it.
#[derive(Debug)]
pub struct EyrieBuilder {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    registry: Registry,
    types: BTreeMap<GroupType, Arc<dyn DeploymentType>>,
    worker: Option<WorkerOptions>,
    public_url: Option<String>,
    keyring: Option<KeyringSource>,
    #[cfg(feature = "process")]
    services: Option<Arc<ServicesRoot>>,
    refused: Option<Invalid>,
}

/// Where the keyring comes from.
#[derive(Debug)]
enum KeyringSource {
    Own(Arc<dyn Keyring>),
    #[cfg(feature = "key-file")]
    File(std::path::PathBuf),
}

impl KeyringSource {
    /// The keyring, once it is known to be the right one.
    async fn unlocked(self, store: &dyn Store, now: Timestamp) -> Result<Arc<dyn Keyring>> {
        let keyring = match self {
            Self::Own(keyring) => keyring,
            #[cfg(feature = "key-file")]
            Self::File(path) => Arc::new(keyring::open_key_file(store, &path).await?),
        };
        keyring::unlock(store, &*keyring, now).await?;
        Ok(keyring)
    }
}

impl EyrieBuilder {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            clock: Arc::new(SystemClock),
            registry: Registry::default(),
            types: BTreeMap::new(),
            worker: Some(WorkerOptions::default()),
            public_url: None,
            keyring: None,
            #[cfg(feature = "process")]
            services: None,
            refused: None,
        }
    }

    /// Registers an action under a stable name.
    #[must_use]
    pub fn action(mut self, name: &str, action: impl Action) -> Self {
        if let Err(invalid) = self.registry.register(name, action) {
            self.refused = self.refused.or(Some(invalid));
        }
        self
    }

    /// Adds a deployment type. Of two for the same group type the later one counts.
    #[must_use]
    pub fn deployment_type(mut self, deployment_type: impl DeploymentType) -> Self {
        self.types.insert(deployment_type.group_type().clone(), Arc::new(deployment_type));
        self
    }

    /// Adds the type `service` over the operator's folder of services, with its script action.
    #[cfg(feature = "process")]
    #[must_use]
    pub fn services(mut self, root: ServicesRoot, options: ScriptOptions) -> Self {
        let root = Arc::new(root);
        self.services = Some(Arc::clone(&root));
        self = self.action(SCRIPT_ACTION, ScriptAction::new(Arc::clone(&root), options));
        match ServiceType::new(root) {
            Ok(service) => self.deployment_type(service),
            Err(_) => self,
        }
    }

    /// How the worker works. There is one by default.
    #[must_use]
    pub fn worker(mut self, options: WorkerOptions) -> Self {
        self.worker = Some(options);
        self
    }

    /// No worker: this process queues, cancels and follows runs, and others execute them.
    #[must_use]
    pub fn without_worker(mut self) -> Self {
        self.worker = None;
        self
    }

    /// The base URL under which scripts reach this program's REST interface.
    #[must_use]
    pub fn public_url(mut self, url: impl Into<String>) -> Self {
        self.public_url = Some(url.into());
        self
    }

    /// What seals and opens secrets. Without one there are none.
    #[must_use]
    pub fn keyring(mut self, keyring: impl Keyring) -> Self {
        self.keyring = Some(KeyringSource::Own(Arc::new(keyring)));
        self
    }

    /// The keyring in a file. If there is none it is made, unless the store holds anything that is sealed.
    #[cfg(feature = "key-file")]
    #[must_use]
    pub fn key_file(mut self, path: impl Into<std::path::PathBuf>) -> Self {
        self.keyring = Some(KeyringSource::File(path.into()));
        self
    }

    /// The clock for expiry and audit times.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Starts the engine, and the worker if there is one, on the current tokio runtime.
    ///
    /// # Errors
    /// `Invalid` for an action name that is not acceptable or doubled, and for a deployment type whose schema is none; for a keyring that is missing, or is not the one that the
    /// store's values are sealed by, an error that names the key version which is needed; otherwise when no thread can be made.
    pub async fn start(self) -> Result<Eyrie> {
        self.start_by(Engine::start).await
    }

    /// Like [`start`](Self::start), with the engine on the current runtime instead of a thread of its own: on one with a paused clock
    /// it works in that clock's time.
    ///
    /// # Errors
    /// `Invalid` for an action name that is not acceptable or doubled.
    #[cfg(feature = "testing")]
    pub async fn start_here(self) -> Result<Eyrie> {
        self.start_by(Engine::start_here).await
    }

    /// Puts something else in the place of every action registered so far.
    #[cfg(feature = "testing")]
    pub(crate) fn map_actions(mut self, replace: impl Fn(Arc<dyn Action>) -> Arc<dyn Action>) -> Self {
        self.registry.map(replace);
        self
    }

    async fn start_by(self, start: impl FnOnce(EngineOptions) -> Result<Engine>) -> Result<Eyrie> {
        if let Some(invalid) = self.refused {
            return Err(invalid.into());
        }
        let mut schemas = BTreeMap::new();
        for (name, known) in &self.types {
            let schema = SettingsSchema::compile(known.schema()).map_err(|invalid| invalid.under(&format!("deployment_type.{name}")))?;
            schemas.insert(name.clone(), schema);
        }
        let keyring = match self.keyring {
            Some(source) => Some(source.unlocked(&*self.store, self.clock.now()).await?),
            None => None,
        };
        let seals = keyring.is_some() && self.worker.is_some();
        let host = Arc::new(PlatformHost::new(self.public_url));
        let engine = start(EngineOptions {
            store: Arc::clone(&self.store),
            registry: self.registry,
            worker: self.worker,
            host: Some(host.clone()),
        })?;
        let eyrie = Eyrie(Arc::new(Platform {
            store: self.store,
            engine,
            clock: self.clock,
            passwords: PasswordHasher::default(),
            keyring,
            types: self.types,
            schemas,
            #[cfg(feature = "process")]
            services: self.services,
        }));
        host.attach(&eyrie);
        if seals {
            eyrie.reseal_in_background();
        }
        Ok(eyrie)
    }
}
