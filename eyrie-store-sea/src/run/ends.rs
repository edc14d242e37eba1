//! What the ends of runs mean for releases, and for what is running.

use std::collections::{BTreeSet, HashMap};

use eyrie_core::{
    Timestamp,
    model::{DeployedService, Release},
    store::{Outcome, RunWrites, deployed_after},
};

use crate::{
    entity::{deployed_service, release},
    error::Failure,
    rows::{
        Cell, FromRow,
        Kind::{Bytes, Int, Text, Uuid},
        RowStatement, Rows,
    },
};

static INSERT_RELEASES: RowStatement = RowStatement::insert(
    "releases",
    &[("id", Uuid), ("deployment_id", Uuid), ("run_id", Uuid), ("plan_hash", Bytes), ("config", Text), ("created_at", Int)],
    "",
);
static SET_DEPLOYED: RowStatement = RowStatement::insert(
    "deployed_services",
    &[
        ("id", Uuid),
        ("project_id", Uuid),
        ("deployment_id", Uuid),
        ("cluster_id", Uuid),
        ("state", Text),
        ("release_id", Uuid),
        ("run_id", Uuid),
        ("updated_at", Int),
    ],
    "ON CONFLICT (id) DO UPDATE SET state = excluded.state, release_id = excluded.release_id, run_id = excluded.run_id, \
        updated_at = excluded.updated_at",
);
/// What runs on the machine itself because of these deployments.
pub(super) static DEPLOYED_HERE: RowStatement =
    RowStatement::select(deployed_service::Model::COLUMNS, "deployed_services", &[("deployment_id", Uuid)], "AND cluster_id IS NULL");

/// The rows of releases and of what is running that the ends of runs leave.
#[derive(Debug, Default)]
pub(super) struct Settled {
    releases: Rows,
    deployed: Rows,
}

impl Settled {
    /// What writes it. None of these depends on another.
    pub(super) fn statements(self) -> [(&'static RowStatement, Rows); 2] {
        [(&INSERT_RELEASES, self.releases), (&SET_DEPLOYED, self.deployed)]
    }

    /// The rows that [`DEPLOYED_HERE`] is to be asked about.
    pub(super) fn needs(outcomes: &[Outcome]) -> Rows {
        outcomes.iter().map(|outcome| [outcome.deployment_id.uuid().into()]).collect()
    }

    /// After what runs here so far. Only who holds a run of the deployment changes that.
    pub(super) fn of(writes: &RunWrites, here: Vec<deployed_service::Model>, at: Timestamp) -> Result<Self, Failure> {
        let projects: HashMap<_, _> = writes.runs.iter().map(|run| (run.deployment_id, run.project_id)).collect();
        let mut services = HashMap::new();
        for row in here {
            let service = DeployedService::try_from(row)?;
            services.insert(service.deployment_id, service);
        }
        let mut changed = BTreeSet::new();
        for outcome in &writes.outcomes {
            let Some(project) = projects.get(&outcome.deployment_id) else { continue };
            let existing = services.get(&outcome.deployment_id).cloned();
            if let Some(service) = deployed_after(existing, outcome, *project, at) {
                changed.insert(service.deployment_id);
                services.insert(service.deployment_id, service);
            }
        }
        let releases = writes.outcomes.iter().filter_map(|outcome| outcome.release.as_ref()).map(|(release, _)| release_row(release));
        let deployed = changed.iter().filter_map(|deployment| services.get(deployment)).map(deployed_row);
        Ok(Self { releases: releases.collect(), deployed: deployed.collect() })
    }
}

fn release_row(release: &Release) -> [Cell; 6] {
    let row = release::Model::from(release);
    [row.id.into(), row.deployment_id.into(), row.run_id.into(), row.plan_hash.into(), row.config.into(), row.created_at.into()]
}

fn deployed_row(service: &DeployedService) -> [Cell; 8] {
    let row = deployed_service::Model::from(service);
    [
        row.id.into(),
        row.project_id.into(),
        row.deployment_id.into(),
        row.cluster_id.into(),
        row.state.into(),
        row.release_id.into(),
        row.run_id.into(),
        row.updated_at.into(),
    ]
}
