//! Services.

use serde_json::json;

use super::fixtures::{audit, deployment, done, kept_group, kept_project, refused, service};
use crate::{
    error::ErrorKind,
    id::{ProjectId, ServiceId},
    model::{Deployment, Service, ServiceSource},
    store::{PageRequest, Store},
};

/// A service is read back as it was kept, by id and by name; lists come in the order of making.
pub async fn kept_and_found(store: &dyn Store) {
    let (first, second) = (kept_project(store, "first").await, kept_project(store, "second").await);
    let (shop, blog) = (service(&first, "shop"), Service { source: ServiceSource::Directory, ..service(&first, "Blog_2") });
    let elsewhere = service(&second, "shop");
    for one in [&shop, &blog, &elsewhere] {
        let entry = audit("service.create");
        done(store, &entry, store.create_service(one, &entry).await).await;
    }
    assert_eq!(store.service(blog.id).await.unwrap(), blog);
    assert_eq!(store.service_by_name(second.id, &shop.name).await.unwrap(), elsewhere);
    assert!(store.service_by_name(second.id, &blog.name).await.unwrap_err().is_not_found());
    assert!(store.service(ServiceId::new()).await.unwrap_err().is_not_found());
    let page = store.services(first.id, PageRequest::first(1).unwrap()).await.unwrap();
    assert_eq!((page.items, page.next), (vec![shop.clone()], Some(shop.id.uuid())));
    assert_eq!(store.services(first.id, PageRequest::default().after(page.next)).await.unwrap().items, [blog]);

    let entry = audit("service.create");
    refused(store, ErrorKind::AlreadyExists, &entry, store.create_service(&service(&first, "shop"), &entry).await).await;
    let orphan = Service { project_id: ProjectId::new(), ..service(&first, "orphan") };
    refused(store, ErrorKind::NotFound, &entry, store.create_service(&orphan, &entry).await).await;
    assert!(store.service(orphan.id).await.unwrap_err().is_not_found());
}

/// An update needs the stored version and makes it one more.
pub async fn versions_guard_updates(store: &dyn Store) {
    let project = kept_project(store, "project").await;
    let (shop, blog) = (service(&project, "shop"), service(&project, "blog"));
    store.create_service(&shop, &audit("service.create")).await.unwrap();
    store.create_service(&blog, &audit("service.create")).await.unwrap();
    let changed = Service { config: json!({ "script": "other.sh" }), source: ServiceSource::Directory, ..shop.clone() };
    let entry = audit("service.update");
    done(store, &entry, store.update_service(&changed, &entry).await).await;
    let stored = Service { version: 2, ..changed.clone() };
    assert_eq!(store.service(shop.id).await.unwrap(), stored);

    let late = audit("service.update");
    refused(store, ErrorKind::Conflict, &late, store.update_service(&changed, &late).await).await;
    let taken = Service { name: blog.name.clone(), ..stored.clone() };
    refused(store, ErrorKind::AlreadyExists, &late, store.update_service(&taken, &late).await).await;
    refused(store, ErrorKind::NotFound, &late, store.update_service(&service(&project, "gone"), &late).await).await;
    assert_eq!(store.service(shop.id).await.unwrap(), stored);
}

/// A service is not deleted while a deployment refers to it.
pub async fn in_use_is_not_deleted(store: &dyn Store) {
    let project = kept_project(store, "project").await;
    let group = kept_group(store, &project, "web").await;
    let shop = service(&project, "shop");
    store.create_service(&shop, &audit("service.create")).await.unwrap();
    let deployment = Deployment { service_id: Some(shop.id), ..deployment(&group, "shop") };
    store.create_deployment(&deployment, &audit("deployment.create")).await.unwrap();

    let entry = audit("service.delete");
    refused(store, ErrorKind::Conflict, &entry, store.delete_service(shop.id, &entry).await).await;
    assert_eq!(store.service(shop.id).await.unwrap(), shop);
    store.delete_deployment(deployment.id, &audit("deployment.delete")).await.unwrap();
    done(store, &entry, store.delete_service(shop.id, &entry).await).await;
    assert!(store.service(shop.id).await.unwrap_err().is_not_found());
    let again = audit("service.delete");
    refused(store, ErrorKind::NotFound, &again, store.delete_service(shop.id, &again).await).await;
}
