//! What the store keeps, and the few look-ups that several families share.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
    ops::Bound,
    sync::Arc,
};

use uuid::Uuid;

use crate::{
    clock::Timestamp,
    error::{Error, ErrorKind, Result},
    id::{
        AuditId, BranchId, ClusterId, CommandId, DatasourceId, DeployedServiceId, DeploymentId, GroupId, ImageId, MonitorId, MonitorLogId,
        ProjectId, ReleaseId, RepositoryId, RunId, ScheduleId, ScopeId, SecretId, ServiceId, TokenId, UserId, WorkerId,
    },
    model::{
        AuditEntry, Branch, Cluster, ClusterGrant, ClusterLink, Datasource, DeployedService, Deployment, DeploymentGroup, Image, Linked,
        Monitor, MonitorLog, NamespaceUid, OverrideAt, PlanHash, PrincipalRef, Project, Release, Repository, Role, RoleOverride, Run,
        RunEvent, RunState, Schedule, Scope, SealedSecret, SealingKey, Secret, Service, SignInCount, SignInFailures, Step, StepIndex,
        StepState, Token, User,
    },
    name::{Origin, StepName},
    secret::{KeyVersion, SecretRef},
    store::{EventRow, Lane, LogChunk, Page, PageRequest, RequestKey},
};

/// Refusals are the same when all of this is: who, from where, what, to what, in which minute.
pub(super) type RefusalKey = (PrincipalRef, Option<Origin>, String, String, i64);

/// Who was refused, and from where.
pub(super) type RefusalSource = (PrincipalRef, Option<Origin>);

#[derive(Default)]
pub(super) struct State {
    pub(super) projects: BTreeMap<ProjectId, Project>,
    pub(super) used_namespaces: HashSet<NamespaceUid>,
    pub(super) members: BTreeMap<(ProjectId, UserId), Role>,
    pub(super) groups: BTreeMap<GroupId, DeploymentGroup>,
    pub(super) scopes: BTreeMap<ScopeId, Scope>,
    pub(super) deployments: BTreeMap<DeploymentId, Deployment>,
    pub(super) services: BTreeMap<ServiceId, Service>,
    pub(super) schedules: BTreeMap<ScheduleId, Schedule>,
    pub(super) users: BTreeMap<UserId, User>,
    pub(super) tokens: BTreeMap<TokenId, Token>,
    pub(super) failed_sign_ins: BTreeMap<SignInCount, SignInFailures>,
    pub(super) audit: BTreeMap<AuditId, AuditEntry>,
    pub(super) refusals: HashMap<RefusalKey, AuditId>,
    pub(super) refusal_order: BTreeSet<AuditId>,
    pub(super) refusals_of: HashMap<RefusalSource, BTreeSet<AuditId>>,
    pub(super) workers: BTreeMap<WorkerId, Lease>,
    pub(super) runs: BTreeMap<RunId, RunRecord>,
    pub(super) plans: BTreeMap<PlanHash, String>,
    pub(super) request_keys: BTreeMap<String, (RequestKey, RunId)>,
    pub(super) cluster_limits: BTreeMap<ClusterId, u32>,
    /// Runs that a worker holds or must take over.
    pub(super) held: BTreeSet<RunId>,
    /// Queued runs whose turn it is.
    pub(super) ready: BTreeSet<RunId>,
    /// Runs whose time has not come, by that time.
    pub(super) deferred: BTreeSet<(Timestamp, RunId)>,
    /// Runs that have not ended, by deployment.
    pub(super) open: BTreeMap<DeploymentId, BTreeSet<RunId>>,
    /// All runs' events in the order of their writing, by their place.
    pub(super) feed: BTreeMap<u64, Arc<RunEvent>>,
    /// The place of the newest event.
    pub(super) feed_end: u64,
    /// The last place whose event was pruned.
    pub(super) feed_floor: u64,
    pub(super) releases: BTreeMap<ReleaseId, Release>,
    pub(super) deployed: BTreeMap<DeployedServiceId, DeployedService>,
    pub(super) overrides: BTreeMap<(OverrideAt, UserId), RoleOverride>,
    pub(super) clusters: BTreeMap<ClusterId, Cluster>,
    pub(super) cluster_grants: BTreeMap<(ClusterId, ProjectId), ClusterGrant>,
    pub(super) cluster_links: BTreeMap<(Linked, ClusterId), ClusterLink>,
    pub(super) datasources: BTreeMap<DatasourceId, Datasource>,
    pub(super) secrets: BTreeMap<SecretId, Secret>,
    pub(super) secret_values: BTreeMap<SecretRef, SealedSecret>,
    pub(super) sealing_keys: BTreeMap<KeyVersion, SealingKey>,
    /// Which values plans name.
    pub(super) plan_secrets: BTreeMap<PlanHash, Vec<SecretRef>>,
    pub(super) repositories: BTreeMap<RepositoryId, Repository>,
    pub(super) branches: BTreeMap<BranchId, Branch>,
    pub(super) images: BTreeMap<ImageId, Image>,
    pub(super) monitors: BTreeMap<MonitorId, Monitor>,
    pub(super) monitor_logs: BTreeMap<MonitorLogId, MonitorLog>,
}

/// A worker's lease.
#[derive(Clone, Copy)]
pub(super) struct Lease {
    pub(super) until: Timestamp,
    pub(super) retired: bool,
}

/// A run with everything below it.
pub(super) struct RunRecord {
    pub(super) run: Run,
    /// What it counts against.
    pub(super) lane: Lane,
    pub(super) steps: BTreeMap<StepIndex, Step>,
    /// Steps that are pending, running or undoing.
    pub(super) unfinished: BTreeSet<StepIndex>,
    /// Reported ones among them, by name.
    pub(super) unfinished_reports: BTreeMap<StepName, BTreeSet<StepIndex>>,
    /// Those that are kept, without gaps, each with its place in the feed.
    pub(super) events: VecDeque<(u64, Arc<RunEvent>)>,
    pub(super) report_ids: HashSet<String>,
    pub(super) commands: HashMap<CommandId, Vec<Arc<RunEvent>>>,
    pub(super) log: Vec<LogChunk>,
    /// How long the log has become, with what is no longer kept of it.
    pub(super) log_end: u64,
}

impl RunRecord {
    pub(super) fn new(run: Run, lane: Lane) -> Self {
        Self {
            run,
            lane,
            steps: BTreeMap::new(),
            unfinished: BTreeSet::new(),
            unfinished_reports: BTreeMap::new(),
            events: VecDeque::new(),
            report_ids: HashSet::new(),
            commands: HashMap::new(),
            log: Vec::new(),
            log_end: 0,
        }
    }

    pub(super) fn put_step(&mut self, step: Step) {
        let index = step.index;
        let is_open = matches!(step.state, StepState::Pending | StepState::Running | StepState::Undoing);
        if is_open {
            self.unfinished.insert(index);
        } else {
            self.unfinished.remove(&index);
        }
        if step.parent.is_some() {
            if is_open {
                self.unfinished_reports.entry(step.name.clone()).or_default().insert(index);
            } else if let Some(named) = self.unfinished_reports.get_mut(&step.name) {
                named.remove(&index);
                if named.is_empty() {
                    self.unfinished_reports.remove(&step.name);
                }
            }
        }
        self.steps.insert(index, step);
    }
}

impl State {
    /// Keeps an entry of something that was done.
    pub(super) fn note(&mut self, entry: &AuditEntry) {
        self.audit.insert(entry.id, entry.clone());
    }

    /// Keeps a run that is there as it is now; what is derived from its state follows.
    pub(super) fn put_run(&mut self, run: Run) {
        let (id, deployment) = (run.id, run.deployment_id);
        set(&mut self.held, id, run.state.is_held());
        set(&mut self.ready, id, run.ready && run.state == RunState::Queued);
        set(&mut self.deferred, (run.queued_at, id), run.deferred);
        let open = self.open.entry(deployment).or_default();
        set(open, id, !run.state.is_terminal());
        if open.is_empty() {
            self.open.remove(&deployment);
        }
        if let Some(record) = self.runs.get_mut(&id) {
            record.run = run;
        }
    }

    pub(super) fn put_event(&mut self, row: EventRow) {
        let EventRow { event, command, report_id } = row;
        self.feed_end += 1;
        self.feed.insert(self.feed_end, Arc::clone(&event));
        if let Some(record) = self.runs.get_mut(&event.run_id) {
            record.report_ids.extend(report_id);
            if let Some(command) = command {
                record.commands.entry(command).or_default().push(Arc::clone(&event));
            }
            record.events.push_back((self.feed_end, event));
        }
    }

    pub(super) fn record(&self, id: RunId) -> Result<&RunRecord> {
        self.runs.get(&id).ok_or_else(|| Error::not_found("run"))
    }

    /// Whether the worker's lease is good now.
    pub(super) fn is_leased(&self, worker: WorkerId, now: Timestamp) -> bool {
        self.workers.get(&worker).is_some_and(|lease| !lease.retired && now < lease.until)
    }
}

fn set<T: Ord>(all: &mut BTreeSet<T>, item: T, is_in: bool) {
    if is_in {
        all.insert(item);
    } else {
        all.remove(&item);
    }
}

/// What is kept under `id`.
pub(super) fn get<K: Ord, V: Clone>(all: &BTreeMap<K, V>, id: K, what: &'static str) -> Result<V> {
    all.get(&id).cloned().ok_or_else(|| Error::not_found(what))
}

/// The one that fits.
pub(super) fn find<K, V: Clone>(all: &BTreeMap<K, V>, what: &'static str, fits: impl Fn(&V) -> bool) -> Result<V> {
    all.values().find(|item| fits(item)).cloned().ok_or_else(|| Error::not_found(what))
}

/// Refuses what refers to something that does not exist.
pub(super) fn need<K: Ord, V>(all: &BTreeMap<K, V>, id: K, what: &'static str) -> Result<()> {
    if all.contains_key(&id) { Ok(()) } else { Err(Error::not_found(what)) }
}

/// Refuses a doubled unique name.
pub(super) fn free<'a, V: 'a>(
    mut all: impl Iterator<Item = &'a V>,
    operation: &'static str,
    message: &'static str,
    taken: impl Fn(&V) -> bool,
) -> Result<()> {
    if all.any(taken) { Err(Error::new(ErrorKind::AlreadyExists, operation, message)) } else { Ok(()) }
}

/// Refuses an update of what has changed since it was read.
pub(super) fn same_version(stored: u64, given: u64, operation: &'static str) -> Result<()> {
    if stored == given {
        Ok(())
    } else {
        Err(Error::new(ErrorKind::Conflict, operation, format!("it has changed since it was read (version {stored}, not {given})")))
    }
}

/// Refuses to delete what is still referred to.
pub(super) fn unused(is_used: bool, operation: &'static str, message: &'static str) -> Result<()> {
    if is_used { Err(Error::new(ErrorKind::Conflict, operation, message)) } else { Ok(()) }
}

/// A page in the order of making: the items behind the cursor that fit.
pub(super) fn oldest_first<K: Ord + Copy, V: Clone>(
    all: &BTreeMap<K, V>,
    page: &PageRequest,
    key: impl Fn(Uuid) -> K,
    id: impl Fn(&V) -> Uuid,
    fits: impl Fn(&V) -> bool,
) -> Page<V> {
    let start = page.cursor().map_or(Bound::Unbounded, |cursor| Bound::Excluded(key(cursor)));
    let behind = all.range((start, Bound::Unbounded)).map(|(_, item)| item);
    Page::cut(behind.filter(|item| fits(item)).take(page.limit() as usize + 1).cloned().collect(), page, id)
}

/// The same, newest first.
pub(super) fn newest_first<K: Ord + Copy, V, T>(
    all: &BTreeMap<K, V>,
    page: &PageRequest,
    key: impl Fn(Uuid) -> K,
    id: impl Fn(&T) -> Uuid,
    pick: impl Fn(&V) -> Option<T>,
) -> Page<T> {
    let end = page.cursor().map_or(Bound::Unbounded, |cursor| Bound::Excluded(key(cursor)));
    let before = all.range((Bound::Unbounded, end)).rev().map(|(_, item)| item);
    Page::cut(before.filter_map(pick).take(page.limit() as usize + 1).collect(), page, id)
}
