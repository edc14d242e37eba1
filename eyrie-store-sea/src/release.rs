//! Releases and what runs because of them: read here, written by the commands that end runs.

use async_trait::async_trait;
use eyrie_core::{
    Result,
    id::{DeployedServiceId, DeploymentId, ReleaseId},
    model::{DeployedService, Release},
    store::{DeployedServiceFilter, Page, PageRequest, ReleaseStore},
};
use sea_orm::{ColumnTrait, EntityTrait, Order, QueryFilter};

use crate::{
    entity::{deployed_service, release},
    listing::{found, listed},
    readable::deployments_readable,
    store::SeaStore,
};

#[async_trait]
impl ReleaseStore for SeaStore {
    async fn release(&self, id: ReleaseId) -> Result<Release> {
        found(self.read(), "release", release::Entity::find_by_id(id.uuid())).await
    }

    async fn releases(&self, deployment: DeploymentId, page: PageRequest) -> Result<Page<Release>> {
        let select = release::Entity::find().filter(release::Column::DeploymentId.eq(deployment.uuid()));
        let order = (release::Column::Id, Order::Desc);
        listed(self.read(), "release", select, order, page, |release: &Release| release.id.uuid()).await
    }

    async fn deployed_service(&self, id: DeployedServiceId) -> Result<DeployedService> {
        found(self.read(), "deployed service", deployed_service::Entity::find_by_id(id.uuid())).await
    }

    async fn deployed_services(&self, filter: DeployedServiceFilter, page: PageRequest) -> Result<Page<DeployedService>> {
        let mut select = deployed_service::Entity::find();
        if let Some(project) = filter.project {
            select = select.filter(deployed_service::Column::ProjectId.eq(project.uuid()));
        }
        if let Some(deployment) = filter.deployment {
            select = select.filter(deployed_service::Column::DeploymentId.eq(deployment.uuid()));
        }
        if let Some(reader) = filter.reader {
            select = select.filter(deployments_readable(deployed_service::Column::DeploymentId, reader));
        }
        let order = (deployed_service::Column::Id, Order::Asc);
        listed(self.read(), "deployed service", select, order, page, |service: &DeployedService| service.id.uuid()).await
    }
}
