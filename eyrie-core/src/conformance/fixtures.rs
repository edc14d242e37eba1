//! What the cases are made of: builders of everything that a store keeps, with nothing special about it unless said so.
//!
//! Each comes in two forms where that helps: the thing itself (`project`), and the thing kept in a store (`kept_project`).

use std::{sync::Arc, time::Duration};

use serde_json::json;

pub use super::commands::{
    Held, advance, again, at, cancel, cancel_and_undo, failed, held, held_in, lease_lost, moved, outside, record, report, report_as,
    resume, settle, skip, skip_and_advance, start, step_name, steps, succeeded, success, undo_failed, undo_of_a_cancel, undo_of_a_failure,
    undone, whole,
};
use crate::{
    address::GitUrl,
    clock::{Clock, SystemClock, Timestamp, later},
    error::{ErrorKind, Result},
    git::{BranchName, CommitId},
    id::{AuditId, BranchId, DeploymentId, GroupId, ProjectId, RepositoryId, RunId, ScopeId, ServiceId, TokenId, UserId, WorkerId},
    model::{
        AuditEntry, Branch, Deployment, DeploymentGroup, Namespace, Plan, PlannedRelease, PrincipalRef, Project, QueuePolicy, Repository,
        Role, Run, RunKind, RunRow, RunState, Scope, Service, ServiceSource, Settings, Step, StepIndex, Token, TokenBinding,
        TokenCapabilities, TokenKind, User, Verdict,
    },
    name::{DisplayName, GroupType, Origin, ServiceName, Slug, UserName},
    store::{AuditFilter, Claim, Enqueue, NewUserRule, RequestKey, Store},
};

/// A lease that does not run out during a test.
pub const LONG: Duration = Duration::from_secs(3600);

/// The time now, to the microsecond, as stores keep it.
#[must_use]
pub fn now() -> Timestamp {
    SystemClock.now()
}

/// An entry of something that was allowed; its resource is its own, so that it can be looked up alone.
#[must_use]
pub fn audit(action: &str) -> AuditEntry {
    let id = AuditId::new();
    AuditEntry {
        id,
        at: now(),
        principal: PrincipalRef::LocalOperator { name: "tester".to_owned() },
        token_id: None,
        origin: Some(Origin::new("cli").unwrap()),
        request_id: None,
        action: action.to_owned(),
        resource: format!("thing {id}"),
        project_id: None,
        verdict: Verdict::Allowed,
        reason: "a test".to_owned(),
        count: 1,
    }
}

/// What the audit says about the entry's resource, newest first.
pub async fn audited(store: &dyn Store, entry: &AuditEntry) -> Vec<AuditEntry> {
    let filter = AuditFilter { resource: Some(entry.resource.clone()), ..AuditFilter::default() };
    store.audit(filter, Default::default()).await.unwrap().items
}

/// Demands that the call was refused in this way and left nothing in the audit.
pub async fn refused<T: std::fmt::Debug>(store: &dyn Store, kind: ErrorKind, entry: &AuditEntry, answer: Result<T>) {
    assert_eq!(answer.unwrap_err().kind(), kind);
    assert_eq!(audited(store, entry).await, [], "a refused call left an entry");
}

/// Demands that the call was carried out and left exactly this entry in the audit.
pub async fn done(store: &dyn Store, entry: &AuditEntry, answer: Result<()>) {
    answer.unwrap();
    assert_eq!(audited(store, entry).await, [entry.clone()], "the call's entry is not there");
}

/// Some settings, with values of every kind.
#[must_use]
pub fn settings() -> Settings {
    let some = Settings::default().with("text", "väl\n\u{1f426}").unwrap().with("list", json!([1, -2.5, true, null])).unwrap();
    some.with("nested", json!({ "a": { "b": "" } })).unwrap()
}

/// A project without owner.
#[must_use]
pub fn project(slug: &str) -> Project {
    let slug = Slug::new(slug).unwrap();
    Project {
        id: ProjectId::new(),
        name: DisplayName::new(format!("Project {slug}")).unwrap(),
        owner_id: None,
        namespace: Namespace::for_slug(&slug).unwrap(),
        slug,
        settings: settings(),
        created_at: now(),
        version: 1,
    }
}

/// The same, kept.
pub async fn kept_project(store: &dyn Store, slug: &str) -> Project {
    let project = project(slug);
    store.create_project(&project, &audit("project.create")).await.unwrap();
    project
}

/// A group of services in the project.
#[must_use]
pub fn group(project: &Project, slug: &str) -> DeploymentGroup {
    DeploymentGroup {
        id: GroupId::new(),
        project_id: project.id,
        slug: Slug::new(slug).unwrap(),
        name: DisplayName::new(format!("Group {slug}")).unwrap(),
        group_type: GroupType::new("service").unwrap(),
        settings: settings(),
        created_at: now(),
        version: 1,
    }
}

/// The same, kept.
pub async fn kept_group(store: &dyn Store, project: &Project, slug: &str) -> DeploymentGroup {
    let group = group(project, slug);
    store.create_group(&group, &audit("group.create")).await.unwrap();
    group
}

/// A scope of the group.
#[must_use]
pub fn scope(group: &DeploymentGroup, slug: &str) -> Scope {
    Scope {
        id: ScopeId::new(),
        group_id: group.id,
        slug: Slug::new(slug).unwrap(),
        name: DisplayName::new(format!("Scope {slug}")).unwrap(),
        backup_dest_datasource_id: None,
        settings: settings(),
        monitor_log_delete_after_seconds: Some(86_400),
        created_at: now(),
        version: 1,
    }
}

/// A service of the project, made by the API.
#[must_use]
pub fn service(project: &Project, name: &str) -> Service {
    Service {
        id: ServiceId::new(),
        project_id: project.id,
        name: ServiceName::new(name).unwrap(),
        config: json!({ "script": "deploy.sh", "env": { "A": "1" } }),
        source: ServiceSource::Api,
        created_at: now(),
        version: 1,
    }
}

/// A deployment in the group, without scope and service.
#[must_use]
pub fn deployment(group: &DeploymentGroup, slug: &str) -> Deployment {
    Deployment {
        id: DeploymentId::new(),
        project_id: group.project_id,
        group_id: group.id,
        slug: Slug::new(slug).unwrap(),
        name: DisplayName::new(format!("Deployment {slug}")).unwrap(),
        scope_id: None,
        service_id: None,
        branch_id: None,
        image_id: None,
        redeploy_on_commit: false,
        redeploy_on_digest: false,
        redeploy_for: None,
        settings: settings(),
        created_at: now(),
        version: 1,
    }
}

/// The same, kept.
pub async fn kept_deployment(store: &dyn Store, group: &DeploymentGroup, slug: &str) -> Deployment {
    let deployment = deployment(group, slug);
    store.create_deployment(&deployment, &audit("deployment.create")).await.unwrap();
    deployment
}

/// A deployment in a group in a project, all kept, all three of this slug.
pub async fn place(store: &dyn Store, slug: &str) -> Deployment {
    let project = kept_project(store, slug).await;
    let group = kept_group(store, &project, slug).await;
    kept_deployment(store, &group, slug).await
}

/// A repository of the project, or of the operators.
#[must_use]
pub fn repository(owner: Option<ProjectId>, slug: &str) -> Repository {
    Repository {
        id: RepositoryId::new(),
        project_id: owner,
        slug: Slug::new(slug).unwrap(),
        name: DisplayName::new(format!("Repository {slug}")).unwrap(),
        url: GitUrl::new(format!("https://git.example.org/{slug}.git")).unwrap(),
        group_type: None,
        credentials_secret_id: None,
        created_at: now(),
        version: 1,
    }
}

/// The same, kept.
pub async fn kept_repository(store: &dyn Store, owner: Option<ProjectId>, slug: &str) -> Repository {
    let repository = repository(owner, slug);
    store.create_repository(&repository, &audit("repository.create")).await.unwrap();
    repository
}

/// A branch of the repository of which no commit is known.
#[must_use]
pub fn branch(repository: &Repository, name: &str) -> Branch {
    Branch {
        id: BranchId::new(),
        repository_id: repository.id,
        project_id: repository.project_id,
        name: BranchName::new(name).unwrap(),
        head: None,
        created_at: now(),
        version: 1,
    }
}

/// The same, kept.
pub async fn kept_branch(store: &dyn Store, repository: &Repository, name: &str) -> Branch {
    let branch = branch(repository, name);
    store.create_branch(&branch, &audit("branch.create")).await.unwrap();
    branch
}

/// A commit for each number.
#[must_use]
pub fn commit(n: u8) -> CommitId {
    CommitId::new(format!("{n:02x}").repeat(20)).unwrap()
}

/// A user without password.
#[must_use]
pub fn user(name: &str) -> User {
    User {
        id: UserId::new(),
        name: UserName::new(name).unwrap(),
        password_hash: None,
        operator: false,
        disabled: false,
        created_at: now(),
        version: 1,
    }
}

/// The same, kept.
pub async fn kept_user(store: &dyn Store, name: &str) -> User {
    let user = user(name);
    store.create_user(&user, NewUserRule::NameIsFree, &audit("user.create")).await.unwrap();
    user
}

/// The user's role in the project, if it is a member.
pub async fn role_in(store: &dyn Store, project: ProjectId, user: UserId) -> Option<Role> {
    let members = store.memberships(project).await.unwrap();
    members.iter().find(|member| member.user_id == user).map(|member| member.role)
}

/// A token of an hour, with a random-looking secret.
#[must_use]
pub fn token(kind: TokenKind, binding: TokenBinding, created_by: Option<UserId>) -> Token {
    let id = TokenId::new();
    let mut secret_hash = [7; 32];
    secret_hash[..16].copy_from_slice(id.uuid().as_bytes());
    Token {
        id,
        kind,
        name: DisplayName::new("a token").unwrap(),
        secret_hash,
        created_by,
        binding,
        project_id: None,
        capabilities: TokenCapabilities::default(),
        origin: Origin::new("github").unwrap(),
        created_at: now(),
        expires_at: later(now(), LONG),
        revoked_at: None,
        last_used_at: None,
        replaces: None,
    }
}

/// A plan of steps that each need the one before.
#[must_use]
pub fn chain(names: &[&str]) -> Plan {
    let mut builder = Plan::builder();
    for (place, name) in names.iter().enumerate() {
        let before = place.checked_sub(1).map(|before| names[before]);
        builder = builder.step(*name, "test.action", |step| step.needs(before));
    }
    builder.build().unwrap()
}

/// A plan of steps that need nothing.
#[must_use]
pub fn wide(names: &[&str]) -> Plan {
    names.iter().fold(Plan::builder(), |builder, name| builder.step(*name, "test.action", |step| step)).build().unwrap()
}

/// What a successful run leaves behind.
#[must_use]
pub fn planned_release(leaves_running: bool) -> PlannedRelease {
    PlannedRelease { config: json!({ "image": "demo:1", "leaves_running": leaves_running }), leaves_running }
}

/// A run of the plan against the deployment, to be queued.
#[must_use]
pub fn enqueue(deployment: &Deployment, kind: RunKind, plan: &Plan) -> Enqueue {
    let id = RunId::new();
    let (plan_hash, plan_json) = plan.encode().unwrap();
    let indexed = (0..).map(StepIndex::new).zip(plan.steps());
    let steps: Vec<_> = indexed.map(|(index, step)| Step::pending(id, index, step.name.clone(), None)).collect();
    let run = Run::from_row(RunRow {
        id,
        project_id: deployment.project_id,
        deployment_id: deployment.id,
        kind,
        state: RunState::Queued,
        message: String::new(),
        requested_by: PrincipalRef::LocalOperator { name: "tester".to_owned() },
        origin: Origin::new("cli").unwrap(),
        context: Arc::new(json!({ "env": { "WHO": "wörld" } })),
        resumption: None,
        plan_hash,
        first_steps: plan.first_steps(),
        step_count: u32::try_from(steps.len()).unwrap(),
        ready: false,
        not_before: None,
        deferred: false,
        worker_id: None,
        epoch: 0,
        last_seq: 0,
        queued_at: now(),
        started_at: None,
        finished_at: None,
        release_id: None,
    });
    Enqueue {
        run,
        plan_json,
        steps,
        request_key: None,
        default_policy: QueuePolicy::Serial,
        secrets: Vec::new(),
        supersedes: Vec::new(),
        audit: audit("run.create"),
    }
}

/// The same with a request key.
#[must_use]
pub fn keyed(mut enqueue: Enqueue, key: &str, content: u8) -> Enqueue {
    enqueue.request_key = Some(RequestKey { key: key.to_owned(), content: [content; 32] });
    enqueue
}

/// Queues a deploy run of the plan.
pub async fn queued(store: &dyn Store, deployment: &Deployment, plan: &Plan) -> Run {
    queued_as(store, deployment, RunKind::Deploy, plan).await
}

/// Queues a run of that kind.
pub async fn queued_as(store: &dyn Store, deployment: &Deployment, kind: RunKind, plan: &Plan) -> Run {
    let mut answers = store.enqueue(&[enqueue(deployment, kind, plan)]).await.unwrap();
    let enqueued = answers.remove(0).unwrap();
    assert!(enqueued.is_new);
    enqueued.run
}

/// A registered worker with a long lease.
pub async fn worker(store: &dyn Store) -> WorkerId {
    let worker = WorkerId::new();
    store.register_worker(worker, LONG).await.unwrap();
    worker
}

/// What the worker is given when it asks for one run.
pub async fn claimed(store: &dyn Store, worker: WorkerId) -> Claim {
    let mut claims = store.claim(worker, 1).await.unwrap();
    assert_eq!(claims.len(), 1, "there was nothing to claim");
    claims.remove(0)
}
