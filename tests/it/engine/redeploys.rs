//! Deployments that follow a branch or an image are deployed again when it moves: once, for the newest, within the rights of who
//! asked for it. And what monitors found out is not kept for ever.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use eyrie_core::{
    ErrorKind,
    address::{GitUrl, HttpUrl},
    deployment_type::{DeploymentType, PlanRequest},
    engine::WorkerOptions,
    git::{BranchName, CommitId},
    id::{DeploymentId, ImageId, SecretId},
    model::{
        DeploymentPatch, MonitorCheck, MonitorOutcome, MonitorResult, NewBranch, NewImage, NewMonitor, NewRepository, NewScope, NewSecret,
        Owner, Plan, PrincipalRef, RepositoryPatch, Role, Run, RunKind, RunState, ScopePatch,
    },
    name::{GroupType, Slug},
    oci::{ImageDigest, ImageReference},
    platform::StartRun,
    secret::MemoryKeyring,
    store::{AuditFilter, PageRequest, RunFilter},
};
use eyrie_tests::world::{Ground, Kind, World, deployment, quick};
use serde_json::json;

use super::on_every_store;

on_every_store! {
    a_new_digest_is_deployed;
    only_the_newest_digest_waits;
    within_the_rights_of_who_subscribed;
    digests_in_a_race;
    a_branch_moves;
    credentials_are_not_sent_to_another_host;
    monitor_logs_are_pruned_as_the_scope_says;
}

/// Plans a step that waits for the gate, and puts into its parameters what the deployment is made from.
#[derive(Debug)]
struct Following(GroupType);

impl DeploymentType for Following {
    fn group_type(&self) -> &GroupType {
        &self.0
    }

    fn plan(&self, request: &PlanRequest<'_>) -> eyrie_core::Result<Plan> {
        let digest = request.image.and_then(|image| image.current.as_ref()).map(|current| &current.digest);
        let commit = request.branch.and_then(|branch| branch.head.as_ref()).map(|head| &head.commit);
        let action = if request.kind == RunKind::Deploy { "gate" } else { "echo" };
        Plan::builder().step("a", action, |step| step.parameters(json!([digest, commit]))).build()
    }
}

async fn world(kind: Kind, options: WorkerOptions) -> World {
    let following = Following(GroupType::new("test").unwrap());
    World::with(&Ground::new(kind).await, options, |builder| builder.deployment_type(following)).await
}

fn digest(n: u8) -> ImageDigest {
    ImageDigest::new(format!("sha256:{}", format!("{n:02x}").repeat(32))).unwrap()
}

fn commit(n: u8) -> CommitId {
    CommitId::new(format!("{n:02x}").repeat(20)).unwrap()
}

/// An image of the operators.
async fn image(world: &World) -> ImageId {
    world.me.create_image(NewImage::new(ImageReference::new("registry.example.org/shop:main").unwrap())).await.unwrap().id
}

fn subscribe(image: ImageId) -> DeploymentPatch {
    DeploymentPatch { image_id: Some(Some(image)), redeploy_on_digest: Some(true), ..DeploymentPatch::default() }
}

async fn runs(world: &World, deployment: DeploymentId) -> Vec<Run> {
    let filter = RunFilter { deployment: Some(deployment), ..RunFilter::default() };
    world.me.runs(filter, PageRequest::default()).await.unwrap().items
}

/// What the run's plan was made from.
async fn made_from(world: &World, run: &Run) -> serde_json::Value {
    world.ground.store.plan(run.plan_hash).await.unwrap().steps()[0].parameters.clone()
}

async fn a_new_digest_is_deployed(kind: Kind) {
    let world = world(kind, quick()).await;
    let (image, other) = (image(&world).await, deployment(&world.me, "other").await);
    let id = world.deployment.id;
    let subscribed = world.me.update_deployment(id, 1, subscribe(image)).await.unwrap();
    assert_eq!(subscribed.redeploy_for, Some(PrincipalRef::from(world.me.principal())));
    let runs_it = DeploymentPatch { image_id: Some(Some(image)), ..DeploymentPatch::default() };
    world.me.update_deployment(other.id, 1, runs_it).await.unwrap();
    let recorded = world.me.record_image_digest(image, digest(1)).await.unwrap();
    assert_eq!(recorded.now.current.as_ref().map(|current| &current.digest), Some(&digest(1)));
    assert_eq!(recorded.redeploys.len(), 1, "the other one only runs it");
    let run = recorded.redeploys[0].run_id.unwrap();
    world.gate.permits.add_permits(1);
    let run = world.end_of(run).await.run;
    assert_eq!((run.state, run.kind, run.deployment_id), (RunState::Succeeded, RunKind::Deploy, id));
    assert_eq!(made_from(&world, &run).await, json!([digest(1), null]), "planned with what is new");
    let PrincipalRef::Deputy { cause, .. } = &run.requested_by else { panic!("{:?}", run.requested_by) };
    assert_eq!(cause, "image registry.example.org/shop:main");
    let again = world.me.record_image_digest(image, digest(1)).await.unwrap();
    assert_eq!((again.now, again.redeploys), (recorded.now, vec![]), "the same changes nothing");
    assert_eq!((runs(&world, id).await.len(), runs(&world, other.id).await.len()), (1, 0));
    let about = |resource: String| AuditFilter { resource: Some(resource), ..Default::default() };
    let entries = world.me.audit(about(format!("image {image}")), PageRequest::default()).await.unwrap().items;
    let actions: Vec<_> = entries.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, ["image.record", "image.create"]);
    let started = world.me.audit(about(format!("run {}", run.id)), PageRequest::default()).await.unwrap().items.remove(0);
    assert_eq!(started.reason, format!("image registry.example.org/shop:main is {}", digest(1)));

    // What is asked for by hand is made from the same.
    let backup = StartRun { kind: RunKind::Backup, ..StartRun::default() };
    let backup = world.me.start_run(id, backup).await.unwrap();
    assert_eq!(made_from(&world, &backup).await, json!([digest(1), null]));
}

async fn only_the_newest_digest_waits(kind: Kind) {
    let world = world(kind, quick()).await;
    let image = image(&world).await;
    let id = world.deployment.id;
    world.me.update_deployment(id, 1, subscribe(image)).await.unwrap();
    let record = async |n| world.me.record_image_digest(image, digest(n)).await.unwrap().redeploys[0].run_id.unwrap();
    let running = record(1).await;
    world.gate.wait_begun(1).await;
    let by_hand = world.me.start_run(id, StartRun::default()).await.unwrap().id;
    let (waiting, newest) = (record(2).await, record(3).await);
    let superseded = world.me.run(waiting).await.unwrap().run;
    assert_eq!((superseded.state, superseded.message.clone()), (RunState::Cancelled, format!("superseded by run {newest}")));
    world.gate.permits.add_permits(3);
    for run in [running, by_hand, newest] {
        let run = world.end_of(run).await.run;
        assert_eq!(run.state, RunState::Succeeded, "what has begun, and what a person asked for, stays");
    }
    assert_eq!(made_from(&world, &world.me.run(newest).await.unwrap().run).await, json!([digest(3), null]));
}

async fn within_the_rights_of_who_subscribed(kind: Kind) {
    let world = world(kind, quick()).await;
    let image = image(&world).await;
    let (id, project) = (world.deployment.id, world.deployment.project_id);
    let (dora, as_dora) = world.user("dora", Role::Developer).await;
    let subscribed = as_dora.update_deployment(id, 1, subscribe(image)).await.unwrap();
    assert_eq!(as_dora.record_image_digest(image, digest(1)).await.unwrap_err().kind(), ErrorKind::Denied, "it is the operators'");
    assert_eq!(world.me.image(image).await.unwrap().current, None);
    world.me.set_member(project, dora, Role::User).await.unwrap();
    let recorded = world.me.record_image_digest(image, digest(1)).await.unwrap();
    let told: Vec<_> = recorded.redeploys.iter().map(|one| (one.deployment_id, one.run_id, one.message.as_str())).collect();
    assert_eq!(told, [(id, None, "dora may no longer start runs here")]);
    assert_eq!(runs(&world, id).await.len(), 0);
    let audit = world.me.audit(AuditFilter::default(), PageRequest::default()).await.unwrap().items;
    let refusal = audit.iter().find(|entry| entry.action == "run.start").unwrap();
    assert_eq!(refusal.principal.to_string(), "system (image registry.example.org/shop:main) for dora");
    // A change of something else is no word about the redeploys; one of them is.
    let named = DeploymentPatch { name: Some("One".parse().unwrap()), ..DeploymentPatch::default() };
    let named = world.me.update_deployment(id, subscribed.version, named).await.unwrap();
    assert_eq!(named.redeploy_for, subscribed.redeploy_for);
    let taken_over = world.me.update_deployment(id, named.version, subscribe(image)).await.unwrap();
    assert_eq!(taken_over.redeploy_for, Some(PrincipalRef::from(world.me.principal())));
    let run = world.me.record_image_digest(image, digest(2)).await.unwrap().redeploys[0].run_id.unwrap();
    world.gate.permits.add_permits(1);
    assert_eq!(world.end_of(run).await.run.state, RunState::Succeeded);
    let off = DeploymentPatch { image_id: Some(None), redeploy_on_digest: Some(false), ..DeploymentPatch::default() };
    let off = world.me.update_deployment(id, taken_over.version, off).await.unwrap();
    assert_eq!((off.image_id, off.redeploy_for), (None, None));
    assert_eq!(world.me.record_image_digest(image, digest(3)).await.unwrap().redeploys, []);
}

/// Several say what is newest at the same time: each digest that was ever recorded was handed to a run, and the last one is deployed
/// last.
async fn digests_in_a_race(kind: Kind) {
    let world = world(kind, quick()).await;
    let image = image(&world).await;
    let id = world.deployment.id;
    world.me.update_deployment(id, 1, subscribe(image)).await.unwrap();
    world.gate.permits.add_permits(100);
    let record = |n| world.me.record_image_digest(image, digest(n));
    let (a, b, c, d) = tokio::join!(record(1), record(2), record(3), record(4));
    let recorded: BTreeMap<_, _> = [a, b, c, d]
        .into_iter()
        .map(Result::unwrap)
        .map(|recorded| (recorded.now.version, recorded.redeploys[0].run_id.unwrap()))
        .collect();
    assert_eq!(recorded.keys().copied().collect::<Vec<_>>(), [2, 3, 4, 5]);
    let last = world.end_of(recorded[&5]).await.run;
    assert_eq!(last.state, RunState::Succeeded);
    let current = world.me.image(image).await.unwrap().current.unwrap().digest;
    assert_eq!(made_from(&world, &last).await, json!([current, null]));
    let begun = runs(&world, id).await.into_iter().filter(|run| run.state == RunState::Succeeded).max_by_key(|run| run.started_at);
    assert_eq!(begun.unwrap().id, last.id, "nothing older is deployed behind it");
}

async fn a_branch_moves(kind: Kind) {
    let world = world(kind, quick()).await;
    let id = world.deployment.id;
    let new = NewRepository::new(Slug::new("shop").unwrap(), GitUrl::new("https://git.example.org/shop.git").unwrap());
    let repository = world.me.create_repository(NewRepository { project_id: Some(world.deployment.project_id), ..new }).await.unwrap();
    let new = NewBranch { name: BranchName::new("main").unwrap(), commit: Some(commit(1)) };
    let main = world.me.create_branch(repository.id, new).await.unwrap();
    let follow = DeploymentPatch { branch_id: Some(Some(main.id)), redeploy_on_commit: Some(true), ..DeploymentPatch::default() };
    world.me.update_deployment(id, 1, follow).await.unwrap();
    assert_eq!(world.me.record_branch_commit(main.id, commit(1)).await.unwrap().redeploys, [], "known already");
    let (_, as_dora) = world.user("dora", Role::Developer).await;
    let recorded = as_dora.record_branch_commit(main.id, commit(2)).await.unwrap();
    world.gate.permits.add_permits(1);
    let run = world.end_of(recorded.redeploys[0].run_id.unwrap()).await.run;
    assert_eq!(run.state, RunState::Succeeded);
    assert_eq!(made_from(&world, &run).await, json!([null, commit(2)]));
    let stranger = world.me.create_image(NewImage::new(ImageReference::new("x:1").unwrap())).await.unwrap();
    let (_, uma) = world.user("uma", Role::User).await;
    assert_eq!(uma.record_branch_commit(main.id, commit(3)).await.unwrap_err().kind(), ErrorKind::Denied);
    assert_eq!(uma.image(stranger.id).await.unwrap(), stranger, "what is the operators' everybody may read");
}

async fn credentials_are_not_sent_to_another_host(kind: Kind) {
    let ground = Ground::new(kind).await;
    let world = World::with(&ground, quick(), |builder| builder.keyring(MemoryKeyring::generate().unwrap())).await;
    let url = |text: &str| GitUrl::new(text).unwrap();
    let mut new = NewRepository::new(Slug::new("shop").unwrap(), url("https://git.example.org/shop.git"));
    new.credentials_secret_id = Some(SecretId::new());
    assert_eq!(world.me.create_repository(new.clone()).await.unwrap_err().invalid().unwrap().field(), "credentials_secret_id");
    let secret = world.me.create_secret(Owner::Operators, NewSecret::new("git", "swordfish").unwrap()).await.unwrap();
    new.credentials_secret_id = Some(secret.id);
    let with_secret = world.me.create_repository(new).await.unwrap();
    let to = |text: &str| RepositoryPatch { url: Some(url(text)), ..RepositoryPatch::default() };
    let refused = world.me.update_repository(with_secret.id, 1, to("https://evil.example.org/shop.git")).await.unwrap_err();
    assert_eq!(refused.invalid().unwrap().field(), "credentials_secret_id");
    let same_host = world.me.update_repository(with_secret.id, 1, to("ssh://git@GIT.example.org/team/shop.git")).await.unwrap();
    assert_eq!(same_host.credentials_secret_id, with_secret.credentials_secret_id);
    let without = RepositoryPatch { credentials_secret_id: Some(None), ..to("https://evil.example.org/shop.git") };
    let moved = world.me.update_repository(with_secret.id, 2, without).await.unwrap();
    assert_eq!((moved.credentials_secret_id, moved.version), (None, 3));
}

async fn monitor_logs_are_pruned_as_the_scope_says(kind: Kind) {
    let options = WorkerOptions { prune_every: Some(Duration::from_millis(20)), ..quick() };
    let world = Arc::new(world(kind, options).await);
    let other = deployment(&world.me, "other").await;
    let scope = NewScope { monitor_log_delete_after_seconds: Some(0), ..NewScope::new("brief").unwrap() };
    let scope = world.me.create_scope(world.deployment.group_id, scope).await.unwrap();
    let mut monitors = Vec::new();
    for id in [world.deployment.id, other.id] {
        let check = MonitorCheck::HttpRequest {
            url: HttpUrl::new("https://shop.example.org/").unwrap(),
            method: eyrie_core::model::HttpMethod::Get,
            expected_status: 200,
            timeout_seconds: 5,
        };
        let monitor = world.me.create_monitor(id, NewMonitor::new(Slug::new("up").unwrap(), check)).await.unwrap();
        for _ in 0..3 {
            world.me.record_monitor_result(monitor.id, MonitorResult::new(MonitorOutcome::Failed)).await.unwrap();
        }
        monitors.push(monitor.id);
    }
    let kept = async |n: usize| world.me.monitor_logs(monitors[n], PageRequest::default()).await.unwrap().items.len();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!((kept(0).await, kept(1).await), (3, 3), "for thirty days, if nothing else is said");
    let patch = DeploymentPatch { scope_id: Some(Some(scope.id)), ..DeploymentPatch::default() };
    let into = world.me.update_deployment(world.deployment.id, 1, patch).await.unwrap();
    let gone = async {
        while kept(0).await > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.expect("the results are never pruned");
    assert_eq!(kept(1).await, 3, "another scope's business");
    assert_eq!(world.me.monitor(monitors[0]).await.unwrap().status.very_bad(), 3, "the state stays");
    let patch = ScopePatch { monitor_log_delete_after_seconds: Some(None), ..ScopePatch::default() };
    assert_eq!(world.me.update_scope(scope.id, 1, patch).await.unwrap().monitor_log_delete_after_seconds, None);
    let endless = ScopePatch { monitor_log_delete_after_seconds: Some(Some(u64::MAX)), ..ScopePatch::default() };
    let refused = world.me.update_scope(scope.id, 2, endless).await.unwrap_err();
    assert_eq!(refused.invalid().unwrap().field(), "monitor_log_delete_after_seconds");
    let out = DeploymentPatch { scope_id: Some(None), ..DeploymentPatch::default() };
    assert_eq!(world.me.update_deployment(into.id, into.version, out).await.unwrap().scope_id, None);
}
