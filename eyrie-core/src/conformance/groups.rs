//! Deployment groups and their scopes.

use super::fixtures::{audit, deployment, done, group, kept_deployment, kept_group, kept_project, refused, scope};
use crate::{
    error::ErrorKind,
    id::{GroupId, ProjectId, ScopeId},
    model::{Deployment, DeploymentGroup, Scope, Settings},
    name::Slug,
    store::{PageRequest, Store},
};

/// A group is read back as it was kept, by id and by slug; lists hold the project's groups in the order of their making.
pub async fn kept_and_found(store: &dyn Store) {
    let (first, second) = (kept_project(store, "first").await, kept_project(store, "second").await);
    let (web, entry) = (group(&first, "web"), audit("group.create"));
    done(store, &entry, store.create_group(&web, &entry).await).await;
    let api = kept_group(store, &first, "api").await;
    let elsewhere = kept_group(store, &second, "web").await;

    assert_eq!(store.group(web.id).await.unwrap(), web);
    assert_eq!(store.group_by_slug(second.id, &web.slug).await.unwrap(), elsewhere);
    assert!(store.group_by_slug(second.id, &api.slug).await.unwrap_err().is_not_found());
    assert!(store.group(GroupId::new()).await.unwrap_err().is_not_found());
    let page = store.groups(first.id, None, PageRequest::first(1).unwrap()).await.unwrap();
    assert_eq!((page.items, page.next), (vec![web.clone()], Some(web.id.uuid())));
    let rest = store.groups(first.id, None, PageRequest::default().after(page.next)).await.unwrap();
    assert_eq!((rest.items, rest.next), (vec![api], None));
    assert_eq!(store.groups(ProjectId::new(), None, PageRequest::default()).await.unwrap().items, []);
}

/// A slug is given once within a project.
pub async fn slugs_are_unique_in_the_project(store: &dyn Store) {
    let project = kept_project(store, "project").await;
    kept_group(store, &project, "web").await;
    let (twin, entry) = (group(&project, "web"), audit("group.create"));
    refused(store, ErrorKind::AlreadyExists, &entry, store.create_group(&twin, &entry).await).await;
    assert!(store.group(twin.id).await.unwrap_err().is_not_found());
    let orphan = DeploymentGroup { project_id: ProjectId::new(), ..group(&project, "orphan") };
    refused(store, ErrorKind::NotFound, &entry, store.create_group(&orphan, &entry).await).await;
    assert!(store.group(orphan.id).await.unwrap_err().is_not_found());
}

/// An update needs the stored version and makes it one more.
pub async fn versions_guard_updates(store: &dyn Store) {
    let project = kept_project(store, "project").await;
    let (web, api) = (kept_group(store, &project, "web").await, kept_group(store, &project, "api").await);
    let changed = DeploymentGroup { settings: Settings::default().with("replicas", 3).unwrap(), ..web.clone() };
    let entry = audit("group.update");
    done(store, &entry, store.update_group(&changed, &entry).await).await;
    let stored = DeploymentGroup { version: 2, ..changed.clone() };
    assert_eq!(store.group(web.id).await.unwrap(), stored);

    let late = audit("group.update");
    refused(store, ErrorKind::Conflict, &late, store.update_group(&changed, &late).await).await;
    let taken = DeploymentGroup { slug: api.slug.clone(), ..stored.clone() };
    refused(store, ErrorKind::AlreadyExists, &late, store.update_group(&taken, &late).await).await;
    refused(store, ErrorKind::NotFound, &late, store.update_group(&group(&project, "gone"), &late).await).await;
    assert_eq!(store.group(web.id).await.unwrap(), stored);
    assert_eq!(store.group(api.id).await.unwrap(), api);
}

/// A group is deleted with its scopes, but not while it has deployments.
pub async fn in_use_is_not_deleted(store: &dyn Store) {
    let project = kept_project(store, "project").await;
    let (web, api) = (kept_group(store, &project, "web").await, kept_group(store, &project, "api").await);
    let (scope, other) = (scope(&web, "prod"), self::scope(&api, "prod"));
    store.create_scope(&scope, &audit("scope.create")).await.unwrap();
    store.create_scope(&other, &audit("scope.create")).await.unwrap();
    let deployment = kept_deployment(store, &web, "shop").await;

    let entry = audit("group.delete");
    refused(store, ErrorKind::Conflict, &entry, store.delete_group(web.id, &entry).await).await;
    assert_eq!(store.scope(scope.id).await.unwrap(), scope);
    store.delete_deployment(deployment.id, &audit("deployment.delete")).await.unwrap();
    done(store, &entry, store.delete_group(web.id, &entry).await).await;
    assert!(store.group(web.id).await.unwrap_err().is_not_found());
    assert!(store.scope(scope.id).await.unwrap_err().is_not_found());
    assert_eq!(store.scope(other.id).await.unwrap(), other);
    let again = audit("group.delete");
    refused(store, ErrorKind::NotFound, &again, store.delete_group(web.id, &again).await).await;
}

/// A scope is read back as it was kept and changed; its slug is given once within its group.
pub async fn scopes_kept_and_found(store: &dyn Store) {
    let project = kept_project(store, "project").await;
    let (web, api) = (kept_group(store, &project, "web").await, kept_group(store, &project, "api").await);
    let (prod, staging) = (scope(&web, "prod"), Scope { monitor_log_delete_after_seconds: None, ..scope(&web, "staging") });
    for one in [&prod, &staging, &scope(&api, "prod")] {
        let entry = audit("scope.create");
        done(store, &entry, store.create_scope(one, &entry).await).await;
    }
    assert_eq!(store.scope(staging.id).await.unwrap(), staging);
    assert!(store.scope(ScopeId::new()).await.unwrap_err().is_not_found());
    let page = store.scopes(web.id, PageRequest::first(1).unwrap()).await.unwrap();
    assert_eq!((page.items, page.next), (vec![prod.clone()], Some(prod.id.uuid())));
    assert_eq!(store.scopes(web.id, PageRequest::default().after(page.next)).await.unwrap().items, [staging.clone()]);

    let entry = audit("scope.create");
    refused(store, ErrorKind::AlreadyExists, &entry, store.create_scope(&scope(&web, "prod"), &entry).await).await;
    let orphan = Scope { group_id: GroupId::new(), ..scope(&web, "orphan") };
    refused(store, ErrorKind::NotFound, &entry, store.create_scope(&orphan, &entry).await).await;

    let entry = audit("scope.update");
    let changed = Scope { slug: Slug::new("live").unwrap(), ..prod.clone() };
    done(store, &entry, store.update_scope(&changed, &entry).await).await;
    let stored = Scope { version: 2, ..changed.clone() };
    assert_eq!(store.scope(prod.id).await.unwrap(), stored);
    let late = audit("scope.update");
    refused(store, ErrorKind::Conflict, &late, store.update_scope(&changed, &late).await).await;
    let taken = Scope { slug: staging.slug.clone(), ..stored.clone() };
    refused(store, ErrorKind::AlreadyExists, &late, store.update_scope(&taken, &late).await).await;
    assert_eq!(store.scope(prod.id).await.unwrap(), stored);
}

/// A scope is not deleted while a deployment is in it, and no deployment goes into one that is not there.
pub async fn scopes_in_use(store: &dyn Store) {
    let project = kept_project(store, "project").await;
    let web = kept_group(store, &project, "web").await;
    let prod = scope(&web, "prod");
    store.create_scope(&prod, &audit("scope.create")).await.unwrap();
    let shop = Deployment { scope_id: Some(prod.id), ..deployment(&web, "shop") };
    store.create_deployment(&shop, &audit("deployment.create")).await.unwrap();

    let entry = audit("scope.delete");
    refused(store, ErrorKind::Conflict, &entry, store.delete_scope(prod.id, &entry).await).await;
    assert_eq!(store.scope(prod.id).await.unwrap(), prod);
    store.update_deployment(&Deployment { scope_id: None, ..shop }, &audit("deployment.update")).await.unwrap();
    done(store, &entry, store.delete_scope(prod.id, &entry).await).await;
    assert!(store.scope(prod.id).await.unwrap_err().is_not_found());
    let late = audit("scope.delete");
    refused(store, ErrorKind::NotFound, &late, store.delete_scope(prod.id, &late).await).await;
    let astray = Deployment { scope_id: Some(prod.id), ..deployment(&web, "astray") };
    refused(store, ErrorKind::NotFound, &late, store.create_deployment(&astray, &late).await).await;
    assert!(store.deployment(astray.id).await.unwrap_err().is_not_found());
}
