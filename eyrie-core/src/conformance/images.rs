//! Container images.

use super::fixtures::{
    audit, audited, chain, deployment, done, enqueue, kept_branch, kept_deployment, kept_group, kept_project, kept_repository, now, place,
    refused,
};
use crate::{
    error::ErrorKind,
    id::{BranchId, ImageId, ProjectId, RepositoryId},
    model::{Deployment, Image, PrincipalRef, RecordedDigest, RunKind},
    oci::{ImageDigest, ImageReference},
    store::{DeploymentFilter, Enqueue, ImageFilter, ImageMove, PageRequest, Store},
};

/// An image of which no digest is known.
#[must_use]
pub fn image(owner: Option<ProjectId>, reference: &str) -> Image {
    Image {
        id: ImageId::new(),
        project_id: owner,
        repository_id: None,
        reference: ImageReference::new(reference).unwrap(),
        current: None,
        created_at: now(),
        version: 1,
    }
}

async fn kept(store: &dyn Store, owner: Option<ProjectId>, reference: &str) -> Image {
    let image = image(owner, reference);
    store.create_image(&image, &audit("image.create")).await.unwrap();
    image
}

fn digest(n: u8) -> ImageDigest {
    ImageDigest::new(format!("sha256:{}", format!("{n:02x}").repeat(32))).unwrap()
}

/// An image is read back as it was kept; lists have one owner, and come in the order of making.
pub async fn kept_and_found(store: &dyn Store) {
    let (first, second) = (kept_project(store, "first").await, kept_project(store, "second").await);
    let source = kept_repository(store, Some(first.id), "shop").await;
    let full = Image {
        repository_id: Some(source.id),
        current: Some(RecordedDigest { digest: digest(1), recorded_at: now() }),
        ..image(Some(first.id), "registry.example.org:5000/team/shop:main")
    };
    let (plain, elsewhere) = (image(Some(first.id), "shop:1"), image(Some(second.id), "shop:1"));
    let (shared, other) = (image(None, "shop:1"), image(None, "base:1"));
    for one in [&full, &plain, &elsewhere, &shared, &other] {
        let entry = audit("image.create");
        done(store, &entry, store.create_image(one, &entry).await).await;
        assert_eq!(&store.image(one.id).await.unwrap(), one);
    }
    assert!(store.image(ImageId::new()).await.unwrap_err().is_not_found());
    let of = |owner| ImageFilter { owner, repository: None };
    let page = store.images(of(Some(first.id)), PageRequest::first(1).unwrap()).await.unwrap();
    assert_eq!((page.items, page.next), (vec![full.clone()], Some(full.id.uuid())));
    assert_eq!(store.images(of(Some(first.id)), PageRequest::default().after(page.next)).await.unwrap().items, [plain]);
    assert_eq!(store.images(of(None), PageRequest::default()).await.unwrap().items, [shared, other]);
    let built = ImageFilter { owner: Some(first.id), repository: Some(source.id) };
    assert_eq!(store.images(built, PageRequest::default()).await.unwrap().items, [full]);

    for owner in [Some(first.id), None] {
        let entry = audit("image.create");
        refused(store, ErrorKind::AlreadyExists, &entry, store.create_image(&image(owner, "shop:1"), &entry).await).await;
    }
    let entry = audit("image.create");
    let astray = Image { repository_id: Some(RepositoryId::new()), ..image(None, "astray:1") };
    refused(store, ErrorKind::NotFound, &entry, store.create_image(&astray, &entry).await).await;
    refused(store, ErrorKind::NotFound, &entry, store.create_image(&image(Some(ProjectId::new()), "x:1"), &entry).await).await;
}

/// An update needs the stored version, makes it one more, and changes the repository alone.
pub async fn versions_guard_updates(store: &dyn Store) {
    let shop = Image { current: Some(RecordedDigest { digest: digest(1), recorded_at: now() }), ..image(None, "shop:1") };
    store.create_image(&shop, &audit("image.create")).await.unwrap();
    let source = kept_repository(store, None, "shop").await;
    let changed = Image { repository_id: Some(source.id), current: None, ..shop.clone() };
    let entry = audit("image.update");
    done(store, &entry, store.update_image(&changed, &entry).await).await;
    let stored = Image { repository_id: Some(source.id), version: 2, ..shop.clone() };
    assert_eq!(store.image(shop.id).await.unwrap(), stored);
    let late = audit("image.update");
    refused(store, ErrorKind::Conflict, &late, store.update_image(&changed, &late).await).await;
    let astray = Image { repository_id: Some(RepositoryId::new()), ..stored.clone() };
    refused(store, ErrorKind::NotFound, &late, store.update_image(&astray, &late).await).await;
    refused(store, ErrorKind::NotFound, &late, store.update_image(&image(None, "gone:1"), &late).await).await;
    assert_eq!(store.image(shop.id).await.unwrap(), stored);
}

/// An image is not deleted while a deployment runs it, nor a project while it has images.
pub async fn in_use_is_not_deleted(store: &dyn Store) {
    let project = kept_project(store, "project").await;
    let group = kept_group(store, &project, "web").await;
    let shop = kept(store, Some(project.id), "shop:1").await;
    let runs_it = Deployment { image_id: Some(shop.id), ..deployment(&group, "shop") };
    store.create_deployment(&runs_it, &audit("deployment.create")).await.unwrap();
    let entry = audit("image.delete");
    refused(store, ErrorKind::Conflict, &entry, store.delete_image(shop.id, &entry).await).await;
    store.update_deployment(&Deployment { image_id: None, ..runs_it.clone() }, &audit("deployment.update")).await.unwrap();
    store.delete_deployment(runs_it.id, &audit("deployment.delete")).await.unwrap();
    store.delete_group(group.id, &audit("group.delete")).await.unwrap();
    refused(store, ErrorKind::Conflict, &entry, store.delete_project(project.id, &entry).await).await;
    done(store, &entry, store.delete_image(shop.id, &entry).await).await;
    assert!(store.image(shop.id).await.unwrap_err().is_not_found());
    let again = audit("image.delete");
    refused(store, ErrorKind::NotFound, &again, store.delete_image(shop.id, &again).await).await;
    store.delete_project(project.id, &audit("project.delete")).await.unwrap();
}

/// A deployment keeps what it follows, is found by it, and follows nothing that is not there.
pub async fn followed_by_deployments(store: &dyn Store) {
    let project = kept_project(store, "project").await;
    let group = kept_group(store, &project, "web").await;
    let (shop, other) = (kept(store, None, "shop:1").await, kept(store, None, "other:1").await);
    let main = kept_branch(store, &kept_repository(store, None, "shop").await, "main").await;
    let plain = kept_deployment(store, &group, "plain").await;
    let full = Deployment {
        branch_id: Some(main.id),
        image_id: Some(shop.id),
        redeploy_on_commit: true,
        redeploy_on_digest: true,
        redeploy_for: Some(PrincipalRef::LocalOperator { name: "ann".to_owned() }),
        ..deployment(&group, "full")
    };
    store.create_deployment(&full, &audit("deployment.create")).await.unwrap();
    assert_eq!(store.deployment(full.id).await.unwrap(), full);
    let changed = Deployment { image_id: Some(other.id), redeploy_on_commit: false, ..full.clone() };
    store.update_deployment(&changed, &audit("deployment.update")).await.unwrap();
    let full = Deployment { version: 2, ..changed };
    assert_eq!(store.deployment(full.id).await.unwrap(), full);
    let nothing = DeploymentFilter::default();
    for (filter, expected) in [
        (DeploymentFilter { image: Some(other.id), ..nothing }, vec![full.clone()]),
        (DeploymentFilter { image: Some(shop.id), ..nothing }, vec![]),
        (DeploymentFilter { branch: Some(main.id), ..nothing }, vec![full.clone()]),
        (DeploymentFilter { branch: Some(main.id), image: Some(shop.id), ..nothing }, vec![]),
        (DeploymentFilter { project: Some(project.id), ..nothing }, vec![plain.clone(), full.clone()]),
    ] {
        assert_eq!(store.deployments(filter, PageRequest::default()).await.unwrap().items, expected, "{filter:?}");
    }
    let entry = audit("deployment.update");
    for astray in
        [Deployment { image_id: Some(ImageId::new()), ..plain.clone() }, Deployment { branch_id: Some(BranchId::new()), ..plain.clone() }]
    {
        refused(store, ErrorKind::NotFound, &entry, store.update_deployment(&astray, &entry).await).await;
    }
    assert_eq!(store.deployment(plain.id).await.unwrap(), plain);
}

/// A digest is recorded together with the runs that follow from it, or nothing is.
pub async fn a_move_queues_its_runs(store: &dyn Store) {
    let shop = place(store, "shop").await;
    let moved = kept(store, None, "shop:1").await;
    let run = || enqueue(&shop, RunKind::Deploy, &chain(&["a"]));
    let to = |version, n, runs: Vec<Enqueue>| ImageMove { image: moved.id, version, digest: digest(n), runs, audit: audit("image.record") };
    let first = to(1, 1, vec![run()]);
    let answer = store.move_image(&first).await.unwrap();
    let current = answer.now.current.clone().unwrap();
    assert_eq!(answer.now, Image { current: Some(current.clone()), version: 2, ..moved.clone() });
    assert!(current.digest == digest(1) && current.recorded_at >= moved.created_at);
    assert_eq!(store.image(moved.id).await.unwrap(), answer.now);
    assert_eq!(audited(store, &first.audit).await, [first.audit.clone()]);
    assert_eq!(store.run(first.runs[0].run.id).await.unwrap(), answer.queued[0].run);
    let late = to(1, 2, vec![run()]);
    let refusal = store.move_image(&late).await;
    refused(store, ErrorKind::Conflict, &late.audit, refusal).await;
    assert!(store.run(late.runs[0].run.id).await.unwrap_err().is_not_found());
    let unknown = ImageMove { image: ImageId::new(), ..to(1, 2, Vec::new()) };
    let refusal = store.move_image(&unknown).await;
    refused(store, ErrorKind::NotFound, &unknown.audit, refusal).await;
    assert_eq!(store.image(moved.id).await.unwrap(), answer.now);
}
