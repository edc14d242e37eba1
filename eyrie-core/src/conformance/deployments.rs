//! Deployments.

use super::fixtures::{
    audit, cancel, chain, deployment, done, kept_deployment, kept_group, kept_project, place, queued, record, refused, scope, service,
};
use crate::{
    error::ErrorKind,
    id::{DeploymentId, GroupId, ServiceId},
    model::{Deployment, Settings},
    store::{DeploymentFilter, PageRequest, Store},
};

/// A deployment is read back as it was kept, by id and by slug.
pub async fn kept_and_found(store: &dyn Store) {
    let project = kept_project(store, "project").await;
    let (web, api) = (kept_group(store, &project, "web").await, kept_group(store, &project, "api").await);
    let (scope, service) = (scope(&web, "prod"), service(&project, "shop"));
    store.create_scope(&scope, &audit("scope.create")).await.unwrap();
    store.create_service(&service, &audit("service.create")).await.unwrap();
    let full = Deployment { scope_id: Some(scope.id), service_id: Some(service.id), ..deployment(&web, "full") };
    let entry = audit("deployment.create");
    done(store, &entry, store.create_deployment(&full, &entry).await).await;
    let elsewhere = kept_deployment(store, &api, "full").await;

    assert_eq!(store.deployment(full.id).await.unwrap(), full);
    assert_eq!(store.deployment_by_slug(web.id, &full.slug).await.unwrap(), full);
    assert_eq!(store.deployment_by_slug(api.id, &full.slug).await.unwrap(), elsewhere);
    assert!(store.deployment(DeploymentId::new()).await.unwrap_err().is_not_found());
    assert!(store.deployment_by_slug(GroupId::new(), &full.slug).await.unwrap_err().is_not_found());
}

/// A slug is given once within a group, and nothing is kept that refers to what is not there.
pub async fn refused_when_doubled_or_astray(store: &dyn Store) {
    let project = kept_project(store, "project").await;
    let web = kept_group(store, &project, "web").await;
    kept_deployment(store, &web, "shop").await;
    let entry = audit("deployment.create");
    let twin = deployment(&web, "shop");
    refused(store, ErrorKind::AlreadyExists, &entry, store.create_deployment(&twin, &entry).await).await;
    let groupless = Deployment { group_id: GroupId::new(), ..deployment(&web, "groupless") };
    refused(store, ErrorKind::NotFound, &entry, store.create_deployment(&groupless, &entry).await).await;
    let serviceless = Deployment { service_id: Some(ServiceId::new()), ..deployment(&web, "serviceless") };
    refused(store, ErrorKind::NotFound, &entry, store.create_deployment(&serviceless, &entry).await).await;
    for gone in [twin.id, groupless.id, serviceless.id] {
        assert!(store.deployment(gone).await.unwrap_err().is_not_found());
    }
}

/// The filter's fields must all fit; pages come in the order of making.
pub async fn filtered_in_pages(store: &dyn Store) {
    let (first, second) = (kept_project(store, "first").await, kept_project(store, "second").await);
    let (web, api) = (kept_group(store, &first, "web").await, kept_group(store, &first, "api").await);
    let other = kept_group(store, &second, "web").await;
    let service = service(&first, "shop");
    store.create_service(&service, &audit("service.create")).await.unwrap();
    let with_service = |group, slug| Deployment { service_id: Some(service.id), ..deployment(group, slug) };
    let all = [with_service(&web, "z"), deployment(&web, "y"), with_service(&api, "x"), deployment(&other, "w")];
    for one in &all {
        store.create_deployment(one, &audit("deployment.create")).await.unwrap();
    }
    let nothing = DeploymentFilter::default();
    for (filter, expected) in [
        (nothing, vec![0, 1, 2, 3]),
        (DeploymentFilter { project: Some(first.id), ..nothing }, vec![0, 1, 2]),
        (DeploymentFilter { group: Some(web.id), ..nothing }, vec![0, 1]),
        (DeploymentFilter { service: Some(service.id), ..nothing }, vec![0, 2]),
        (DeploymentFilter { service: Some(service.id), group: Some(api.id), project: Some(first.id), ..nothing }, vec![2]),
        (DeploymentFilter { service: Some(service.id), project: Some(second.id), ..nothing }, vec![]),
    ] {
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let page = store.deployments(filter, PageRequest::first(1).unwrap().after(cursor)).await.unwrap();
            seen.extend(page.items);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        let expected: Vec<_> = expected.into_iter().map(|place: usize| all[place].clone()).collect();
        assert_eq!(seen, expected, "{filter:?}");
    }
}

/// An update needs the stored version and makes it one more.
pub async fn versions_guard_updates(store: &dyn Store) {
    let shop = place(store, "shop").await;
    let group = store.group(shop.group_id).await.unwrap();
    let other = kept_deployment(store, &group, "other").await;
    let changed = Deployment { settings: Settings::default().with("replicas", 2).unwrap(), ..shop.clone() };
    let entry = audit("deployment.update");
    done(store, &entry, store.update_deployment(&changed, &entry).await).await;
    let stored = Deployment { version: 2, ..changed.clone() };
    assert_eq!(store.deployment(shop.id).await.unwrap(), stored);

    let late = audit("deployment.update");
    refused(store, ErrorKind::Conflict, &late, store.update_deployment(&changed, &late).await).await;
    let taken = Deployment { slug: other.slug.clone(), ..stored.clone() };
    refused(store, ErrorKind::AlreadyExists, &late, store.update_deployment(&taken, &late).await).await;
    let unknown = deployment(&group, "unknown");
    refused(store, ErrorKind::NotFound, &late, store.update_deployment(&unknown, &late).await).await;
    assert_eq!(store.deployment(shop.id).await.unwrap(), stored);
    assert_eq!(store.deployment(other.id).await.unwrap(), other);
}

/// A deployment is not deleted while it has runs, ended ones included.
pub async fn with_runs_is_not_deleted(store: &dyn Store) {
    let shop = place(store, "shop").await;
    let idle = kept_deployment(store, &store.group(shop.group_id).await.unwrap(), "idle").await;
    let run = queued(store, &shop, &chain(&["a"])).await;
    let entry = audit("deployment.delete");
    refused(store, ErrorKind::Conflict, &entry, store.delete_deployment(shop.id, &entry).await).await;
    record(store, cancel(run.id, "no")).await.unwrap();
    refused(store, ErrorKind::Conflict, &entry, store.delete_deployment(shop.id, &entry).await).await;
    assert_eq!(store.deployment(shop.id).await.unwrap(), shop);
    done(store, &entry, store.delete_deployment(idle.id, &entry).await).await;
    assert!(store.deployment(idle.id).await.unwrap_err().is_not_found());
    let again = audit("deployment.delete");
    refused(store, ErrorKind::NotFound, &again, store.delete_deployment(idle.id, &again).await).await;
}
