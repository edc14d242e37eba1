//! Clusters: the operators' own, granted to projects, and linked by those projects' admins to what is deployed there.

use serde::Serialize;

use crate::{
    access::Permission,
    error::{Error, ErrorKind, Invalid, Result},
    id::{ClusterId, DeploymentId, ProjectId, SecretId},
    model::{
        Cluster, ClusterGrant, ClusterLink, ClusterMove, ClusterPatch, ClusterState, ClusterUid, Deployment, Level, Linked, MOST_RUNNING,
        NewCluster, Principal, PrincipalRef, RunKind, nearest_clusters,
    },
    name::Slug,
    platform::{Acting, Resource},
    store::{Page, PageRequest},
};

/// What a project's members see of a cluster that is granted to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SeenCluster {
    /// The cluster's id.
    pub id: ClusterId,
    /// Its name.
    pub slug: Slug,
    /// Where it stands in its life.
    pub state: ClusterState,
}

/// A cluster, as far as whoever asks may see it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ClusterView {
    /// All of it, for operators.
    Whole(Cluster),
    /// Its name and state, for members of projects that it is granted to.
    Seen(SeenCluster),
}

impl ClusterView {
    /// The cluster's id.
    #[must_use]
    pub const fn id(&self) -> ClusterId {
        match self {
            Self::Whole(cluster) => cluster.id,
            Self::Seen(seen) => seen.id,
        }
    }
}

/// A cluster that a deployment goes to, and the level that says so.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EffectiveCluster {
    /// The cluster.
    pub cluster: ClusterView,
    /// The level that it is linked on.
    pub level: Level,
}

impl Acting {
    /// Makes a cluster, in draft.
    ///
    /// # Errors
    /// `Denied` for whoever is no operator; `AlreadyExists` when there is one whose name makes the same slug; `Invalid` when the
    /// operators have no such secret.
    pub async fn create_cluster(&self, new: NewCluster) -> Result<Cluster> {
        self.require_everywhere(Permission::ClusterManage, "clusters").await?;
        self.check_credentials(new.credentials_secret_id, None).await?;
        let cluster = Cluster::draft(ClusterId::new(), ClusterUid::random()?, new, self.now());
        let audit = self.allowed(Permission::ClusterManage.as_str(), format!("cluster {}", cluster.id), None);
        self.store().create_cluster(&cluster, &audit).await?;
        Ok(cluster)
    }

    /// The cluster of that id.
    ///
    /// # Errors
    /// `NotFound`, also for one that is granted to no project of the principal's.
    pub async fn cluster(&self, id: ClusterId) -> Result<ClusterView> {
        let cluster = self.store().cluster(id).await?;
        if self.counts_as_operator().await? {
            return Ok(ClusterView::Whole(cluster));
        }
        if cluster.state() == ClusterState::Delete || !self.is_granted_any(id).await? {
            self.refused(Permission::ClusterManage, &format!("cluster {id}"), None, "an operator, or a project that it is granted to")
                .await;
            return Err(Error::not_found("cluster"));
        }
        Ok(seen(cluster))
    }

    /// Clusters that are there: those granted to a project, or for operators all of them, in the order of their making.
    ///
    /// # Errors
    /// `NotFound` for a project that the principal may not read; `Denied` for whoever asks for all of them and is no operator.
    pub async fn clusters(&self, granted_to: Option<ProjectId>, page: PageRequest) -> Result<Page<ClusterView>> {
        match granted_to {
            Some(project) => self.require(Permission::ProjectRead, &Resource::project(project)).await?,
            None => self.require_everywhere(Permission::ClusterManage, "clusters").await?,
        }
        let whole = self.counts_as_operator().await?;
        let page = self.store().clusters(granted_to, page).await?;
        Ok(page.map(|cluster| if whole { ClusterView::Whole(cluster) } else { seen(cluster) }))
    }

    /// Changes a cluster that still has the version that was read.
    ///
    /// # Errors
    /// `Conflict` when it has changed since, or is gone.
    pub async fn update_cluster(&self, id: ClusterId, version: u64, patch: ClusterPatch) -> Result<Cluster> {
        let mut cluster = self.cluster_for(id, Permission::ClusterManage).await?;
        if cluster.state() == ClusterState::Delete {
            return Err(Error::new(ErrorKind::Conflict, "update cluster", "the cluster is gone"));
        }
        self.check_credentials(patch.credentials_secret_id.flatten(), None).await?;
        cluster.version = version;
        if let Some(name) = patch.name {
            cluster.slug = Slug::derive(name.as_str());
            cluster.name = name;
        }
        cluster.api_endpoint = patch.api_endpoint.unwrap_or(cluster.api_endpoint);
        cluster.credentials_secret_id = patch.credentials_secret_id.unwrap_or(cluster.credentials_secret_id);
        self.keep_cluster(cluster, String::new()).await
    }

    /// Makes a move in the life of a cluster that still has the version that was read.
    ///
    /// # Errors
    /// `IllegalTransition` when its state has no such move; `Conflict` when it has changed since, or is to go and is still in use.
    pub async fn move_cluster(&self, id: ClusterId, version: u64, cluster_move: ClusterMove) -> Result<Cluster> {
        let mut cluster = self.cluster_for(id, Permission::ClusterManage).await?;
        cluster.advance(cluster_move)?;
        cluster.version = version;
        let reason = format!("{cluster_move}: {}", cluster.state());
        self.keep_cluster(cluster, reason).await
    }

    async fn keep_cluster(&self, mut cluster: Cluster, reason: String) -> Result<Cluster> {
        let mut audit = self.allowed(Permission::ClusterManage.as_str(), format!("cluster {}", cluster.id), None);
        audit.reason = reason;
        self.store().update_cluster(&cluster, &audit).await?;
        cluster.version += 1;
        Ok(cluster)
    }

    /// Says how many runs may be under way on a cluster at the same time; none: any number.
    ///
    /// # Errors
    /// `Denied` for whoever is no operator; `Invalid` for more than [`MOST_RUNNING`].
    pub async fn limit_cluster(&self, id: ClusterId, most: Option<u32>) -> Result<()> {
        self.cluster_for(id, Permission::ClusterManage).await?;
        if most.is_some_and(|most| most > MOST_RUNNING) {
            return Err(Invalid::new("max_running", format!("must be at most {MOST_RUNNING}, or null")).into());
        }
        let mut audit = self.allowed(Permission::ClusterManage.as_str(), format!("cluster {id}"), None);
        audit.reason = most.map_or_else(|| "no limit".to_owned(), |most| format!("limit {most}"));
        self.store().limit_cluster(id, most, &audit).await
    }

    /// How many runs may be under way on a cluster at the same time; none: any number.
    ///
    /// # Errors
    /// `Denied` for whoever is no operator.
    pub async fn cluster_limit(&self, id: ClusterId) -> Result<Option<u32>> {
        self.cluster_for(id, Permission::ClusterManage).await?;
        self.store().cluster_limit(id).await
    }

    /// Whom a cluster is granted to.
    ///
    /// # Errors
    /// `Denied` for whoever is no operator.
    pub async fn cluster_grants(&self, id: ClusterId) -> Result<Vec<ClusterGrant>> {
        self.cluster_for(id, Permission::ClusterManage).await?;
        self.store().cluster_grants(id).await
    }

    /// Lets a project use a cluster; one that may already goes on as it is.
    ///
    /// # Errors
    /// `Conflict` when the cluster is gone; `Denied` for whoever is no operator.
    pub async fn grant_cluster(&self, id: ClusterId, project: ProjectId) -> Result<()> {
        self.cluster_for(id, Permission::ClusterManage).await?;
        let granted_by = PrincipalRef::from(&self.principal);
        let grant = ClusterGrant { cluster_id: id, project_id: project, created_at: self.now(), granted_by };
        let audit = self.allowed(Permission::ClusterManage.as_str(), format!("grant of cluster {id}"), Some(project));
        once(self.store().grant_cluster(&grant, &audit).await)
    }

    /// Takes a cluster from a project again.
    ///
    /// # Errors
    /// `Conflict` names what is still linked to it; `NotFound` when it was not granted; `Denied` for whoever is no operator.
    pub async fn revoke_cluster(&self, id: ClusterId, project: ProjectId) -> Result<()> {
        self.cluster_for(id, Permission::ClusterManage).await?;
        let audit = self.allowed(Permission::ClusterManage.as_str(), format!("grant of cluster {id}"), Some(project));
        match self.store().revoke_cluster(id, project, &audit).await {
            Err(error) if error.kind() == ErrorKind::Conflict => {
                let links = self.store().cluster_links(id, Some(project)).await?;
                let named: Vec<_> = links.iter().take(5).map(|link| link.to.to_string()).collect();
                let more = if links.len() > named.len() { format!(" and {} more", links.len() - named.len()) } else { String::new() };
                let message = format!("of the project there are still linked to the cluster: {}{more}", named.join(", "));
                Err(Error::new(ErrorKind::Conflict, "revoke cluster", message))
            }
            done => done,
        }
    }

    /// Links a group, scope or deployment to a cluster that its project may use; what is linked already stays so.
    ///
    /// # Errors
    /// `NotFound` for a cluster that the project may not use; `Conflict` for one that is being given up.
    pub async fn link_cluster(&self, id: ClusterId, to: Linked) -> Result<()> {
        let project = self.linked_for(to, Permission::ClusterLink).await?;
        let cluster = self.store().cluster(id).await?;
        if !self.is_granted(id, project).await? {
            return Err(Error::not_found("cluster"));
        }
        if !cluster.state().takes_links() {
            let message = format!("the cluster {} is in state {} and takes nothing new", cluster.slug, cluster.state());
            return Err(Error::new(ErrorKind::Conflict, "link cluster", message));
        }
        let link = ClusterLink { cluster_id: id, project_id: project, to, created_at: self.now() };
        let mut audit = self.allowed(Permission::ClusterLink.as_str(), to, Some(project));
        audit.reason = format!("cluster {id}");
        once(self.store().link_cluster(&link, &audit).await)
    }

    /// Takes the link to a cluster away.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub async fn unlink_cluster(&self, id: ClusterId, to: Linked) -> Result<()> {
        let project = self.linked_for(to, Permission::ClusterLink).await?;
        let mut audit = self.allowed(Permission::ClusterLink.as_str(), to, Some(project));
        audit.reason = format!("cluster {id} taken away");
        self.store().unlink_cluster(id, to, &audit).await
    }

    /// The clusters that a deployment goes to: those that it is linked to, else those of its scope, else those of its group. Its runs
    /// count against the first one.
    ///
    /// # Errors
    /// `NotFound`, also for what the principal may not read.
    pub async fn effective_clusters(&self, deployment: DeploymentId) -> Result<Vec<EffectiveCluster>> {
        self.deployment_for(deployment, Permission::ProjectRead).await?;
        let whole = self.counts_as_operator().await?;
        let nearest = nearest_clusters(self.store().clusters_of(deployment).await?);
        let view = |cluster| if whole { ClusterView::Whole(cluster) } else { seen(cluster) };
        Ok(nearest.into_iter().map(|(level, cluster)| EffectiveCluster { cluster: view(cluster), level }).collect())
    }

    /// Refuses a run where a cluster that it goes to takes none of that kind now.
    pub(super) async fn check_clusters(&self, deployment: &Deployment, kind: RunKind) -> Result<()> {
        let nearest = nearest_clusters(self.store().clusters_of(deployment.id).await?);
        match nearest.iter().find(|(_, cluster)| !cluster.state().takes(kind)) {
            Some((_, cluster)) => {
                let message = format!("the cluster {} is in state {} and takes no runs of kind {kind}", cluster.slug, cluster.state());
                Err(Error::new(ErrorKind::Conflict, "start run", message))
            }
            None => Ok(()),
        }
    }

    /// Refuses credentials that the owner does not have as a secret.
    pub(super) async fn check_credentials(&self, secret: Option<SecretId>, owner: Option<ProjectId>) -> Result<()> {
        let Some(secret) = secret else { return Ok(()) };
        match self.store().secret(secret).await {
            Ok(secret) if secret.project_id == owner => Ok(()),
            Err(error) if !error.is_not_found() => Err(error),
            _ => Err(Invalid::new("credentials_secret_id", "its owner has no such secret").into()),
        }
    }

    pub(super) async fn counts_as_operator(&self) -> Result<bool> {
        Ok(match self.principal.rights() {
            Principal::System { .. } | Principal::LocalOperator { .. } => true,
            Principal::User { id, .. } => self.enabled_user(*id).await?.is_some_and(|user| user.operator),
            _ => false,
        })
    }

    /// The project of what is linked, for whoever has the permission on it.
    async fn linked_for(&self, to: Linked, permission: Permission) -> Result<ProjectId> {
        Ok(match to {
            Linked::Deployment(id) => self.deployment_for(id, permission).await?.project_id,
            Linked::Scope(id) => self.scope_for(id, permission).await?.1.project_id,
            Linked::Group(id) => self.group_for(id, permission).await?.project_id,
        })
    }

    /// The cluster, for an operator. Others hear of one that they may see that they may not, and of another one nothing.
    async fn cluster_for(&self, id: ClusterId, permission: Permission) -> Result<Cluster> {
        let cluster = self.store().cluster(id).await?;
        match self.require_everywhere(permission, &format!("cluster {id}")).await {
            Ok(()) => Ok(cluster),
            Err(error) if error.kind() == ErrorKind::Denied && !self.is_granted_any(id).await? => Err(Error::not_found("cluster")),
            Err(error) => Err(error),
        }
    }

    async fn is_granted(&self, id: ClusterId, project: ProjectId) -> Result<bool> {
        Ok(self.store().cluster_grants(id).await?.iter().any(|grant| grant.project_id == project))
    }

    /// Whether a project that the principal may read may use the cluster.
    async fn is_granted_any(&self, id: ClusterId) -> Result<bool> {
        for grant in self.store().cluster_grants(id).await? {
            if Permission::ProjectRead.allows(self.standing(&Resource::project(grant.project_id)).await?) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn seen(cluster: Cluster) -> ClusterView {
    let state = cluster.state();
    ClusterView::Seen(SeenCluster { id: cluster.id, slug: cluster.slug, state })
}

/// What is so already was done before.
fn once(done: Result<()>) -> Result<()> {
    match done {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        done => done,
    }
}
