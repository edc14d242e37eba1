//! Releases and deployed services, which successful runs make.

use super::fixtures::{
    Held, advance, cancel, chain, claimed, failed, held_in, place, planned_release, queued, record, resume, settle, start, succeeded,
    success, undo_failed, undo_of_a_failure, undone,
};
use crate::{
    id::{DeployedServiceId, ProjectId, ReleaseId},
    model::{DeployedService, DeployedState, Deployment, Release, RunKind, RunState},
    store::{DeployedServiceFilter, End, Fence, PageRequest, Settlement, Store},
};

async fn releases(store: &dyn Store, deployment: &Deployment) -> Vec<Release> {
    store.releases(deployment.id, PageRequest::default()).await.unwrap().items
}

async fn deployed(store: &dyn Store, deployment: &Deployment) -> Vec<DeployedService> {
    let filter = DeployedServiceFilter { deployment: Some(deployment.id), ..DeployedServiceFilter::default() };
    store.deployed_services(filter, PageRequest::default()).await.unwrap().items
}

/// A run of the kind that ends well, with a release or without.
async fn done(store: &dyn Store, deployment: &Deployment, kind: RunKind, leaves_running: Option<bool>) -> Held {
    let held = held_in(store, deployment, kind, &chain(&["a"])).await;
    let end = Some(End::Succeed { release: leaves_running.map(planned_release) });
    assert_eq!(held.change(store, advance([success(0)], [], end)).await.unwrap().run_state, RunState::Succeeded);
    held
}

/// A run of the kind that fails.
async fn broken(store: &dyn Store, deployment: &Deployment, kind: RunKind) -> Held {
    let held = held_in(store, deployment, kind, &chain(&["a"])).await;
    held.change(store, advance([settle(0, 1, Settlement::Failed)], [], failed("no"))).await.unwrap();
    held
}

/// A successful deploy makes a release, and a deployed service that runs it; the next one another release of the same service.
pub async fn made_by_a_deploy(store: &dyn Store) {
    let shop = place(store, "shop").await;
    let first = done(store, &shop, RunKind::Deploy, Some(true)).await;
    let run = first.now(store).await;
    let release = store.release(run.release_id.unwrap()).await.unwrap();
    let expected = Release {
        id: release.id,
        deployment_id: shop.id,
        run_id: run.id,
        plan_hash: run.plan_hash,
        config: planned_release(true).config,
        created_at: run.finished_at.unwrap(),
    };
    assert_eq!(release, expected);
    let service = deployed(store, &shop).await.remove(0);
    let expected = DeployedService {
        id: service.id,
        project_id: shop.project_id,
        deployment_id: shop.id,
        cluster_id: None,
        state: DeployedState::Running,
        release_id: release.id,
        run_id: run.id,
        updated_at: run.finished_at.unwrap(),
    };
    assert_eq!(service, expected);
    assert_eq!(store.deployed_service(service.id).await.unwrap(), service);

    let second = done(store, &shop, RunKind::Deploy, Some(true)).await.now(store).await;
    let listed: Vec<_> = releases(store, &shop).await.iter().map(|release| release.run_id).collect();
    assert_eq!(listed, [second.id, run.id], "newest first");
    let after = deployed(store, &shop).await;
    let expected =
        DeployedService { release_id: second.release_id.unwrap(), run_id: second.id, updated_at: second.finished_at.unwrap(), ..service };
    assert_eq!(after, [expected]);
    assert!(store.release(ReleaseId::new()).await.unwrap_err().is_not_found());
    assert!(store.deployed_service(DeployedServiceId::new()).await.unwrap_err().is_not_found());
}

/// The service's state follows the runs of its deployment: what stops, starts and removes it, and what failed on the way.
pub async fn state_follows_the_runs(store: &dyn Store) {
    let shop = place(store, "shop").await;
    done(store, &shop, RunKind::Deploy, Some(true)).await;
    let service = deployed(store, &shop).await.remove(0);
    for (kind, succeeds, expected) in [
        (RunKind::Stop, true, DeployedState::Stopped),
        (RunKind::Start, true, DeployedState::Running),
        (RunKind::Restart, false, DeployedState::Unknown),
        (RunKind::Restart, true, DeployedState::Running),
        (RunKind::Deploy, false, DeployedState::Unknown),
        (RunKind::Remove, true, DeployedState::Removed),
    ] {
        let held = if succeeds { done(store, &shop, kind, None).await } else { broken(store, &shop, kind).await };
        let now = deployed(store, &shop).await;
        let updated_at = held.now(store).await.finished_at.unwrap();
        assert_eq!(now, [DeployedService { state: expected, run_id: held.run.id, updated_at, ..service.clone() }], "{kind} {succeeds}");
    }
    assert_eq!(releases(store, &shop).await.len(), 1);
}

/// A run that only looks or saves does not touch the service, nor does one that was cancelled before it began.
pub async fn untouched_by_some_runs(store: &dyn Store) {
    let shop = place(store, "shop").await;
    done(store, &shop, RunKind::Deploy, Some(true)).await;
    let service = deployed(store, &shop).await;
    for kind in [RunKind::Backup, RunKind::Probe] {
        done(store, &shop, kind, None).await;
        broken(store, &shop, kind).await;
    }
    let waiting = queued(store, &shop, &chain(&["a"])).await;
    record(store, cancel(waiting.id, "no")).await.unwrap();
    assert_eq!(deployed(store, &shop).await, service);
}

/// A cancelled run that had begun may have changed anything.
pub async fn unknown_after_a_cancel(store: &dyn Store) {
    let shop = place(store, "shop").await;
    done(store, &shop, RunKind::Deploy, Some(true)).await;
    let held = held_in(store, &shop, RunKind::Deploy, &chain(&["a"])).await;
    record(store, cancel(held.run.id, "no")).await.unwrap();
    assert_eq!(deployed(store, &shop).await[0].state, DeployedState::Running, "it has not stopped yet");
    let end = advance([settle(0, 1, Settlement::Cancelled)], [], Some(End::Cancel { message: String::new() }));
    held.change(store, end).await.unwrap();
    assert_eq!(deployed(store, &shop).await[0].state, DeployedState::Unknown);
}

/// No service is made by what leaves nothing running, fails, or makes no release.
pub async fn no_service_without_cause(store: &dyn Store) {
    let shop = place(store, "shop").await;
    broken(store, &shop, RunKind::Deploy).await;
    let held = held_in(store, &shop, RunKind::Deploy, &chain(&["a"])).await;
    held.change(store, advance([success(0)], [], succeeded())).await.unwrap();
    assert_eq!((releases(store, &shop).await.len(), held.now(store).await.release_id), (0, None));
    let job = done(store, &shop, RunKind::Deploy, Some(false)).await.now(store).await;
    let listed = releases(store, &shop).await;
    assert_eq!(listed.iter().map(|release| release.id).collect::<Vec<_>>(), [job.release_id.unwrap()]);
    assert_eq!(listed[0].config, planned_release(false).config);
    assert_eq!(deployed(store, &shop).await, []);
}

/// A success that lost to a cancel makes nothing.
pub async fn nothing_after_a_lost_race(store: &dyn Store) {
    let held = held_in(store, &place(store, "shop").await, RunKind::Deploy, &chain(&["a"])).await;
    record(store, cancel(held.run.id, "no")).await.unwrap();
    let end = Some(End::Succeed { release: Some(planned_release(true)) });
    held.change(store, advance([success(0)], [], end)).await.unwrap();
    assert_eq!(releases(store, &held.deployment).await, []);
    assert_eq!(deployed(store, &held.deployment).await, []);
    assert_eq!(held.now(store).await.release_id, None);
}

/// Releases and services are listed in pages; services by project and deployment.
pub async fn listed(store: &dyn Store) {
    let (shop, blog) = (place(store, "shop").await, place(store, "blog").await);
    for deployment in [&shop, &blog, &shop] {
        done(store, deployment, RunKind::Deploy, Some(true)).await;
    }
    let first = store.releases(shop.id, PageRequest::first(1).unwrap()).await.unwrap();
    let rest = store.releases(shop.id, PageRequest::first(1).unwrap().after(first.next)).await.unwrap();
    assert_eq!([first.items, rest.items].concat(), releases(store, &shop).await);
    assert_eq!(rest.next, None);
    let any = DeployedServiceFilter::default();
    for (filter, expected) in [
        (any, vec![shop.id, blog.id]),
        (DeployedServiceFilter { project: Some(blog.project_id), ..any }, vec![blog.id]),
        (DeployedServiceFilter { project: Some(blog.project_id), deployment: Some(shop.id), ..any }, vec![]),
        (DeployedServiceFilter { project: Some(ProjectId::new()), ..any }, vec![]),
    ] {
        let page = store.deployed_services(filter, PageRequest::default()).await.unwrap();
        assert_eq!(page.items.iter().map(|service| service.deployment_id).collect::<Vec<_>>(), expected, "{filter:?}");
    }
}

/// What runs is as before when all that a deploy did was undone, and unknown when it could not be.
pub async fn untouched_by_an_undo(store: &dyn Store) {
    let shop = place(store, "shop").await;
    done(store, &shop, RunKind::Deploy, Some(true)).await;
    let before = deployed(store, &shop).await;
    let undoing = async || {
        let held = held_in(store, &shop, RunKind::Deploy, &chain(&["a", "b"])).await;
        held.change(store, advance([settle(0, 1, Settlement::Failed)], [start(0)], undo_of_a_failure("no"))).await.unwrap();
        held
    };
    let held = undoing().await;
    held.change(store, advance([settle(0, 2, undone())], [], Some(End::UndoSucceed))).await.unwrap();
    assert_eq!(deployed(store, &shop).await, before);
    let held = undoing().await;
    held.change(store, advance([settle(0, 2, Settlement::Failed)], [], undo_failed("neither"))).await.unwrap();
    let after = deployed(store, &shop).await.remove(0);
    assert_eq!((after.state, after.run_id, after.release_id), (DeployedState::Unknown, held.run.id, before[0].release_id));
}

/// A failed deploy that is resumed makes its release when it succeeds at last; one that is cancelled before it goes on changes
/// nothing that was deployed meanwhile.
pub async fn made_by_a_resumed_run(store: &dyn Store) {
    let shop = place(store, "shop").await;
    let (first, second) = (broken(store, &shop, RunKind::Deploy).await, broken(store, &shop, RunKind::Deploy).await);
    let between = done(store, &shop, RunKind::Deploy, Some(true)).await;
    let state = async || deployed(store, &shop).await.into_iter().map(|service| (service.state, service.run_id)).collect::<Vec<_>>();
    assert_eq!(state().await, [(DeployedState::Running, between.run.id)]);
    record(store, resume(second.run.id, "once more")).await.unwrap();
    record(store, cancel(second.run.id, "better not")).await.unwrap();
    assert_eq!(state().await, [(DeployedState::Running, between.run.id)], "nothing was begun again");

    record(store, resume(first.run.id, "once more")).await.unwrap();
    let worker = first.fence.worker;
    assert_eq!(claimed(store, worker).await.run.id, first.run.id);
    let again = Held { fence: Fence { worker, epoch: 2 }, ..first };
    again.change(store, advance([], [start(0)], None)).await.unwrap();
    let end = Some(End::Succeed { release: Some(planned_release(true)) });
    again.change(store, advance([settle(0, 2, Settlement::Succeeded { output: None })], [], end)).await.unwrap();
    assert_eq!(state().await, [(DeployedState::Running, again.run.id)]);
    let listed: Vec<_> = releases(store, &shop).await.iter().map(|release| release.run_id).collect();
    assert_eq!(listed, [again.run.id, between.run.id]);
}
