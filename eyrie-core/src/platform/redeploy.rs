//! Redeploys: the runs that follow from a branch or image that has moved.

use serde::Serialize;

use crate::{
    access::Permission,
    error::{ErrorKind, Result},
    id::{DeploymentId, ProjectId, RunId},
    model::{Branch, Deployment, Image, Principal, PrincipalRef, RunState},
    name::Origin,
    platform::{Acting, Resource, StartRun},
    store::{DeploymentFilter, Enqueue, Moved, PageRequest, RunFilter},
};

/// How often it is tried to record something that others change at the same time.
pub(super) const ATTEMPTS: usize = 10;

/// A branch or image as it is now, and what became of the deployments that follow it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recorded<T> {
    /// The branch or image.
    #[serde(flatten)]
    pub now: T,
    /// The deployments that were to be redeployed, as far as the principal may see them.
    pub redeploys: Vec<Redeploy>,
}

/// What became of a deployment that follows what has moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Redeploy {
    /// The deployment.
    pub deployment_id: DeploymentId,
    /// The run that was queued.
    pub run_id: Option<RunId>,
    /// Why there is none.
    pub message: String,
}

/// What has moved: one of the two, as it will be.
pub(super) struct Following {
    /// In whose name runs are asked for: the same for all redeploys because of the same thing.
    pub(super) cause: String,
    /// What is to be said of this one.
    pub(super) why: String,
    pub(super) branch: Option<Branch>,
    pub(super) image: Option<Image>,
}

/// Runs to be queued, and what there is to say about each deployment.
#[derive(Default)]
pub(super) struct Planned {
    pub(super) runs: Vec<Enqueue>,
    pub(super) redeploys: Vec<(ProjectId, Redeploy)>,
}

impl Acting {
    /// Plans the runs of the deployments that follow. One that cannot be deployed now keeps no other from it.
    pub(super) async fn redeploys(&self, filter: DeploymentFilter, following: &Following) -> Result<Planned> {
        let mut planned = Planned::default();
        let first = PageRequest::first(PageRequest::MAX)?;
        let mut page = first;
        loop {
            let deployments = self.store().deployments(filter, page).await?;
            for deployment in &deployments.items {
                let is_wanted = if following.branch.is_some() { deployment.redeploy_on_commit } else { deployment.redeploy_on_digest };
                let Some(whose) = deployment.redeploy_for.as_ref().filter(|_| is_wanted) else { continue };
                let (run_id, message) = match self.redeploy(deployment, whose, following).await {
                    Ok(Ok(run)) => {
                        let id = run.run.id;
                        planned.runs.push(run);
                        (Some(id), String::new())
                    }
                    Ok(Err(reason)) => (None, reason),
                    Err(error) if error.is_retryable() => return Err(error),
                    Err(error) => (None, error.to_string()),
                };
                if run_id.is_none() {
                    tracing::warn!(deployment = %deployment.id, cause = following.why, message, "not redeployed");
                }
                planned.redeploys.push((deployment.project_id, Redeploy { deployment_id: deployment.id, run_id, message }));
            }
            match deployments.next {
                Some(next) => page = first.after(Some(next)),
                None => return Ok(planned),
            }
        }
    }

    /// The run of one deployment; the inner error says why there is none.
    async fn redeploy(&self, deployment: &Deployment, whose: &PrincipalRef, following: &Following) -> Result<Result<Enqueue, String>> {
        let rights = match self.eyrie.principal_of(whose, &Origin::new("redeploy")?).await? {
            Ok(rights) => rights,
            Err(reason) => return Ok(Err(reason)),
        };
        let acting = self.eyrie.acting_as(Principal::Deputy { cause: following.cause.clone(), of: Box::new(rights) });
        match acting.require(Permission::RunStart, &Resource::deployment(deployment.id, deployment.project_id)).await {
            Ok(()) => {}
            Err(error) if matches!(error.kind(), ErrorKind::Denied | ErrorKind::NotFound) => {
                return Ok(Err(format!("{whose} may no longer start runs here")));
            }
            Err(error) => return Err(error),
        }
        let mut sources = acting.sources(deployment).await?;
        sources.branch = following.branch.clone().or(sources.branch);
        sources.image = following.image.clone().or(sources.image);
        let start = StartRun::default();
        let plan = acting.plan_from(deployment, &start, &sources).await?;
        let mut run = acting.prepare(deployment, &plan, start).await?;
        run.audit.reason.clone_from(&following.why);
        // Those of the same cause that still wait would deploy what is out of date by then.
        let waiting = RunFilter { deployment: Some(deployment.id), state: Some(RunState::Queued), ..RunFilter::default() };
        let waiting = self.store().runs(waiting, PageRequest::default()).await?.items.into_iter();
        run.supersedes = waiting.filter(|one| one.requested_by == run.run.requested_by).map(|one| one.id).collect();
        Ok(Ok(run))
    }

    /// What came of recording that something moved; none when it was changed or a deployment was gone meanwhile: to be looked at again.
    pub(super) async fn recorded<T>(&self, done: Result<Moved<T>>, redeploys: Vec<(ProjectId, Redeploy)>) -> Result<Option<Recorded<T>>> {
        match done {
            Ok(moved) => {
                self.eyrie.0.engine.announce(&moved.queued);
                Ok(Some(Recorded { now: moved.now, redeploys: self.told(redeploys).await? }))
            }
            Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// As much of it as the principal may see.
    async fn told(&self, redeploys: Vec<(ProjectId, Redeploy)>) -> Result<Vec<Redeploy>> {
        let mut told = Vec::with_capacity(redeploys.len());
        for (project, redeploy) in redeploys {
            if self.may_see(&Resource::deployment(redeploy.deployment_id, project)).await? {
                told.push(redeploy);
            }
        }
        Ok(told)
    }
}
