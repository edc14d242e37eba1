//! Shared clusters: owned by the operators, granted to projects, linked to what is deployed there.

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    error::{IllegalTransition, Invalid},
    id::{ClusterId, DeploymentId, GroupId, ProjectId, ScopeId, SecretId},
    model::{Endpoint, Level, PrincipalRef, RunKind, patch::given, uid::uid},
    name::{DisplayName, Slug},
    word_enum::word_enum,
};

uid! {
    /// The short, immutable identity of a cluster: eight characters of a-z and 2-7, random, and never given again.
    ClusterUid = "cluster_uid"
}

word_enum! {
    /// Where a cluster stands in its life.
    pub enum ClusterState("cluster_state") {
        /// It is being described.
        Draft = "draft",
        /// It is being set up.
        Init = "init",
        /// It takes work.
        Active = "active",
        /// It is being changed, and takes no new work.
        Transitioning = "transitioning",
        /// It is being drained: what runs there is saved, stopped and removed, and nothing new comes.
        Cancel = "cancel",
        /// It is gone. What is left says that it was there.
        Delete = "delete",
    }
}

word_enum! {
    /// A move of a cluster.
    pub enum ClusterMove("cluster_move") {
        /// Its set-up begins.
        Begin = "begin",
        /// Its set-up failed.
        Fail = "fail",
        /// It is ready for work: set up, or changed.
        Activate = "activate",
        /// A change of it begins.
        Change = "change",
        /// It is to be given up.
        Cancel = "cancel",
        /// It is empty, and given up for good.
        Delete = "delete",
    }
}

impl ClusterState {
    /// The state after `cluster_move`: the one place that says what may follow what.
    ///
    /// # Errors
    /// [`IllegalTransition`] when the move does not exist in this state.
    pub fn next(self, cluster_move: ClusterMove) -> Result<Self, IllegalTransition> {
        use ClusterMove as M;
        Ok(match (self, cluster_move) {
            (Self::Draft, M::Begin) => Self::Init,
            (Self::Init, M::Fail) => Self::Draft,
            (Self::Init | Self::Transitioning, M::Activate) => Self::Active,
            (Self::Active, M::Change) => Self::Transitioning,
            (Self::Draft | Self::Active | Self::Transitioning, M::Cancel) => Self::Cancel,
            (Self::Cancel, M::Delete) => Self::Delete,
            _ => return Err(IllegalTransition { machine: "cluster", from: self.as_str(), event: cluster_move.as_str() }),
        })
    }

    /// Whether a run of that kind may be started there.
    #[must_use]
    pub const fn takes(self, kind: RunKind) -> bool {
        match self {
            Self::Active => true,
            Self::Cancel => matches!(kind, RunKind::Stop | RunKind::Remove | RunKind::Backup | RunKind::Probe),
            Self::Draft | Self::Init | Self::Transitioning | Self::Delete => false,
        }
    }

    /// Whether something may be linked to it.
    #[must_use]
    pub const fn takes_links(self) -> bool {
        !matches!(self, Self::Cancel | Self::Delete)
    }
}

/// A shared cluster.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cluster {
    /// The cluster's id.
    pub id: ClusterId,
    /// Its immutable identity.
    pub uid: ClusterUid,
    /// Its name as a DNS label; unique among clusters that are there.
    pub slug: Slug,
    /// Its name for people.
    pub name: DisplayName,
    /// Where it stands in its life.
    state: ClusterState,
    /// Where its API is.
    pub api_endpoint: Option<Endpoint>,
    /// The operators' secret that holds its credentials.
    pub credentials_secret_id: Option<SecretId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Grows at every change.
    pub version: u64,
}

impl Cluster {
    /// A new cluster, in draft.
    #[must_use]
    pub fn draft(id: ClusterId, uid: ClusterUid, new: NewCluster, created_at: Timestamp) -> Self {
        let NewCluster { name, api_endpoint, credentials_secret_id } = new;
        let slug = Slug::derive(name.as_str());
        Self { id, uid, slug, name, state: ClusterState::Draft, api_endpoint, credentials_secret_id, created_at, version: 1 }
    }

    /// The same as a store read it back in that state.
    #[must_use]
    pub fn in_state(self, state: ClusterState) -> Self {
        Self { state, ..self }
    }

    /// Where it stands in its life.
    #[must_use]
    pub const fn state(&self) -> ClusterState {
        self.state
    }

    /// Makes the move. One that is gone needs no credentials any more.
    ///
    /// # Errors
    /// [`IllegalTransition`] when the move does not exist in its state.
    pub fn advance(&mut self, cluster_move: ClusterMove) -> Result<(), IllegalTransition> {
        self.state = self.state.next(cluster_move)?;
        if self.state == ClusterState::Delete {
            self.credentials_secret_id = None;
        }
        Ok(())
    }
}

/// What a new cluster needs.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewCluster {
    /// Its name for people; the slug is made of it.
    pub name: DisplayName,
    /// Where its API is.
    #[serde(default)]
    pub api_endpoint: Option<Endpoint>,
    /// The operators' secret that holds its credentials.
    #[serde(default)]
    pub credentials_secret_id: Option<SecretId>,
}

impl NewCluster {
    /// A cluster of that name with nothing else said.
    ///
    /// # Errors
    /// [`Invalid`] when the name is not acceptable.
    pub fn new(name: impl Into<String>) -> Result<Self, Invalid> {
        Ok(Self { name: DisplayName::new(name)?, api_endpoint: None, credentials_secret_id: None })
    }
}

/// What to change of a cluster; what is missing stays.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterPatch {
    /// Its name for people; the slug follows.
    #[serde(default, deserialize_with = "given")]
    pub name: Option<DisplayName>,
    /// Where its API is; null: nowhere yet.
    #[serde(default, deserialize_with = "given")]
    pub api_endpoint: Option<Option<Endpoint>>,
    /// The operators' secret that holds its credentials; null: none.
    #[serde(default, deserialize_with = "given")]
    pub credentials_secret_id: Option<Option<SecretId>>,
}

/// A project may use a cluster.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClusterGrant {
    /// The cluster.
    pub cluster_id: ClusterId,
    /// The project.
    pub project_id: ProjectId,
    /// Since when.
    pub created_at: Timestamp,
    /// Who granted it.
    pub granted_by: PrincipalRef,
}

/// What a cluster can be linked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
pub enum Linked {
    /// A deployment.
    Deployment(DeploymentId),
    /// A scope: all its deployments that name no cluster of their own.
    Scope(ScopeId),
    /// A group: all its deployments that, with their scopes, name none.
    Group(GroupId),
}

impl Linked {
    /// The id of what is linked.
    #[must_use]
    pub const fn uuid(self) -> uuid::Uuid {
        match self {
            Self::Deployment(id) => id.uuid(),
            Self::Scope(id) => id.uuid(),
            Self::Group(id) => id.uuid(),
        }
    }

    /// The level that it stands on.
    #[must_use]
    pub const fn level(self) -> Level {
        match self {
            Self::Deployment(_) => Level::Deployment,
            Self::Scope(_) => Level::Scope,
            Self::Group(_) => Level::Group,
        }
    }
}

impl std::fmt::Display for Linked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.level(), self.uuid())
    }
}

/// Something is deployed to a cluster.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClusterLink {
    /// The cluster.
    pub cluster_id: ClusterId,
    /// The project of what is linked, which the cluster is granted to.
    pub project_id: ProjectId,
    /// What is linked.
    pub to: Linked,
    /// Since when.
    pub created_at: Timestamp,
}

/// Of what is linked to a deployment, its scope and its group, the nearest level that names any, in the order of the clusters' making.
#[must_use]
pub fn nearest_clusters(links: impl IntoIterator<Item = (Linked, Cluster)>) -> Vec<(Level, Cluster)> {
    let mut all: Vec<_> = links.into_iter().map(|(to, cluster)| (to.level(), cluster)).collect();
    all.sort_by_key(|(level, cluster)| (*level, cluster.id));
    let nearest = all.first().map(|(level, _)| *level);
    all.retain(|(level, _)| Some(*level) == nearest);
    all
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Every state against every move: what is legal is listed here once more, by hand.
    #[test]
    fn the_machine_has_these_moves_and_no_others() {
        let mut legal = String::new();
        for &state in ClusterState::ALL {
            for &cluster_move in ClusterMove::ALL {
                if let Ok(next) = state.next(cluster_move) {
                    legal.push_str(&format!("{state} {cluster_move} -> {next}\n"));
                    assert_ne!(state, ClusterState::Delete, "what is gone is gone");
                }
            }
        }
        assert_eq!(legal, include_str!("cluster_moves.txt"));
    }

    #[test]
    fn a_cluster_takes_what_its_state_allows() {
        assert!(RunKind::ALL.iter().all(|kind| ClusterState::Active.takes(*kind) && !ClusterState::Transitioning.takes(*kind)));
        let drains: Vec<_> = RunKind::ALL.iter().filter(|kind| ClusterState::Cancel.takes(**kind)).map(|kind| kind.as_str()).collect();
        assert_eq!(drains, ["stop", "backup", "remove", "probe"]);
    }

    #[test]
    fn the_nearest_level_names_the_clusters() {
        let cluster = |name: &str| {
            Cluster::draft(ClusterId::new(), ClusterUid::random().unwrap(), NewCluster::new(name).unwrap(), Timestamp::UNIX_EPOCH)
        };
        let (a, b, c) = (cluster("a"), cluster("b"), cluster("c"));
        let group = (Linked::Group(GroupId::new()), a.clone());
        let scope = Linked::Scope(ScopeId::new());
        let links = [group.clone(), (scope, c.clone()), (scope, b.clone())];
        assert_eq!(nearest_clusters(links), [(Level::Scope, b), (Level::Scope, c)]);
        assert_eq!(nearest_clusters([group]), [(Level::Group, a)]);
        assert_eq!(nearest_clusters([]), []);
    }
}
