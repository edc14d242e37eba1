//! Clusters, whom they are granted to, and what is linked to them.

use async_trait::async_trait;

use super::{
    MemoryStore,
    state::{State, free, get, need, oldest_first, same_version, unused},
};
use crate::{
    error::{Error, ErrorKind, Result},
    id::{ClusterId, DeploymentId, ProjectId},
    model::{AuditEntry, Cluster, ClusterGrant, ClusterLink, ClusterState, Deployment, Level, Linked, nearest_clusters},
    store::{ClusterLinkStore, ClusterStore, Page, PageRequest},
};

impl State {
    fn check_cluster(&self, cluster: &Cluster, operation: &'static str) -> Result<()> {
        let others = self.clusters.values().filter(|other| other.id != cluster.id);
        free(others.clone(), operation, "there is a cluster of that uid", |other| other.uid == cluster.uid)?;
        if cluster.state() != ClusterState::Delete {
            let there = others.filter(|other| other.state() != ClusterState::Delete);
            free(there, operation, "there is a cluster of that slug", |other| other.slug == cluster.slug)?;
        }
        cluster.credentials_secret_id.map_or(Ok(()), |secret| need(&self.secrets, secret, "secret"))
    }

    fn need_linked(&self, to: Linked) -> Result<()> {
        match to {
            Linked::Deployment(id) => need(&self.deployments, id, "deployment"),
            Linked::Scope(id) => need(&self.scopes, id, "scope"),
            Linked::Group(id) => need(&self.groups, id, "group"),
        }
    }

    /// Takes away the links of what was deleted.
    pub(super) fn drop_links(&mut self) {
        let Self { cluster_links, deployments, scopes, groups, .. } = self;
        cluster_links.retain(|(to, _), _| match to {
            Linked::Deployment(id) => deployments.contains_key(id),
            Linked::Scope(id) => scopes.contains_key(id),
            Linked::Group(id) => groups.contains_key(id),
        });
    }

    fn clusters_of(&self, deployment: &Deployment) -> Vec<(Linked, Cluster)> {
        let scope = deployment.scope_id.map(Linked::Scope);
        let levels = [Some(Linked::Deployment(deployment.id)), scope, Some(Linked::Group(deployment.group_id))];
        let links = levels.into_iter().flatten().flat_map(|to| {
            self.cluster_links.range((to, ClusterId::from_uuid(uuid::Uuid::nil()))..).take_while(move |((linked, _), _)| *linked == to)
        });
        links.filter_map(|((to, cluster), _)| Some((*to, self.clusters.get(cluster)?.clone()))).collect()
    }

    /// The cluster that runs of the deployment count against.
    pub(super) fn counted_cluster(&self, deployment: &Deployment) -> Option<ClusterId> {
        let nearest: Vec<(Level, Cluster)> = nearest_clusters(self.clusters_of(deployment));
        nearest.first().map(|(_, cluster)| cluster.id)
    }
}

#[async_trait]
impl ClusterStore for MemoryStore {
    async fn create_cluster(&self, cluster: &Cluster, audit: &AuditEntry) -> Result<()> {
        const OPERATION: &str = "create cluster";
        let mut state = self.state();
        free(state.clusters.keys(), OPERATION, "there is a cluster of that id", |id| *id == cluster.id)?;
        state.check_cluster(cluster, OPERATION)?;
        state.clusters.insert(cluster.id, cluster.clone());
        state.note(audit);
        Ok(())
    }

    async fn cluster(&self, id: ClusterId) -> Result<Cluster> {
        get(&self.state().clusters, id, "cluster")
    }

    async fn clusters(&self, granted_to: Option<ProjectId>, page: PageRequest) -> Result<Page<Cluster>> {
        let state = self.state();
        let fits = |cluster: &Cluster| {
            cluster.state() != ClusterState::Delete
                && granted_to.is_none_or(|project| state.cluster_grants.contains_key(&(cluster.id, project)))
        };
        Ok(oldest_first(&state.clusters, &page, ClusterId::from_uuid, |cluster| cluster.id.uuid(), fits))
    }

    async fn update_cluster(&self, cluster: &Cluster, audit: &AuditEntry) -> Result<()> {
        const OPERATION: &str = "update cluster";
        let mut state = self.state();
        let stored = get(&state.clusters, cluster.id, "cluster")?;
        same_version(stored.version, cluster.version, OPERATION)?;
        state.check_cluster(cluster, OPERATION)?;
        if cluster.state() == ClusterState::Delete {
            let is_linked = state.cluster_links.values().any(|link| link.cluster_id == cluster.id);
            unused(is_linked, OPERATION, "something is linked to the cluster")?;
            let counts = |id| state.runs.get(id).is_some_and(|record| record.lane.cluster == Some(cluster.id));
            unused(state.open.values().flatten().any(counts), OPERATION, "a run on the cluster has not ended")?;
            state.cluster_grants.retain(|(granted, _), _| *granted != cluster.id);
            state.cluster_limits.remove(&cluster.id);
        }
        let mut kept = cluster.clone();
        kept.version += 1;
        state.clusters.insert(kept.id, kept);
        state.note(audit);
        Ok(())
    }
}

#[async_trait]
impl ClusterLinkStore for MemoryStore {
    async fn grant_cluster(&self, grant: &ClusterGrant, audit: &AuditEntry) -> Result<()> {
        const OPERATION: &str = "grant cluster";
        let mut state = self.state();
        let cluster = get(&state.clusters, grant.cluster_id, "cluster")?;
        need(&state.projects, grant.project_id, "project")?;
        unused(cluster.state() == ClusterState::Delete, OPERATION, "the cluster is gone")?;
        let key = (grant.cluster_id, grant.project_id);
        free(state.cluster_grants.keys(), OPERATION, "the cluster is granted to the project", |known| *known == key)?;
        state.cluster_grants.insert(key, grant.clone());
        state.note(audit);
        Ok(())
    }

    async fn revoke_cluster(&self, cluster: ClusterId, project: ProjectId, audit: &AuditEntry) -> Result<()> {
        let mut state = self.state();
        need(&state.cluster_grants, (cluster, project), "cluster grant")?;
        let is_linked = state.cluster_links.values().any(|link| link.cluster_id == cluster && link.project_id == project);
        unused(is_linked, "revoke cluster", "something of the project is linked to the cluster")?;
        state.cluster_grants.remove(&(cluster, project));
        state.note(audit);
        Ok(())
    }

    async fn cluster_grants(&self, cluster: ClusterId) -> Result<Vec<ClusterGrant>> {
        let state = self.state();
        Ok(state.cluster_grants.values().filter(|grant| grant.cluster_id == cluster).cloned().collect())
    }

    async fn link_cluster(&self, link: &ClusterLink, audit: &AuditEntry) -> Result<()> {
        const OPERATION: &str = "link cluster";
        let mut state = self.state();
        state.need_linked(link.to)?;
        if !state.cluster_grants.contains_key(&(link.cluster_id, link.project_id)) {
            return Err(Error::new(ErrorKind::Conflict, OPERATION, "the cluster is not granted to the project"));
        }
        let key = (link.to, link.cluster_id);
        free(state.cluster_links.keys(), OPERATION, "it is linked to the cluster", |known| *known == key)?;
        state.cluster_links.insert(key, link.clone());
        state.note(audit);
        Ok(())
    }

    async fn unlink_cluster(&self, cluster: ClusterId, to: Linked, audit: &AuditEntry) -> Result<()> {
        let mut state = self.state();
        need(&state.cluster_links, (to, cluster), "cluster link")?;
        state.cluster_links.remove(&(to, cluster));
        state.note(audit);
        Ok(())
    }

    async fn cluster_links(&self, cluster: ClusterId, project: Option<ProjectId>) -> Result<Vec<ClusterLink>> {
        let state = self.state();
        let fits = |link: &&ClusterLink| link.cluster_id == cluster && project.is_none_or(|project| link.project_id == project);
        Ok(state.cluster_links.values().filter(fits).cloned().collect())
    }

    async fn clusters_of(&self, deployment: DeploymentId) -> Result<Vec<(Linked, Cluster)>> {
        let state = self.state();
        Ok(state.clusters_of(&get(&state.deployments, deployment, "deployment")?))
    }
}
