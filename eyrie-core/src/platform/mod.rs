//! The handle that a program holds, and its use cases: one file an aggregate, each checking access beside what it does.
//!
//! Nothing outside this module reaches a store. Every use case goes through [`Eyrie::acting_as`]:
//!
//! ```no_run
//! # async fn example(eyrie: eyrie_core::Eyrie) -> eyrie_core::Result<()> {
//! use eyrie_core::model::{NewProject, Principal};
//!
//! let me = eyrie.acting_as(Principal::local_operator());
//! let project = me.create_project(NewProject::new("blog")?).await?;
//! println!("{} lives in {}", project.slug, project.namespace.name);
//! # Ok(())
//! # }
//! ```

mod access_check;
mod approval;
mod audit;
mod branch;
mod builder;
mod cluster;
mod datasource;
mod deployment;
mod discovery;
mod explain;
mod firing;
mod follow;
mod group;
mod host;
mod image;
mod keyring;
mod member;
mod monitor;
mod owned;
mod owner;
mod project;
mod queue;
mod redeploy;
mod release;
mod report;
mod repository;
mod role_override;
mod run;
mod schedule;
mod scope;
mod secret;
mod service;
mod service_sync;
mod settings;
mod sign_in;
mod token;
mod user;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::{
    access::PasswordHasher,
    clock::{Clock, Timestamp},
    deployment_type::{DeploymentType, SettingsSchema},
    engine::Engine,
    id::{AuditId, ProjectId},
    model::{AuditEntry, Principal, PrincipalRef, Verdict},
    name::{GroupType, RequestId},
    secret::Keyring,
    store::Store,
};

pub use access_check::Resource;
pub use approval::OpenApproval;
pub use audit::AuditExport;
pub use builder::EyrieBuilder;
pub use cluster::{ClusterView, EffectiveCluster, SeenCluster};
pub use datasource::{DatasourceView, SeenDatasource};
pub use deployment::DeploymentView;
pub use discovery::{DiscoveredService, DiscoveryTarget, NewDiscoveryToken};
pub use explain::{Explanation, Place};
pub use follow::{RunStream, RunsStream};
pub use keyring::KeyStatus;
pub use monitor::RecordedResult;
pub use queue::QueuedRun;
pub use redeploy::{Recorded, Redeploy};
pub use run::{RunRequest, RunView, StartRun};
pub use secret::SecretView;
pub use service_sync::{DEFAULT_GROUP, DEFAULT_PROJECT, SyncReport, SyncedService};
pub use settings::{DeploymentTypeView, RefusedSetting, ReleaseDiff, SettingsView};
pub use sign_in::SignInFrom;
pub use token::{NewServiceToken, ServiceTokenTarget, TokenRotation};
pub use user::NewUser;

/// A deployment platform: models, roles and the engine over one store. Clones share it.
#[derive(Debug, Clone)]
pub struct Eyrie(Arc<Platform>);

#[derive(Debug)]
struct Platform {
    store: Arc<dyn Store>,
    engine: Engine,
    clock: Arc<dyn Clock>,
    passwords: PasswordHasher,
    keyring: Option<Arc<dyn Keyring>>,
    types: BTreeMap<GroupType, Arc<dyn DeploymentType>>,
    schemas: BTreeMap<GroupType, SettingsSchema>,
    #[cfg(feature = "process")]
    services: Option<Arc<crate::deployment_type::service::ServicesRoot>>,
}

/// Use cases on behalf of a principal. Rights are looked up at every use.
#[derive(Debug, Clone)]
pub struct Acting {
    eyrie: Eyrie,
    principal: Principal,
    /// Whether the principal's account was an operator's when it was last looked at.
    as_operator: Arc<AtomicBool>,
    /// For the audit.
    request: Option<RequestId>,
}

impl Eyrie {
    /// A platform over `store`, to be completed and started.
    #[must_use]
    pub fn builder(store: Arc<dyn Store>) -> EyrieBuilder {
        EyrieBuilder::new(store)
    }

    /// The use cases on behalf of `principal`. Whoever calls this vouches for the principal.
    #[must_use]
    pub fn acting_as(&self, principal: Principal) -> Acting {
        Acting { eyrie: self.clone(), principal, as_operator: Arc::default(), request: None }
    }

    /// Stops in an orderly way: takes no new runs, lets bodies finish within the grace, hands everything back.
    pub async fn shutdown(&self) {
        self.0.engine.shutdown().await;
    }

    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    fn store(&self) -> &dyn Store {
        &*self.0.store
    }
}

impl Acting {
    /// Who acts.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The same, in a request of that id: what it leaves in the audit names it.
    #[must_use]
    pub fn in_request(self, id: RequestId) -> Self {
        Self { request: Some(id), ..self }
    }

    fn store(&self) -> &dyn Store {
        self.eyrie.store()
    }

    fn now(&self) -> Timestamp {
        self.eyrie.now()
    }

    /// An audit entry for something that is allowed and about to be done.
    fn allowed(&self, action: &str, resource: impl ToString, project: Option<ProjectId>) -> AuditEntry {
        self.entry(action, resource.to_string(), project, Verdict::Allowed, String::new())
    }

    /// The same, with what else there is to say.
    fn allowed_because(&self, action: &str, resource: impl ToString, project: Option<ProjectId>, reason: String) -> AuditEntry {
        self.entry(action, resource.to_string(), project, Verdict::Allowed, reason)
    }

    /// An operator's entries say so: the rights are not those of the account's roles.
    fn entry(&self, action: &str, resource: String, project_id: Option<ProjectId>, verdict: Verdict, reason: String) -> AuditEntry {
        let reason = match (self.as_operator.load(Ordering::Relaxed), reason.is_empty()) {
            (false, _) => reason,
            (true, true) => "as operator".to_owned(),
            (true, false) => format!("as operator: {reason}"),
        };
        AuditEntry {
            id: AuditId::new(),
            at: self.now(),
            principal: PrincipalRef::from(&self.principal),
            token_id: self.principal.token_id(),
            origin: self.principal.origin().cloned(),
            request_id: self.request.clone(),
            action: action.to_owned(),
            resource,
            project_id,
            verdict,
            reason,
            count: 1,
        }
    }
}
