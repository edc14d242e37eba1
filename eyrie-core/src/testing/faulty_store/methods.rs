//! Every method of every port, around what the store does. A new method of a port needs a line here.

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use super::FaultyStore;
use crate::{
    clock::Timestamp,
    error::Result,
    id::{
        BranchId, ClusterId, DatasourceId, DeployedServiceId, DeploymentId, GroupId, ImageId, MonitorId, ProjectId, ReleaseId,
        RepositoryId, RunId, ScheduleId, ScopeId, SecretId, ServiceId, TokenId, UserId, WorkerId,
    },
    model::{
        AccessPath, AuditEntry, Branch, Cluster, ClusterGrant, ClusterLink, Datasource, DeployedService, Deployment, DeploymentGroup,
        EventCursor, Grants, Image, Linked, Membership, Monitor, MonitorLog, OverrideAt, Owner, Plan, PlanHash, Project, Release,
        Repository, RoleOverride, Run, RunEvent, Schedule, Scope, SealedSecret, SealingKey, Secret, Service, SignInAttempt, Step, Token,
        User,
    },
    name::{GroupType, ServiceName, Slug, UserName},
    secret::{KeyVersion, SealedValue, SecretRef},
    store::{
        AccessStore, AuditFilter, AuditStore, BranchMove, BranchStore, Capabilities, Claim, ClusterLinkStore, ClusterStore, Command,
        DatasourceStore, DeployedServiceFilter, DeploymentFilter, DeploymentStore, DueSchedules, Enqueue, Enqueued, EventStore, FeedPage,
        Fire, ForgetRule, GroupStore, ImageFilter, ImageMove, ImageStore, InQueue, LogBound, LogChunk, LogPiece, LogStore, MemberStore,
        MonitorFilter, MonitorLogStore, MonitorStore, Moved, NewMonitorResult, NewUserRule, Page, PageRequest, Poll, ProjectStore, Pruning,
        QueueOf, QueueStore, RecordError, Recorded, ReleaseStore, RepositoryFilter, RepositoryStore, RetentionStore, RunFilter, RunReader,
        RunStore, ScheduleFilter, ScheduleStore, ScopeStore, SealingKeyStore, SecretStore, ServiceStore, SignInStore, Store, TokenFilter,
        TokenStore, UserStore, WorkerLease, WorkerStore,
    },
};

/// Implements the ports: each method hands its call to [`FaultyStore::reads`] or [`FaultyStore::writes`].
macro_rules! decorated {
    ($($port:ident { $($does:ident fn $method:ident($($argument:ident: $type:ty),*) -> $answer:ty;)+ })+) => {$(
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<S: Store> $port for FaultyStore<S> {
            $(async fn $method(&self, $($argument: $type),*) -> Result<$answer> {
                self.$does(stringify!($method), self.inner.$method($($argument),*)).await
            })+
        }
    )+};
}

decorated! {
    ProjectStore {
        writes fn create_project(project: &Project, audit: &AuditEntry) -> ();
        reads fn project(id: ProjectId) -> Project;
        reads fn project_by_slug(slug: &Slug) -> Project;
        reads fn projects(member: Option<UserId>, page: PageRequest) -> Page<Project>;
        writes fn update_project(project: &Project, audit: &AuditEntry) -> ();
        writes fn delete_project(id: ProjectId, audit: &AuditEntry) -> ();
    }
    MemberStore {
        writes fn set_membership(membership: &Membership, audit: &AuditEntry) -> ();
        writes fn remove_membership(project: ProjectId, user: UserId, audit: &AuditEntry) -> ();
        reads fn memberships(project: ProjectId) -> Vec<Membership>;
    }
    GroupStore {
        writes fn create_group(group: &DeploymentGroup, audit: &AuditEntry) -> ();
        reads fn group(id: GroupId) -> DeploymentGroup;
        reads fn group_by_slug(project: ProjectId, slug: &Slug) -> DeploymentGroup;
        reads fn groups(project: ProjectId, reader: Option<UserId>, page: PageRequest) -> Page<DeploymentGroup>;
        writes fn update_group(group: &DeploymentGroup, audit: &AuditEntry) -> ();
        writes fn delete_group(id: GroupId, audit: &AuditEntry) -> ();
    }
    ScopeStore {
        writes fn create_scope(scope: &Scope, audit: &AuditEntry) -> ();
        reads fn scope(id: ScopeId) -> Scope;
        reads fn scopes(group: GroupId, page: PageRequest) -> Page<Scope>;
        writes fn update_scope(scope: &Scope, audit: &AuditEntry) -> ();
        writes fn delete_scope(id: ScopeId, audit: &AuditEntry) -> ();
    }
    DeploymentStore {
        writes fn create_deployment(deployment: &Deployment, audit: &AuditEntry) -> ();
        reads fn deployment(id: DeploymentId) -> Deployment;
        reads fn deployment_by_slug(group: GroupId, slug: &Slug) -> Deployment;
        reads fn deployments(filter: DeploymentFilter, page: PageRequest) -> Page<Deployment>;
        writes fn update_deployment(deployment: &Deployment, audit: &AuditEntry) -> ();
        writes fn delete_deployment(id: DeploymentId, audit: &AuditEntry) -> ();
    }
    ServiceStore {
        writes fn create_service(service: &Service, audit: &AuditEntry) -> ();
        reads fn service(id: ServiceId) -> Service;
        reads fn service_by_name(project: ProjectId, name: &ServiceName) -> Service;
        reads fn services(project: ProjectId, page: PageRequest) -> Page<Service>;
        writes fn update_service(service: &Service, audit: &AuditEntry) -> ();
        writes fn delete_service(id: ServiceId, audit: &AuditEntry) -> ();
    }
    ScheduleStore {
        writes fn create_schedule(schedule: &Schedule, audit: &AuditEntry) -> Schedule;
        reads fn schedule(id: ScheduleId) -> Schedule;
        reads fn schedules(filter: ScheduleFilter, page: PageRequest) -> Page<Schedule>;
        writes fn update_schedule(schedule: &Schedule, audit: &AuditEntry) -> Schedule;
        writes fn delete_schedule(id: ScheduleId, audit: &AuditEntry) -> ();
        reads fn due_schedules(types: &[GroupType], limit: u32) -> DueSchedules;
        writes fn fire_schedule(fire: &Fire) -> Vec<Enqueued>;
    }
    LogStore {
        writes fn append_log(chunks: &[LogChunk], bound: LogBound) -> ();
        reads fn read_log(run: RunId, offset: u64, max_bytes: usize) -> LogPiece;
    }
    WorkerStore {
        writes fn register_worker(worker: WorkerId, ttl: Duration) -> WorkerLease;
        writes fn renew_worker(worker: WorkerId, ttl: Duration) -> WorkerLease;
        writes fn retire_worker(worker: WorkerId) -> ();
    }
    QueueStore {
        reads fn in_queue(run: RunId) -> Option<InQueue>;
        reads fn queue(of: QueueOf, reader: Option<UserId>, page: PageRequest) -> Page<InQueue>;
        writes fn limit_cluster(cluster: ClusterId, most: Option<u32>, audit: &AuditEntry) -> ();
        reads fn cluster_limit(cluster: ClusterId) -> Option<u32>;
    }
    ReleaseStore {
        reads fn release(id: ReleaseId) -> Release;
        reads fn releases(deployment: DeploymentId, page: PageRequest) -> Page<Release>;
        reads fn deployed_service(id: DeployedServiceId) -> DeployedService;
        reads fn deployed_services(filter: DeployedServiceFilter, page: PageRequest) -> Page<DeployedService>;
    }
    RetentionStore {
        writes fn trim_runs(deployment: DeploymentId, age: Duration, limit: u32) -> Pruning;
        writes fn forget_runs(deployment: DeploymentId, rule: ForgetRule, limit: u32) -> Pruning;
        writes fn sweep(limit: u32) -> Pruning;
        writes fn prune_monitor_logs(deployment: DeploymentId, age: Duration, limit: u32) -> Pruning;
        writes fn prune_tokens(age: Duration, limit: u32) -> Pruning;
    }
    UserStore {
        writes fn create_user(user: &User, rule: NewUserRule, audit: &AuditEntry) -> ();
        reads fn user(id: UserId) -> User;
        reads fn user_by_name(name: &UserName) -> User;
        reads fn users(page: PageRequest) -> Page<User>;
        writes fn update_user(user: &User, end_sessions: bool, audit: &AuditEntry) -> ();
    }
    TokenStore {
        writes fn create_token(token: &Token, audit: &AuditEntry) -> ();
        reads fn token(id: TokenId) -> Token;
        reads fn token_by_hash(hash: &[u8; 32]) -> Token;
        reads fn tokens(filter: TokenFilter, page: PageRequest) -> Page<Token>;
        writes fn replace_token(token: &Token, old_ends_at: Timestamp, audit: &AuditEntry) -> ();
        writes fn note_token_use(id: TokenId, at: Timestamp) -> ();
        writes fn revoke_token(id: TokenId, audit: &AuditEntry) -> ();
    }
    SignInStore {
        writes fn begin_sign_in(attempt: &SignInAttempt) -> Option<Duration>;
        writes fn forgive_sign_in(attempt: &SignInAttempt) -> ();
    }
    SecretStore {
        writes fn create_secret(secret: &Secret, value: &SealedSecret, audit: &AuditEntry) -> ();
        reads fn secret(id: SecretId) -> Secret;
        reads fn secrets(owner: Owner, page: PageRequest) -> Page<Secret>;
        writes fn replace_secret_value(secret: &Secret, value: &SealedSecret, audit: &AuditEntry) -> ();
        writes fn delete_secret(id: SecretId, audit: &AuditEntry) -> ();
        reads fn secret_values(id: SecretId) -> Vec<SealedSecret>;
        reads fn secret_value(of: SecretRef) -> SealedSecret;
    }
    SealingKeyStore {
        reads fn sealing_keys() -> Vec<(SealingKey, u64)>;
        writes fn keep_sealing_key(key: &SealingKey, audit: &AuditEntry) -> ();
        writes fn retire_sealing_key(version: KeyVersion, audit: &AuditEntry) -> ();
        reads fn sealed_by_others(newest: KeyVersion, after: Option<SecretRef>, limit: u32) -> Vec<SealedSecret>;
        writes fn reseal(pairs: &[(SealedSecret, SealedValue)]) -> u64;
    }
    ClusterStore {
        writes fn create_cluster(cluster: &Cluster, audit: &AuditEntry) -> ();
        reads fn cluster(id: ClusterId) -> Cluster;
        reads fn clusters(granted_to: Option<ProjectId>, page: PageRequest) -> Page<Cluster>;
        writes fn update_cluster(cluster: &Cluster, audit: &AuditEntry) -> ();
    }
    ClusterLinkStore {
        writes fn grant_cluster(grant: &ClusterGrant, audit: &AuditEntry) -> ();
        writes fn revoke_cluster(cluster: ClusterId, project: ProjectId, audit: &AuditEntry) -> ();
        reads fn cluster_grants(cluster: ClusterId) -> Vec<ClusterGrant>;
        writes fn link_cluster(link: &ClusterLink, audit: &AuditEntry) -> ();
        writes fn unlink_cluster(cluster: ClusterId, to: Linked, audit: &AuditEntry) -> ();
        reads fn cluster_links(cluster: ClusterId, project: Option<ProjectId>) -> Vec<ClusterLink>;
        reads fn clusters_of(deployment: DeploymentId) -> Vec<(Linked, Cluster)>;
    }
    DatasourceStore {
        writes fn create_datasource(datasource: &Datasource, audit: &AuditEntry) -> ();
        reads fn datasource(id: DatasourceId) -> Datasource;
        reads fn datasources(owner: Owner, page: PageRequest) -> Page<Datasource>;
        writes fn update_datasource(datasource: &Datasource, audit: &AuditEntry) -> ();
        writes fn delete_datasource(id: DatasourceId, audit: &AuditEntry) -> ();
    }
    AuditStore {
        writes fn record_refusal(entry: &AuditEntry) -> ();
        reads fn audit(filter: AuditFilter, page: PageRequest) -> Page<AuditEntry>;
    }
    AccessStore {
        writes fn set_override(given: &RoleOverride, audit: &AuditEntry) -> ();
        writes fn remove_override(at: OverrideAt, user: UserId, audit: &AuditEntry) -> ();
        reads fn overrides(at: OverrideAt) -> Vec<RoleOverride>;
        reads fn overrides_of(project: ProjectId, user: UserId) -> Vec<RoleOverride>;
        reads fn grants_on_path(user: UserId, path: AccessPath) -> Grants;
        reads fn readable_runs(reader: RunReader, runs: &[RunId]) -> Vec<RunId>;
    }
    RepositoryStore {
        writes fn create_repository(repository: &Repository, audit: &AuditEntry) -> ();
        reads fn repository(id: RepositoryId) -> Repository;
        reads fn repositories(filter: RepositoryFilter, page: PageRequest) -> Page<Repository>;
        writes fn update_repository(repository: &Repository, audit: &AuditEntry) -> ();
        writes fn delete_repository(id: RepositoryId, audit: &AuditEntry) -> ();
    }
    BranchStore {
        writes fn create_branch(branch: &Branch, audit: &AuditEntry) -> ();
        reads fn branch(id: BranchId) -> Branch;
        reads fn branches(repository: RepositoryId, page: PageRequest) -> Page<Branch>;
        writes fn move_branch(to: &BranchMove) -> Moved<Branch>;
        writes fn delete_branch(id: BranchId, audit: &AuditEntry) -> ();
    }
    ImageStore {
        writes fn create_image(image: &Image, audit: &AuditEntry) -> ();
        reads fn image(id: ImageId) -> Image;
        reads fn images(filter: ImageFilter, page: PageRequest) -> Page<Image>;
        writes fn update_image(image: &Image, audit: &AuditEntry) -> ();
        writes fn move_image(to: &ImageMove) -> Moved<Image>;
        writes fn delete_image(id: ImageId, audit: &AuditEntry) -> ();
    }
    MonitorStore {
        writes fn create_monitor(monitor: &Monitor, audit: &AuditEntry) -> Monitor;
        reads fn monitor(id: MonitorId) -> Monitor;
        reads fn monitors(filter: MonitorFilter, page: PageRequest) -> Page<Monitor>;
        writes fn update_monitor(monitor: &Monitor, audit: &AuditEntry) -> Monitor;
        writes fn delete_monitor(id: MonitorId, audit: &AuditEntry) -> ();
    }
    MonitorLogStore {
        writes fn record_monitor_result(result: &NewMonitorResult) -> (Monitor, MonitorLog);
        reads fn monitor_logs(monitor: MonitorId, page: PageRequest) -> Page<MonitorLog>;
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: Store> EventStore for FaultyStore<S> {
    async fn run_events(&self, run: RunId, after: u64, limit: u32) -> Result<Vec<RunEvent>> {
        self.reads("run_events", self.inner.run_events(run, after, limit)).await
    }

    async fn feed(&self, after: EventCursor, limit: u32) -> Result<FeedPage> {
        self.reads("feed", self.inner.feed(after, limit)).await
    }

    async fn feed_end(&self) -> Result<EventCursor> {
        self.reads("feed_end", self.inner.feed_end()).await
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.plan.changes(self.inner.changes())
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: Store> RunStore for FaultyStore<S> {
    async fn enqueue(&self, runs: &[Enqueue]) -> Result<Vec<Result<Enqueued>>> {
        self.writes("enqueue", self.inner.enqueue(runs)).await
    }

    async fn run(&self, id: RunId) -> Result<Run> {
        self.reads("run", self.inner.run(id)).await
    }

    async fn runs(&self, filter: RunFilter, page: PageRequest) -> Result<Page<Run>> {
        self.reads("runs", self.inner.runs(filter, page)).await
    }

    async fn steps(&self, run: RunId) -> Result<Vec<Step>> {
        self.reads("steps", self.inner.steps(run)).await
    }

    async fn plan(&self, hash: PlanHash) -> Result<Plan> {
        self.reads("plan", self.inner.plan(hash)).await
    }

    async fn poll(&self, worker: WorkerId) -> Result<Poll> {
        self.reads("poll", self.inner.poll(worker)).await
    }

    async fn claim(&self, worker: WorkerId, limit: u32) -> Result<Vec<Claim>> {
        self.writes("claim", self.inner.claim(worker, limit)).await
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn record(&self, commands: &[Command]) -> Result<Vec<Result<Recorded, RecordError>>> {
        let mut call = self.call("record", true);
        call.look_at(commands);
        self.around(call, self.inner.record(commands)).await
    }
}
