//! Datasources.

use serde_json::json;

use super::fixtures::{audit, done, kept_group, kept_project, now, refused, scope};
use crate::{
    error::ErrorKind,
    id::{DatasourceId, ProjectId, SecretId},
    model::{DataType, Datasource, DatasourceConfig, DatasourceUsage, Owner, Scope},
    name::{DisplayName, Slug},
    store::{PageRequest, Store},
};

fn datasource(project: Option<ProjectId>, slug: &str) -> Datasource {
    let config = json!({ "endpoint": "https://s3.example.org", "bucket": "back-ups", "region": null, "path": "a/b" });
    Datasource {
        id: DatasourceId::new(),
        project_id: project,
        slug: Slug::new(slug).unwrap(),
        name: DisplayName::new("Backups").unwrap(),
        usage: DatasourceUsage::RemoteBackup,
        config: DatasourceConfig::parse(DataType::S3Like, &config).unwrap(),
        credentials_secret_id: None,
        created_at: now(),
        version: 1,
    }
}

async fn kept(store: &dyn Store, project: Option<ProjectId>, slug: &str) -> Datasource {
    let datasource = datasource(project, slug);
    store.create_datasource(&datasource, &audit("datasource.create")).await.unwrap();
    datasource
}

/// A datasource is read back as it was kept; lists hold an owner's, and no other's.
pub async fn kept_and_found(store: &dyn Store) {
    let (mine, other) = (kept_project(store, "mine").await, kept_project(store, "other").await);
    let (first, entry) = (datasource(Some(mine.id), "first"), audit("datasource.create"));
    done(store, &entry, store.create_datasource(&first, &entry).await).await;
    let second = kept(store, Some(mine.id), "second").await;
    let elsewhere = kept(store, Some(other.id), "first").await;
    let shared = kept(store, None, "first").await;
    assert_eq!(store.datasource(first.id).await.unwrap(), first);
    assert!(store.datasource(DatasourceId::new()).await.unwrap_err().is_not_found());
    let page = store.datasources(Owner::Project(mine.id), PageRequest::first(1).unwrap()).await.unwrap();
    assert_eq!((page.items, page.next), (vec![first.clone()], Some(first.id.uuid())));
    assert_eq!(store.datasources(Owner::Project(mine.id), PageRequest::default().after(page.next)).await.unwrap().items, [second]);
    assert_eq!(store.datasources(Owner::Project(other.id), PageRequest::default()).await.unwrap().items, [elsewhere]);
    assert_eq!(store.datasources(Owner::Operators, PageRequest::default()).await.unwrap().items, [shared]);

    let late = audit("datasource.create");
    for project in [Some(mine.id), None] {
        let twin = datasource(project, "first");
        refused(store, ErrorKind::AlreadyExists, &late, store.create_datasource(&twin, &late).await).await;
    }
    let orphan = datasource(Some(ProjectId::new()), "first");
    refused(store, ErrorKind::NotFound, &late, store.create_datasource(&orphan, &late).await).await;
    let without = Datasource { credentials_secret_id: Some(SecretId::new()), ..datasource(Some(mine.id), "third") };
    refused(store, ErrorKind::NotFound, &late, store.create_datasource(&without, &late).await).await;
    refused(store, ErrorKind::Conflict, &late, store.delete_project(mine.id, &late).await).await;
}

/// An update needs the stored version and makes it one more.
pub async fn versions_guard_updates(store: &dyn Store) {
    let first = kept(store, None, "first").await;
    let config = DatasourceConfig::parse(DataType::Filesystem, &json!({ "path": "/srv/backups" })).unwrap();
    let changed = Datasource { config, usage: DatasourceUsage::FileStorage, ..first };
    let entry = audit("datasource.update");
    done(store, &entry, store.update_datasource(&changed, &entry).await).await;
    assert_eq!(store.datasource(changed.id).await.unwrap(), Datasource { version: 2, ..changed.clone() });
    let late = audit("datasource.update");
    refused(store, ErrorKind::Conflict, &late, store.update_datasource(&changed, &late).await).await;
    refused(store, ErrorKind::NotFound, &late, store.update_datasource(&datasource(None, "nobody"), &late).await).await;
}

/// A datasource is not deleted while backups of a scope go there, and no scope names one that is not there.
pub async fn in_use_is_not_deleted(store: &dyn Store) {
    let project = kept_project(store, "project").await;
    let web = kept_group(store, &project, "web").await;
    let place = kept(store, Some(project.id), "backups").await;
    let prod = Scope { backup_dest_datasource_id: Some(place.id), ..scope(&web, "prod") };
    store.create_scope(&prod, &audit("scope.create")).await.unwrap();
    assert_eq!(store.scope(prod.id).await.unwrap(), prod);
    let entry = audit("datasource.delete");
    refused(store, ErrorKind::Conflict, &entry, store.delete_datasource(place.id, &entry).await).await;
    let nowhere = Scope { backup_dest_datasource_id: Some(DatasourceId::new()), ..scope(&web, "astray") };
    refused(store, ErrorKind::NotFound, &entry, store.create_scope(&nowhere, &entry).await).await;
    let astray = Scope { backup_dest_datasource_id: Some(DatasourceId::new()), ..prod.clone() };
    refused(store, ErrorKind::NotFound, &entry, store.update_scope(&astray, &entry).await).await;
    store.update_scope(&Scope { backup_dest_datasource_id: None, ..prod }, &audit("scope.update")).await.unwrap();
    done(store, &entry, store.delete_datasource(place.id, &entry).await).await;
    let late = audit("datasource.delete");
    refused(store, ErrorKind::NotFound, &late, store.delete_datasource(place.id, &late).await).await;
}
