//! Clusters, whom they are granted to, and what is linked to them.

use super::fixtures::{
    audit, cancel, chain, deployment, done, kept_deployment, kept_group, kept_project, now, queued, record, refused, scope,
};
use crate::{
    error::ErrorKind,
    id::{ClusterId, DeploymentId, ProjectId, SecretId},
    model::{
        Cluster, ClusterGrant, ClusterLink, ClusterMove, ClusterState, ClusterUid, Deployment, Endpoint, Linked, NewCluster, PrincipalRef,
        nearest_clusters,
    },
    name::Slug,
    store::{PageRequest, Store},
};

/// A cluster in draft.
#[must_use]
pub fn cluster(name: &str) -> Cluster {
    let new = NewCluster { api_endpoint: Some(Endpoint::new("https://k8s.example.org:6443").unwrap()), ..NewCluster::new(name).unwrap() };
    Cluster::draft(ClusterId::new(), ClusterUid::random().unwrap(), new, now())
}

/// The same, but for what is changed.
fn but(mut cluster: Cluster, change: impl FnOnce(&mut Cluster)) -> Cluster {
    change(&mut cluster);
    cluster
}

/// An active one, kept.
pub async fn kept_cluster(store: &dyn Store, name: &str) -> Cluster {
    let cluster = cluster(name).in_state(ClusterState::Active);
    store.create_cluster(&cluster, &audit("cluster.manage")).await.unwrap();
    cluster
}

fn grant(cluster: ClusterId, project: ProjectId) -> ClusterGrant {
    let granted_by = PrincipalRef::LocalOperator { name: "tester".to_owned() };
    ClusterGrant { cluster_id: cluster, project_id: project, created_at: now(), granted_by }
}

/// Grants the cluster to the project.
pub async fn kept_grant(store: &dyn Store, cluster: ClusterId, project: ProjectId) {
    store.grant_cluster(&grant(cluster, project), &audit("cluster.manage")).await.unwrap();
}

fn link(cluster: ClusterId, project: ProjectId, to: Linked) -> ClusterLink {
    ClusterLink { cluster_id: cluster, project_id: project, to, created_at: now() }
}

/// Links something of the project to the cluster.
pub async fn kept_link(store: &dyn Store, cluster: ClusterId, project: ProjectId, to: Linked) {
    store.link_cluster(&link(cluster, project, to), &audit("cluster.link")).await.unwrap();
}

async fn ids_of(store: &dyn Store, deployment: DeploymentId) -> Vec<ClusterId> {
    nearest_clusters(store.clusters_of(deployment).await.unwrap()).into_iter().map(|(_, cluster)| cluster.id).collect()
}

/// A cluster is read back as it was kept; lists hold those that are there, or those that a project may use.
pub async fn kept_and_found(store: &dyn Store) {
    let (first, entry) = (cluster("Frankfurt 1"), audit("cluster.manage"));
    done(store, &entry, store.create_cluster(&first, &entry).await).await;
    let second = kept_cluster(store, "second").await;
    let project = kept_project(store, "project").await;
    kept_grant(store, second.id, project.id).await;
    assert_eq!(store.cluster(first.id).await.unwrap(), first);
    assert!(store.cluster(ClusterId::new()).await.unwrap_err().is_not_found());
    let page = store.clusters(None, PageRequest::first(1).unwrap()).await.unwrap();
    assert_eq!((page.items, page.next), (vec![first.clone()], Some(first.id.uuid())));
    assert_eq!(store.clusters(None, PageRequest::default().after(page.next)).await.unwrap().items, [second.clone()]);
    assert_eq!(store.clusters(Some(project.id), PageRequest::default()).await.unwrap().items, [second]);

    let late = audit("cluster.manage");
    let twin = but(cluster("other"), |twin| twin.slug = first.slug.clone());
    refused(store, ErrorKind::AlreadyExists, &late, store.create_cluster(&twin, &late).await).await;
    let same_uid = but(cluster("other"), |twin| twin.uid = first.uid.clone());
    refused(store, ErrorKind::AlreadyExists, &late, store.create_cluster(&same_uid, &late).await).await;
    let without = but(cluster("other"), |one| one.credentials_secret_id = Some(SecretId::new()));
    refused(store, ErrorKind::NotFound, &late, store.create_cluster(&without, &late).await).await;
    let changed = but(first.clone(), |one| {
        one.slug = Slug::new("renamed").unwrap();
        one.api_endpoint = None;
    });
    done(store, &late, store.update_cluster(&changed, &late).await).await;
    let stored = but(changed.clone(), |one| one.version = 2);
    assert_eq!(store.cluster(first.id).await.unwrap(), stored);
    let late = audit("cluster.manage");
    refused(store, ErrorKind::Conflict, &late, store.update_cluster(&changed, &late).await).await;
    refused(store, ErrorKind::NotFound, &late, store.update_cluster(&cluster("nobody"), &late).await).await;
}

/// A grant is given once, is not taken back while something is linked, and nothing is linked without one.
pub async fn granted_and_linked(store: &dyn Store) {
    let shared = kept_cluster(store, "shared").await;
    let (project, other) = (kept_project(store, "project").await, kept_project(store, "other").await);
    let group = kept_group(store, &project, "web").await;
    let (to, entry) = (Linked::Group(group.id), audit("cluster.link"));
    let made = link(shared.id, project.id, to);
    refused(store, ErrorKind::Conflict, &entry, store.link_cluster(&made, &entry).await).await;
    let (given, granting) = (grant(shared.id, project.id), audit("cluster.manage"));
    done(store, &granting, store.grant_cluster(&given, &granting).await).await;
    let again = audit("cluster.manage");
    refused(store, ErrorKind::AlreadyExists, &again, store.grant_cluster(&given, &again).await).await;
    refused(store, ErrorKind::NotFound, &again, store.grant_cluster(&grant(ClusterId::new(), project.id), &again).await).await;
    refused(store, ErrorKind::NotFound, &again, store.grant_cluster(&grant(shared.id, ProjectId::new()), &again).await).await;
    assert_eq!(store.cluster_grants(shared.id).await.unwrap(), [given]);

    done(store, &entry, store.link_cluster(&made, &entry).await).await;
    let late = audit("cluster.link");
    refused(store, ErrorKind::AlreadyExists, &late, store.link_cluster(&made, &late).await).await;
    let nowhere = link(shared.id, project.id, Linked::Deployment(DeploymentId::new()));
    refused(store, ErrorKind::NotFound, &late, store.link_cluster(&nowhere, &late).await).await;
    let foreign = link(shared.id, other.id, Linked::Group(kept_group(store, &other, "web").await.id));
    refused(store, ErrorKind::Conflict, &late, store.link_cluster(&foreign, &late).await).await;
    assert_eq!(store.cluster_links(shared.id, None).await.unwrap(), [made]);
    assert_eq!(store.cluster_links(shared.id, Some(other.id)).await.unwrap(), []);
    refused(store, ErrorKind::Conflict, &late, store.revoke_cluster(shared.id, project.id, &late).await).await;
    refused(store, ErrorKind::NotFound, &late, store.revoke_cluster(shared.id, other.id, &late).await).await;
    done(store, &late, store.unlink_cluster(shared.id, to, &late).await).await;
    let late = audit("cluster.link");
    refused(store, ErrorKind::NotFound, &late, store.unlink_cluster(shared.id, to, &late).await).await;
    done(store, &late, store.revoke_cluster(shared.id, project.id, &late).await).await;
    assert_eq!(store.cluster_grants(shared.id).await.unwrap(), []);
}

/// A deployment goes to what it is linked to, else to what its scope is, else to what its group is. Links go with what is linked.
pub async fn the_nearest_level_counts(store: &dyn Store) {
    let project = kept_project(store, "project").await;
    let web = kept_group(store, &project, "web").await;
    let prod = scope(&web, "prod");
    store.create_scope(&prod, &audit("scope.create")).await.unwrap();
    let shop = Deployment { scope_id: Some(prod.id), ..deployment(&web, "shop") };
    store.create_deployment(&shop, &audit("deployment.create")).await.unwrap();
    let beside = kept_deployment(store, &web, "beside").await;
    let mut clusters = Vec::new();
    for name in ["a", "b", "c"] {
        let cluster = kept_cluster(store, name).await;
        kept_grant(store, cluster.id, project.id).await;
        clusters.push(cluster.id);
    }
    assert_eq!(store.clusters_of(shop.id).await.unwrap(), []);
    assert!(store.clusters_of(DeploymentId::new()).await.unwrap_err().is_not_found());
    kept_link(store, clusters[0], project.id, Linked::Group(web.id)).await;
    assert_eq!((ids_of(store, shop.id).await, ids_of(store, beside.id).await), (vec![clusters[0]], vec![clusters[0]]));
    for cluster in [clusters[2], clusters[1]] {
        kept_link(store, cluster, project.id, Linked::Scope(prod.id)).await;
    }
    assert_eq!((ids_of(store, shop.id).await, ids_of(store, beside.id).await), (clusters[1..].to_vec(), vec![clusters[0]]));
    kept_link(store, clusters[0], project.id, Linked::Deployment(shop.id)).await;
    assert_eq!(ids_of(store, shop.id).await, [clusters[0]]);
    store.delete_deployment(shop.id, &audit("deployment.delete")).await.unwrap();
    store.delete_deployment(beside.id, &audit("deployment.delete")).await.unwrap();
    store.delete_scope(prod.id, &audit("scope.delete")).await.unwrap();
    assert_eq!(store.cluster_links(clusters[1], None).await.unwrap(), []);
    assert_eq!(store.cluster_links(clusters[0], None).await.unwrap().len(), 1);
    store.delete_group(web.id, &audit("group.delete")).await.unwrap();
    assert_eq!(store.cluster_links(clusters[0], None).await.unwrap(), []);
    store.delete_project(project.id, &audit("project.delete")).await.unwrap();
    assert_eq!(store.cluster_grants(clusters[0]).await.unwrap(), []);
}

/// A cluster goes for good only when nothing uses it: what is left says that it was there, and its uid is never given again.
pub async fn gone_for_good(store: &dyn Store) {
    let project = kept_project(store, "project").await;
    let web = kept_group(store, &project, "web").await;
    let shop = kept_deployment(store, &web, "shop").await;
    let mut shared = kept_cluster(store, "shared").await;
    kept_grant(store, shared.id, project.id).await;
    kept_link(store, shared.id, project.id, Linked::Group(web.id)).await;
    let run = queued(store, &shop, &chain(&["a"])).await;
    shared.advance(ClusterMove::Cancel).unwrap();
    store.update_cluster(&shared, &audit("cluster.manage")).await.unwrap();
    shared.version += 1;
    shared.advance(ClusterMove::Delete).unwrap();
    let entry = audit("cluster.manage");
    refused(store, ErrorKind::Conflict, &entry, store.update_cluster(&shared, &entry).await).await;
    store.unlink_cluster(shared.id, Linked::Group(web.id), &audit("cluster.link")).await.unwrap();
    refused(store, ErrorKind::Conflict, &entry, store.update_cluster(&shared, &entry).await).await;
    assert_eq!(store.cluster(shared.id).await.unwrap().state(), ClusterState::Cancel);
    record(store, cancel(run.id, "drained")).await.unwrap();
    done(store, &entry, store.update_cluster(&shared, &entry).await).await;
    assert_eq!(store.cluster(shared.id).await.unwrap(), but(shared.clone(), |one| one.version += 1));
    assert_eq!(store.cluster_grants(shared.id).await.unwrap(), []);
    assert_eq!(store.clusters(None, PageRequest::default()).await.unwrap().items, []);
    let late = audit("cluster.manage");
    refused(store, ErrorKind::Conflict, &late, store.grant_cluster(&grant(shared.id, project.id), &late).await).await;
    let same_uid = but(cluster("another"), |twin| twin.uid = shared.uid.clone());
    refused(store, ErrorKind::AlreadyExists, &late, store.create_cluster(&same_uid, &late).await).await;
    let successor = kept_cluster(store, "shared").await;
    assert_eq!(store.clusters(None, PageRequest::default()).await.unwrap().items, [successor], "its slug is free");
}
