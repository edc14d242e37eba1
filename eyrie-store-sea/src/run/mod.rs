//! Runs: queued, claimed, and advanced by commands.

mod claim;
mod due;
mod ends;
mod enqueue;
mod held;
#[cfg(feature = "postgres")]
mod journey;
mod lanes;
mod load;
mod poll;
mod positions;
mod record;
mod resumption;
mod turns;
mod write;

pub(crate) use enqueue::queue_in;
pub(crate) use held::HeldRuns;
pub(crate) use turns::lock_deployments;

use async_trait::async_trait;
use eyrie_core::{
    Result,
    id::{RunId, WorkerId},
    model::{Plan, PlanHash, Run, Step},
    store::{Capabilities, Claim, Command, Enqueue, Enqueued, Page, PageRequest, Poll, RecordError, Recorded, RunFilter, RunStore},
};
use sea_orm::{ColumnTrait, EntityTrait, Order, QueryFilter, QuerySelect, QueryTrait};

use crate::{
    entity::{
        deployment, plan,
        run::{Column, Entity, Model},
        run_step,
    },
    listing::{found, listed},
    readable::deployments_readable,
    rows::{FromRow, Kind, RowStatement, Rows},
    store::SeaStore,
};

static RUN: RowStatement = RowStatement::select(Model::COLUMNS, "runs", &[("id", Kind::Uuid)], "");
static STEPS: RowStatement = RowStatement::select(run_step::Model::COLUMNS, "run_steps", &[("run_id", Kind::Uuid)], "ORDER BY idx");

#[async_trait]
impl RunStore for SeaStore {
    async fn enqueue(&self, runs: &[Enqueue]) -> Result<Vec<Result<Enqueued>>> {
        enqueue::enqueue(self, runs).await
    }

    async fn run(&self, id: RunId) -> Result<Run> {
        self.read_row::<Model, _>("run", &RUN, Rows::from_iter([[id.uuid().into()]])).await
    }

    async fn runs(&self, filter: RunFilter, page: PageRequest) -> Result<Page<Run>> {
        let mut select = Entity::find();
        if let Some(project) = filter.project {
            select = select.filter(Column::ProjectId.eq(project.uuid()));
        }
        if let Some(deployment) = filter.deployment {
            select = select.filter(Column::DeploymentId.eq(deployment.uuid()));
        }
        if let Some(service) = filter.service {
            let deployments = deployment::Entity::find()
                .select_only()
                .column(deployment::Column::Id)
                .filter(deployment::Column::ServiceId.eq(service.uuid()));
            select = select.filter(Column::DeploymentId.in_subquery(deployments.into_query()));
        }
        if let Some(reader) = filter.reader {
            select = select.filter(deployments_readable(Column::DeploymentId, reader));
        }
        if let Some(state) = filter.state {
            select = select.filter(Column::State.eq(state.as_str()));
            if !state.is_terminal() {
                // Says the same once more, in the words of the index over runs that have not ended.
                select = select.filter(Column::FinishedAt.is_null());
            }
        }
        listed(self.read(), "run", select, (Column::Id, Order::Desc), page, |run: &Run| run.id.uuid()).await
    }

    async fn steps(&self, run: RunId) -> Result<Vec<Step>> {
        let steps = self.read_rows::<run_step::Model, Step>("steps", &STEPS, Rows::from_iter([[run.uuid().into()]])).await?;
        if steps.is_empty() {
            self.run(run).await?;
        }
        Ok(steps)
    }

    async fn plan(&self, hash: PlanHash) -> Result<Plan> {
        found(self.read(), "plan", plan::Entity::find_by_id(hash.as_bytes().to_vec())).await
    }

    async fn poll(&self, worker: WorkerId) -> Result<Poll> {
        poll::poll(self, worker).await
    }

    async fn claim(&self, worker: WorkerId, limit: u32) -> Result<Vec<Claim>> {
        claim::claim(self, worker, limit).await
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default().with_statements()
    }

    async fn record(&self, commands: &[Command]) -> Result<Vec<Result<Recorded, RecordError>>> {
        record::record(self, commands).await
    }
}
