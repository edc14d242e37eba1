//! Service tokens: what they are bound to, what they are capable of, how one takes another's place, and how they end.

use std::{collections::BTreeSet, time::Duration};

use eyrie_core::{
    Acting, ErrorKind, Result,
    access::TokenSecret,
    id::{RunId, UserId},
    model::{
        Deployment, DeploymentPatch, Grant, NewBranch, NewDeployment, NewGroup, NewRepository, OverrideAt, Plan, Role, StepIndex, Token,
        TokenCapabilities, TokenCapability, TokenKind, User, Verdict,
    },
    name::{DisplayName, Origin, ServiceName},
    platform::{NewServiceToken, NewUser, ServiceTokenTarget, SignInFrom, TokenRotation},
    store::{AuditFilter, DeploymentFilter, PageRequest, RunFilter, TokenFilter},
};
use eyrie_tests::world::{Ground, Kind, World};
use serde_json::json;

use super::{account, echo, elsewhere};
use crate::engine::on_every_store;

on_every_store! {
    each_capability_lets_through_what_it_names;
    a_group_or_a_service_holds_what_is_deployed_there;
    another_token_takes_its_place;
    tokens_of_a_project_are_its_admins_business;
    uses_are_noted_and_failed_sign_ins_recorded;
    guesses_cost_time;
}

fn new(target: ServiceTokenTarget, can: impl IntoIterator<Item = TokenCapability>) -> NewServiceToken {
    NewServiceToken {
        name: DisplayName::new("ci").unwrap(),
        target,
        capabilities: can.into_iter().collect(),
        origin: Origin::new("ci").unwrap(),
        days: 30,
    }
}

/// Whoever shows that secret.
async fn showing(world: &World, secret: &TokenSecret) -> Result<Acting> {
    Ok(world.eyrie.acting_as(world.eyrie.authenticate(secret.reveal()).await?))
}

async fn made(world: &World, by: &Acting, new: NewServiceToken) -> (Acting, Token) {
    let (secret, token) = by.create_service_token(new).await.unwrap();
    (showing(world, &secret).await.unwrap(), token)
}

/// What it can do of all that some token can, by trying.
async fn tried(world: &World, acting: &Acting) -> BTreeSet<TokenCapability> {
    let deployment = world.deployment.id;
    let approval = Plan::builder().approval("sign-off", Role::Developer, |step| step).build().unwrap();
    let (waits, cancelled) = (world.start(approval).await, world.start(echo()).await);
    let url = "https://git.example.org/shop.git".parse().unwrap();
    let name = format!("b{}", waits.uuid().simple());
    let repository = NewRepository { project_id: Some(world.deployment.project_id), ..NewRepository::new(name.parse().unwrap(), url) };
    let repository = world.me.create_repository(repository).await.unwrap();
    let branch = world.me.create_branch(repository.id, NewBranch { name: "main".parse().unwrap(), commit: None }).await.unwrap();
    let answers: [(TokenCapability, Result<()>); 5] = [
        (TokenCapability::Read, acting.deployment(deployment).await.map(drop)),
        (TokenCapability::Deploy, acting.run_plan(deployment, echo()).await.map(drop)),
        (TokenCapability::Cancel, acting.cancel_run(cancelled, "not now").await.map(drop)),
        (TokenCapability::Approve, approve(acting, waits).await),
        (TokenCapability::Record, acting.record_branch_commit(branch.id, "1".repeat(40).parse().unwrap()).await.map(drop)),
    ];
    let mut can = BTreeSet::new();
    for (capability, answer) in answers {
        match answer {
            Ok(()) => drop(can.insert(capability)),
            Err(error) => assert!(matches!(error.kind(), ErrorKind::Denied | ErrorKind::NotFound), "{capability}: {error}"),
        }
    }
    can
}

/// A run that nobody holds waits for no approval yet: whoever may approve hears that, and nobody else.
async fn approve(acting: &Acting, run: RunId) -> Result<()> {
    match acting.approve_step(run, StepIndex::new(0), "fine").await {
        Err(error) if error.kind() == ErrorKind::IllegalTransition => Ok(()),
        answer => answer.map(drop),
    }
}

async fn each_capability_lets_through_what_it_names(kind: Kind) {
    use TokenCapability::{Approve, Cancel, Deploy, Read, Record};
    let world = World::without_worker(&Ground::new(kind).await).await;
    let (_, ada) = world.user("ada", Role::Admin).await;
    let project = ServiceTokenTarget::Project(world.deployment.project_id);
    for can in [&[Read][..], &[Deploy], &[Cancel], &[Approve], &[Record], &[Deploy, Approve]] {
        let (token, kept) = made(&world, &ada, new(project, can.iter().copied())).await;
        let expected: BTreeSet<_> = can.iter().copied().chain([Read]).collect();
        assert_eq!(tried(&world, &token).await, expected);
        assert!(TokenCapability::ALL.iter().all(|capability| kept.capabilities.include(*capability) == expected.contains(capability)));
        for answer in [
            token.create_service_token(new(project, [Read])).await.map(drop),
            token.rotate_token(kept.id, TokenRotation::default()).await.map(drop),
        ] {
            assert!(matches!(answer.unwrap_err().kind(), ErrorKind::Denied | ErrorKind::NotFound), "a token makes no tokens");
        }
    }
    let none = ada.create_service_token(new(project, [])).await.unwrap_err();
    assert_eq!(none.invalid().unwrap().field(), "capabilities");
    for days in [0, 181] {
        let days = ada.create_service_token(NewServiceToken { days, ..new(project, [Read]) }).await.unwrap_err();
        assert_eq!(days.invalid().unwrap().field(), "days");
    }
    // Whoever made it is lowered: so is the token.
    let (token, _) = made(&world, &ada, new(project, TokenCapability::ALL.iter().copied())).await;
    assert_eq!(tried(&world, &token).await.len(), 5);
    world.resident_admin().await;
    let own = ada.principal().clone();
    let eyrie_core::model::Principal::User { id: own, .. } = own else { panic!("{own:?}") };
    world.me.set_member(world.deployment.project_id, own, Role::User).await.unwrap();
    assert_eq!(tried(&world, &token).await, BTreeSet::from([Read]));
}

async fn a_group_or_a_service_holds_what_is_deployed_there(kind: Kind) {
    let world = World::without_worker(&Ground::new(kind).await).await;
    let (here, other) = (world.deployment.clone(), elsewhere(&world, "other").await);
    let sibling = world.me.create_deployment(here.group_id, NewDeployment::new("sibling").unwrap()).await.unwrap();
    let service =
        world.me.create_service(here.project_id, ServiceName::new("shop").unwrap(), json!({ "deploy_script": "deploy.sh" })).await;
    let service = service.unwrap();
    let patch = DeploymentPatch { service_id: Some(Some(service.id)), ..DeploymentPatch::default() };
    world.me.update_deployment(sibling.id, sibling.version, patch).await.unwrap();
    let (ada, acting) = world.user("ada", Role::Admin).await;
    let can = || TokenCapabilities::usual();
    let token = async |target| made(&world, &acting, NewServiceToken { capabilities: can(), ..new(target, []) }).await.0;
    let group = token(ServiceTokenTarget::Group(here.group_id)).await;
    let by_service = token(ServiceTokenTarget::Service(service.id)).await;
    let page = PageRequest::default();
    let mut feeds = [group.follow_runs(None).await.unwrap(), by_service.follow_runs(None).await.unwrap()];
    for (token, reaches) in [(&group, [true, true, false]), (&by_service, [false, true, false])] {
        for (deployment, reached) in [&here, &sibling, &other].into_iter().zip(reaches) {
            let answer = token.run_plan(deployment.id, echo()).await;
            assert_eq!(answer.is_ok(), reached, "{answer:?}");
            if let Err(error) = answer {
                assert!(error.is_not_found(), "{error}");
            }
            let runs = RunFilter { deployment: Some(deployment.id), ..RunFilter::default() };
            assert_eq!(token.runs(runs, page).await.is_ok(), reached);
        }
        let of_project = DeploymentFilter { project: Some(here.project_id), ..DeploymentFilter::default() };
        assert!(token.deployments(of_project, page).await.unwrap_err().is_not_found(), "the project is more than the token holds");
        assert!(token.project(here.project_id).await.unwrap_err().is_not_found());
    }
    let of_group = DeploymentFilter { group: Some(here.group_id), ..DeploymentFilter::default() };
    assert_eq!(group.deployments(of_group, page).await.unwrap().items.len(), 2);
    let of_service = DeploymentFilter { service: Some(service.id), ..DeploymentFilter::default() };
    assert_eq!(by_service.deployments(of_service, page).await.unwrap().items.len(), 1);
    assert_eq!(by_service.service(service.id).await.unwrap(), service);
    assert!(group.service(service.id).await.unwrap_err().is_not_found());
    // Three runs were started: one here, two in the sibling. Each token's feed shows those that it reaches.
    for (feed, expected) in feeds.iter_mut().zip([vec![here.id, sibling.id, sibling.id], vec![sibling.id, sibling.id]]) {
        let mut seen: Vec<Deployment> = Vec::new();
        while let Ok(item) = tokio::time::timeout(Duration::from_millis(500), feed.next()).await {
            let run = world.me.run(item.unwrap().event.run_id).await.unwrap().run;
            seen.push(world.me.deployment(run.deployment_id).await.unwrap().deployment);
        }
        let mut seen: Vec<_> = seen.into_iter().map(|deployment| deployment.id).collect();
        let mut expected = expected;
        seen.sort();
        seen.dedup();
        expected.sort();
        expected.dedup();
        assert_eq!(seen, expected);
    }
    // An override of its creator counts inside, too.
    world.me.set_override(OverrideAt::Deployment(sibling.id), ada, Grant::None).await.unwrap();
    assert!(by_service.run_plan(sibling.id, echo()).await.unwrap_err().is_not_found());
    assert_eq!(group.deployments(of_group, page).await.unwrap().items.len(), 1);
    // What is deployed elsewhere now is out of its reach.
    let patch = DeploymentPatch { service_id: Some(None), ..DeploymentPatch::default() };
    let now = world.me.deployment(sibling.id).await.unwrap().deployment;
    world.me.update_deployment(sibling.id, now.version, patch).await.unwrap();
    world.me.remove_override(OverrideAt::Deployment(sibling.id), ada).await.unwrap();
    assert!(by_service.run_plan(sibling.id, echo()).await.unwrap_err().is_not_found());
    group.run_plan(sibling.id, echo()).await.unwrap();
}

async fn another_token_takes_its_place(kind: Kind) {
    let world = World::without_worker(&Ground::new(kind).await).await;
    let deployment = ServiceTokenTarget::Deployment(world.deployment.id);
    let (_, ada) = world.user("ada", Role::Admin).await;
    let (_, bob) = world.user("bob", Role::Admin).await;
    let (_, dev) = world.user("dev", Role::Developer).await;
    let (first, old) = ada.create_service_token(new(deployment, [TokenCapability::Deploy])).await.unwrap();

    let refused = async |rotation: TokenRotation| ada.rotate_token(old.id, rotation).await.unwrap_err();
    let days = refused(TokenRotation { days: Some(181), ..TokenRotation::default() }).await;
    assert_eq!(days.invalid().unwrap().field(), "days");
    let overlap = refused(TokenRotation { overlap_seconds: 604_801, ..TokenRotation::default() }).await;
    assert_eq!(overlap.invalid().unwrap().field(), "overlap_seconds");
    assert_eq!(dev.rotate_token(old.id, TokenRotation::default()).await.unwrap_err().kind(), ErrorKind::Denied);
    let (_, outsider) = account(&world, "outsider", false).await;
    assert!(outsider.rotate_token(old.id, TokenRotation::default()).await.unwrap_err().is_not_found());
    showing(&world, &first).await.unwrap();

    let (second, next) = bob.rotate_token(old.id, TokenRotation { overlap_seconds: 1, ..TokenRotation::default() }).await.unwrap();
    assert_eq!((next.replaces, &next.capabilities, next.binding), (Some(old.id), &old.capabilities, old.binding));
    assert_ne!(next.created_by, old.created_by, "whoever has it now answers for it");
    assert_eq!(next.expires_at.duration_since(next.created_at), old.expires_at.duration_since(old.created_at));
    showing(&world, &second).await.unwrap().run_plan(world.deployment.id, echo()).await.unwrap();
    showing(&world, &first).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(showing(&world, &first).await.unwrap_err().kind(), ErrorKind::Unauthenticated, "its time is over");
    assert_eq!(ada.rotate_token(old.id, TokenRotation::default()).await.unwrap_err().kind(), ErrorKind::Conflict);

    let (third, last) = ada.rotate_token(next.id, TokenRotation { days: Some(2), ..TokenRotation::default() }).await.unwrap();
    assert_eq!(showing(&world, &second).await.unwrap_err().kind(), ErrorKind::Unauthenticated, "at once, if nothing else is said");
    assert_eq!(last.expires_at.duration_since(last.created_at).as_secs(), 2 * 24 * 3600);
    ada.revoke_token(last.id).await.unwrap();
    assert_eq!(showing(&world, &third).await.unwrap_err().kind(), ErrorKind::Unauthenticated);
    let session = session_of(&world, "ada").await;
    assert_eq!(world.me.rotate_token(session.id, TokenRotation::default()).await.unwrap_err().kind(), ErrorKind::Conflict);
}

/// A session of that account, and its token.
async fn session_of(world: &World, name: &str) -> Token {
    let user = world.me.user_by_name(&name.parse().unwrap()).await.unwrap();
    world.me.open_session(user.id, Duration::from_secs(60)).await.unwrap().1
}

async fn tokens_of_a_project_are_its_admins_business(kind: Kind) {
    let world = World::without_worker(&Ground::new(kind).await).await;
    let (project, here) = (world.deployment.project_id, world.deployment.clone());
    let (ada, admin) = world.user("ada", Role::Admin).await;
    let (_, dev) = world.user("dev", Role::Developer).await;
    let (_, outsider) = account(&world, "outsider", false).await;
    let own_group = world.me.create_group(project, NewGroup::new("own", "test").unwrap()).await.unwrap();
    let mut of_project = Vec::new();
    for target in [ServiceTokenTarget::Project(project), ServiceTokenTarget::Group(own_group.id), ServiceTokenTarget::Deployment(here.id)] {
        of_project.push(made(&world, &admin, new(target, [TokenCapability::Read])).await.1);
    }
    let session = session_of(&world, "ada").await;
    let page = PageRequest::default();
    let listed = async |acting: &Acting, filter: TokenFilter| {
        acting.tokens(filter, page).await.map(|page| page.items.into_iter().map(|token| token.id).collect::<Vec<_>>())
    };
    let in_project = TokenFilter { project: Some(project), ..TokenFilter::default() };
    let ids: Vec<_> = of_project.iter().map(|token| token.id).collect();
    assert_eq!(listed(&admin, in_project).await.unwrap(), ids);
    assert_eq!(listed(&dev, in_project).await.unwrap_err().kind(), ErrorKind::Denied);
    assert!(listed(&outsider, in_project).await.unwrap_err().is_not_found());
    let sessions = TokenFilter { kind: Some(TokenKind::Session), ..TokenFilter::default() };
    assert_eq!(listed(&admin, sessions).await.unwrap(), [session.id], "one's own");
    assert_eq!(listed(&outsider, TokenFilter { creator: Some(ada), ..TokenFilter::default() }).await.unwrap(), []);
    assert_eq!(listed(&world.me, TokenFilter { creator: Some(ada), ..TokenFilter::default() }).await.unwrap().len(), 4);
    for token in &of_project {
        assert_eq!(admin.token(token.id).await.unwrap().binding, token.binding);
        assert_eq!(dev.token(token.id).await.unwrap_err().kind(), ErrorKind::Denied);
        assert!(outsider.token(token.id).await.unwrap_err().is_not_found());
        assert!(outsider.revoke_token(token.id).await.unwrap_err().is_not_found());
    }
    assert!(outsider.token(session.id).await.unwrap_err().is_not_found());
    // What it was bound to is gone: the project's admins still see to it.
    let other = world.user("other", Role::Admin).await.1;
    world.me.delete_group(own_group.id).await.unwrap();
    other.revoke_token(of_project[1].id).await.unwrap();
    assert!(other.token(of_project[1].id).await.unwrap().revoked_at.is_some());
}

async fn with_password(world: &World, name: &str) -> User {
    let password = Some("correct horse battery".to_owned());
    world.me.create_user(NewUser { name: name.parse().unwrap(), password, operator: false }).await.unwrap()
}

async fn uses_are_noted_and_failed_sign_ins_recorded(kind: Kind) {
    let world = World::without_worker(&Ground::new(kind).await).await;
    let user = with_password(&world, "ann").await;
    let origin = || Origin::new("frontend").unwrap();
    let sign_in = async |name: &str, password: &str| world.eyrie.sign_in(name, password.to_owned(), SignInFrom::new(origin())).await;
    let (secret, session) = sign_in("ann", "correct horse battery").await.unwrap();
    assert_eq!(session.last_used_at, None);
    world.eyrie.authenticate(secret.reveal()).await.unwrap();
    let used = world.me.token(session.id).await.unwrap().last_used_at.expect("it was used");
    world.eyrie.authenticate(secret.reveal()).await.unwrap();
    assert_eq!(world.me.token(session.id).await.unwrap().last_used_at, Some(used), "once a minute is enough");

    for (name, password) in [("ann", "wrong"), ("ann", "wrong"), ("hunter2", "x"), ("My Password!", "x")] {
        assert_eq!(sign_in(name, password).await.unwrap_err().kind(), ErrorKind::Unauthenticated);
    }
    let entries = world.me.audit(AuditFilter::default(), PageRequest::first(PageRequest::MAX).unwrap()).await.unwrap().items;
    let failed: Vec<_> = entries.iter().filter(|entry| entry.action == "session.begin" && entry.verdict == Verdict::Refused).collect();
    let mut of: Vec<_> = failed.iter().map(|entry| (entry.resource.clone(), entry.count)).collect();
    of.sort();
    assert_eq!(of, [("user".to_owned(), 2), (format!("user {}", user.id), 2)]);
    let all = format!("{entries:?}");
    assert!(!all.contains("hunter2") && !all.contains("My Password!"), "people type passwords where the name belongs");
}

async fn guesses_cost_time(kind: Kind) {
    let world = World::without_worker(&Ground::new(kind).await).await;
    let user: UserId = with_password(&world, "ann").await.id;
    let sign_in = async |name: &str, password: &str| {
        world
            .eyrie
            .sign_in(name, password.to_owned(), SignInFrom::new(Origin::new("frontend").unwrap()))
            .await
            .map(|(_, token)| token.created_by)
    };
    // A name that is there and one that is not wait alike, and a password that fits waits with those that do not.
    for name in ["ann", "nobody"] {
        for _ in 0..5 {
            assert_eq!(sign_in(name, "wrong").await.unwrap_err().kind(), ErrorKind::Unauthenticated);
        }
        for password in ["wrong", "correct horse battery"] {
            let error = sign_in(name, password).await.unwrap_err();
            assert_eq!((error.kind(), error.retry_after().is_some()), (ErrorKind::LimitExceeded, true), "{error}");
        }
    }
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(sign_in("ann", "correct horse battery").await.unwrap(), Some(user));
    assert_eq!(sign_in("ann", "wrong").await.unwrap_err().kind(), ErrorKind::Unauthenticated, "it counts anew");
}
