//! What the engine asks of the platform: whether a queued run may still begin, and a token for its scripts.

use std::{
    sync::{OnceLock, Weak},
    time::Duration,
};

use async_trait::async_trait;

use crate::{
    access::Permission,
    engine::{RunAccess, RunHost, RunInfo},
    error::{Error, ErrorKind, Result},
    model::{Deployment, Principal, PrincipalRef, Resumption, RetentionPolicy, Step, StepIndex, StepState, TokenBinding, TokenKind},
    name::{DisplayName, Origin, StepName},
    platform::{Eyrie, Platform, Resource, token::Issue},
    secret::{SecretRef, SecretValue},
};

/// A run token is refused once its run has ended; this bounds what a forgotten one can do.
const RUN_TOKEN_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);

#[derive(Debug)]
pub(super) struct PlatformHost {
    platform: OnceLock<Weak<Platform>>,
    public_url: Option<String>,
}

impl PlatformHost {
    pub(super) fn new(public_url: Option<String>) -> Self {
        Self { platform: OnceLock::new(), public_url }
    }

    /// Completes the circle: the engine is part of the platform that it asks.
    pub(super) fn attach(&self, eyrie: &Eyrie) {
        drop(self.platform.set(std::sync::Arc::downgrade(&eyrie.0)));
    }

    async fn eyrie(&self) -> Result<Eyrie> {
        // The worker may claim a run in the instant between the engine's start and `attach`.
        for _ in 0..100 {
            if let Some(platform) = self.platform.get() {
                let gone = || Error::new(ErrorKind::Unavailable, "ask platform", "the platform has been dropped");
                return platform.upgrade().map(Eyrie).ok_or_else(gone);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Err(Error::new(ErrorKind::Internal, "ask platform", "the platform was never attached"))
    }
}

impl Eyrie {
    /// Who that was, to act once more with the rights that they have now; or why they cannot.
    pub(super) async fn principal_of(&self, who: &PrincipalRef, origin: &Origin) -> Result<Result<Principal, String>> {
        let (deputy, who) = match who {
            PrincipalRef::Deputy { cause, of } => (Some(cause), &**of),
            own => (None, own),
        };
        let own = match who {
            PrincipalRef::User { id, name } => Principal::User { id: *id, name: name.clone(), session: None, origin: origin.clone() },
            PrincipalRef::Token { id, .. } => {
                let token = self.store().token(*id).await?;
                if token.revoked_at.is_some() {
                    return Ok(Err("the token that asked for this run has been revoked".to_owned()));
                }
                token.into()
            }
            PrincipalRef::System { cause } => Principal::System { cause: cause.clone() },
            PrincipalRef::LocalOperator { name } => Principal::LocalOperator { name: name.clone() },
            PrincipalRef::Deputy { .. } | PrincipalRef::Anonymous => return Ok(Err(format!("{who} cannot start runs"))),
        };
        Ok(Ok(match deputy {
            Some(cause) => Principal::Deputy { cause: cause.clone(), of: Box::new(own) },
            None => own,
        }))
    }
}

#[async_trait]
impl RunHost for PlatformHost {
    async fn admit(&self, run: &RunInfo, resumption: Option<&Resumption>) -> Result<Result<(), String>> {
        let eyrie = self.eyrie().await?;
        let (who, permission, what) = match resumption {
            None => (&run.requested_by, Permission::RunStart, "start runs"),
            Some(Resumption { by, undo: false, .. }) => (by, Permission::RunResume, "resume runs"),
            Some(Resumption { by, undo: true, .. }) => (by, Permission::RunUndo, "decide about undos"),
        };
        let origin = resumption.and_then(|resumption| resumption.origin.as_ref()).unwrap_or(&run.origin);
        let acting = match eyrie.principal_of(who, origin).await? {
            Ok(principal) => eyrie.acting_as(principal),
            Err(reason) => return Ok(Err(reason)),
        };
        let resource = Resource::run(run.id, run.deployment_id, run.project_id);
        match acting.require(permission, &resource).await {
            Ok(()) => Ok(Ok(())),
            Err(error) if matches!(error.kind(), ErrorKind::Denied | ErrorKind::NotFound) => {
                Ok(Err(format!("{who} may no longer {what} here")))
            }
            Err(error) => Err(error),
        }
    }

    async fn access(&self, run: &RunInfo) -> Result<Option<RunAccess>> {
        let Some(base_url) = self.public_url.clone() else { return Ok(None) };
        let eyrie = self.eyrie().await?;
        let issue = Issue {
            kind: TokenKind::Run,
            name: DisplayName::new(format!("run {}", run.id))?,
            binding: TokenBinding::Run(run.id),
            project_id: Some(run.project_id),
            created_by: None,
            origin: Origin::new("script")?,
            life: RUN_TOKEN_LIFE,
        };
        let (secret, token) = issue.at(eyrie.now())?;
        eyrie.acting_as(Principal::System { cause: format!("run {}", run.id) }).keep_token(&token).await?;
        Ok(Some(RunAccess { base_url, token: secret.reveal().to_owned() }))
    }

    async fn secrets(&self, run: &RunInfo, named: &[SecretRef]) -> Result<Vec<SecretValue>> {
        self.eyrie().await?.open_secrets(run.project_id, named).await
    }

    async fn failed_reports(&self, run: &RunInfo, step: StepIndex, attempt: u32) -> Result<Vec<StepName>> {
        let steps = self.eyrie().await?.store().steps(run.id).await?;
        let failed = |one: &Step| one.parent == Some(step) && one.attempt == attempt && one.state == StepState::Failed;
        Ok(steps.into_iter().filter(failed).map(|one| one.name.clone()).collect())
    }

    async fn retention(&self, deployment: &Deployment) -> Result<RetentionPolicy> {
        let acting = self.eyrie().await?.acting_as(Principal::System { cause: "retention".to_owned() });
        let mut policy = RetentionPolicy::of(&acting.effective_settings(deployment).await?)?;
        let scope = match deployment.scope_id {
            Some(scope) => Some(acting.store().scope(scope).await?),
            None => None,
        };
        if let Some(seconds) = scope.and_then(|scope| scope.monitor_log_delete_after_seconds) {
            policy.monitor_logs = Duration::from_secs(seconds);
        }
        Ok(policy)
    }

    async fn fire_schedules(&self) -> Result<usize> {
        self.eyrie().await?.fire_schedules().await
    }
}
