//! The queue, to be read: where a run stands, why it waits, and what waits with it.

use serde::Serialize;

use crate::{
    access::Permission,
    error::{Invalid, Result},
    id::RunId,
    model::{Ahead, Deployment, MAX_RUNNING, QueuePlace, QueuePolicy, Run, Settings},
    platform::{Acting, Resource},
    store::{InQueue, Page, PageRequest, QueueOf},
};

/// A run that has not ended, with its place.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QueuedRun {
    /// The run.
    #[serde(flatten)]
    pub run: Run,
    /// Where it stands, and why it waits.
    pub queue: QueuePlace,
}

impl Acting {
    /// Where the run stands in the queue of its deployment, and why it waits.
    ///
    /// # Errors
    /// `NotFound`, also for what the principal may not read.
    pub async fn queue_place(&self, id: RunId) -> Result<QueuePlace> {
        self.run_for(id, Permission::ProjectRead).await?;
        let Some(standing) = self.store().in_queue(id).await? else { return Ok(QueuePlace::default()) };
        let sees = match standing.behind {
            Some(before) => {
                let resource = Resource::run(before, standing.run.deployment_id, standing.run.project_id);
                Permission::ProjectRead.allows(self.standing(&resource).await?)
            }
            None => false,
        };
        Ok(place(&standing, sees))
    }

    /// The runs that have not ended and that the principal may read: of a deployment, the one that has the turn and then the others in the order in which they get
    /// it; of a project, in the order in which they were queued.
    ///
    /// # Errors
    /// `NotFound` for what the principal may not read.
    pub async fn queue(&self, of: QueueOf, page: PageRequest) -> Result<Page<QueuedRun>> {
        let resource = match of {
            QueueOf::Deployment(deployment) => Resource::deployment(deployment, self.store().deployment(deployment).await?.project_id),
            QueueOf::Project(project) => Resource::project(project),
        };
        let reader = self.reader(&resource, self.require_as(Permission::ProjectRead, &resource).await?);
        let page = self.store().queue(of, reader, page).await?;
        // A run stands behind runs of its own deployment, all of which may be read by whoever is shown it in a list.
        Ok(page.map(|standing| QueuedRun { queue: place(&standing, true), run: standing.run }))
    }

    /// The queue policy of a deployment for which no level of the settings says one: what its type says.
    pub(super) async fn default_policy(&self, deployment: &Deployment) -> Result<QueuePolicy> {
        let types = &self.eyrie.0.types;
        let said: Vec<_> = types.iter().filter_map(|(name, known)| Some((name, known.defaults().queue_policy()?))).collect();
        if said.is_empty() {
            return Ok(QueuePolicy::Serial);
        }
        let group = self.store().group(deployment.group_id).await?;
        Ok(said.into_iter().find(|(name, _)| **name == group.group_type).map_or(QueuePolicy::Serial, |(_, policy)| policy))
    }
}

/// What may be seen of where a run stands by somebody who sees the run before it, or does not.
fn place(standing: &InQueue, sees: bool) -> QueuePlace {
    let behind = standing.behind.map(|before| Ahead { run: sees.then_some(before) });
    QueuePlace { position: standing.position, behind, wait: standing.wait }
}

/// Refuses a limit where it would hold nothing back: a deployment has one run under way at a time anyhow.
pub(super) fn refuse_limit(settings: &Settings) -> Result<(), Invalid> {
    match settings.get(MAX_RUNNING) {
        Some(_) => Err(Invalid::new(format!("settings.{MAX_RUNNING}"), "can be set for a project or a group")),
        None => Ok(()),
    }
}
