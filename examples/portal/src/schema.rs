//! The shapes of what is sent and answered, for the document. A test holds them against what the library really writes.
#![expect(dead_code, reason = "read by the derive only")]

use serde_json::Value;
use utoipa::ToSchema;

macro_rules! shapes {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $kind:ty,)* })+) => {$(
        $(#[$doc])*
        #[derive(ToSchema)]
        pub(crate) struct $name { $($field: $kind,)* }
    )+};
}

/// Some items, and where the next page begins.
#[derive(ToSchema)]
pub(crate) struct Page<T> {
    items: Vec<T>,
    /// Hand this back as `after`; null: this was the last page.
    next: Option<String>,
}

shapes! {
    /// A refusal (RFC 9457).
    Problem { r#type: String, title: String, status: u16, detail: String, field: Option<String>, }
    /// The isolation of a project.
    Namespace { uid: String, name: String, }
    /// A project.
    Project { id: String, slug: String, name: String, owner_id: Option<String>, namespace: Namespace, settings: Value, created_at: String, version: u64, }
    /// A new project.
    NewProject { slug: String, name: Option<String>, settings: Option<Value>, }
    /// What to change; what is missing stays. `settings` replaces them as a whole, `settings_patch` changes the fields that it names (a
    /// JSON merge patch of the top level: null means inherited again); one of the two.
    Patch { name: Option<String>, settings: Option<Value>, settings_patch: Option<Value>, }
    /// A user's role in a project.
    Member { project_id: String, user_id: String, role: String, }
    /// A member's role in a group.
    GroupMember { project_id: String, group_id: String, user_id: String, role: String, }
    /// A member's role in a deployment.
    DeploymentMember { project_id: String, deployment_id: String, user_id: String, role: String, }
    /// The role that counts in a group or a deployment: user, developer, admin, or none.
    Grant { role: String, }
    /// Who owns a project; null: the operators.
    Owner { user_id: Option<String>, }
    /// Whether somebody may do something somewhere, and the grant that decided: local_operator, disabled, operator, owner,
    /// deployment_override, group_override, project_role, no_role, token_binding or token_capability.
    Explanation {
        permission: String, level: String, allowed: bool, readable: bool, role: Option<String>, decided_by: String, needs: String,
    }
    /// A group of deployments of one type.
    Group { id: String, project_id: String, slug: String, name: String, group_type: String, settings: Value, created_at: String, version: u64, }
    /// A new group.
    NewGroup { slug: String, name: Option<String>, group_type: String, settings: Option<Value>, }
    /// An environment of a group.
    Scope {
        id: String, group_id: String, slug: String, name: String, settings: Value, backup_dest_datasource_id: Option<String>,
        monitor_log_delete_after_seconds: Option<u64>, created_at: String, version: u64,
    }
    /// A new scope.
    NewScope {
        slug: String, name: Option<String>, settings: Option<Value>, backup_dest_datasource_id: Option<String>,
        monitor_log_delete_after_seconds: Option<u64>,
    }
    /// What to change of a scope; what is missing stays, null takes off what need not be there.
    ScopePatch {
        name: Option<String>, settings: Option<Value>, backup_dest_datasource_id: Option<String>,
        monitor_log_delete_after_seconds: Option<u64>,
    }
    /// A deployment.
    Deployment {
        id: String, project_id: String, group_id: String, slug: String, name: String, scope_id: Option<String>, service_id: Option<String>,
        branch_id: Option<String>, image_id: Option<String>, redeploy_on_commit: bool, redeploy_on_digest: bool, redeploy_for: Option<Value>,
        settings: Value, created_at: String, version: u64,
    }
    /// A deployment with everything that it inherits: each setting as `{value, level}`.
    DeploymentView {
        id: String, project_id: String, group_id: String, slug: String, name: String, scope_id: Option<String>, service_id: Option<String>,
        branch_id: Option<String>, image_id: Option<String>, redeploy_on_commit: bool, redeploy_on_digest: bool, redeploy_for: Option<Value>,
        settings: Value, created_at: String, version: u64, effective_settings: Value,
    }
    /// A new deployment.
    NewDeployment {
        slug: String, name: Option<String>, scope_id: Option<String>, service_id: Option<String>, branch_id: Option<String>,
        image_id: Option<String>, redeploy_on_commit: Option<bool>, redeploy_on_digest: Option<bool>, settings: Option<Value>,
    }
    /// What to change of a deployment; what is missing stays, null takes off what need not be there. `settings` replaces its own as a
    /// whole, `settings_patch` changes the fields that it names (a JSON merge patch of the top level: null means inherited again); one of
    /// the two.
    DeploymentPatch {
        name: Option<String>, scope_id: Option<String>, service_id: Option<String>, branch_id: Option<String>, image_id: Option<String>,
        redeploy_on_commit: Option<bool>, redeploy_on_digest: Option<bool>, settings: Option<Value>,
        settings_patch: Option<Value>,
    }
    /// A check on a deployment: `check` is `{type: "http_request", url, method, expected_status, timeout_seconds}` or `{type: "resource",
    /// kind}` (`cpu`, `memory`, `storage`); `state` is `ok`, `warning`, `error` or `unknown`.
    Monitor {
        id: String, project_id: String, deployment_id: String, slug: String, check: Value, interval_seconds: u32, thresholds: MonitorThresholds,
        enabled: bool, state: String, since: String, checked_at: Option<String>, created_at: String, version: u64,
    }
    /// When results are bad, and how many one behind the other make a state. Values are milliseconds of a request, percent of a resource.
    MonitorThresholds { warning_above: Option<f64>, error_above: Option<f64>, warning_after: Option<u32>, error_after: Option<u32>, }
    /// A new monitor: every minute if `interval_seconds` is missing.
    NewMonitor {
        slug: String, check: Value, interval_seconds: Option<u32>, thresholds: Option<MonitorThresholds>, enabled: Option<bool>,
    }
    /// What to change of a monitor; what is missing stays.
    MonitorPatch { check: Option<Value>, interval_seconds: Option<u32>, thresholds: Option<MonitorThresholds>, enabled: Option<bool>, }
    /// What a check has found out: `outcome` is `passed`, `failed` or `unknown`.
    MonitorResult { outcome: String, value: Option<f64>, message: Option<String>, }
    /// A result as it is kept, with the state that it made.
    MonitorLog { id: String, monitor_id: String, at: String, outcome: String, value: Option<f64>, message: String, state: String, }
    /// A result that counts.
    RecordedResult { monitor: Monitor, log: MonitorLog, }
    /// A git repository; without a project it is the operators'.
    Repository {
        id: String, project_id: Option<String>, slug: String, name: String, url: String, group_type: Option<String>,
        credentials_secret_id: Option<String>, created_at: String, version: u64,
    }
    /// A new repository: `url` is `https://host/path`, `ssh://user@host/path` or `user@host:path`.
    NewRepository {
        project_id: Option<String>, slug: String, name: Option<String>, url: String, group_type: Option<String>,
        credentials_secret_id: Option<String>,
    }
    /// What to change of a repository; what is missing stays, null takes off what need not be there.
    RepositoryPatch { name: Option<String>, url: Option<String>, group_type: Option<String>, credentials_secret_id: Option<String>, }
    /// A branch. `head` is `{commit, recorded_at}`.
    Branch {
        id: String, repository_id: String, project_id: Option<String>, name: String, head: Option<Value>, created_at: String, version: u64,
    }
    /// A new branch.
    NewBranch { name: String, commit: Option<String>, }
    /// A commit: 40 or 64 hex digits.
    BranchCommit { commit: String, }
    /// What became of a deployment that follows what has moved: its run, or why there is none.
    Redeploy { deployment_id: String, run_id: Option<String>, message: String, }
    /// A branch, and the deployments that were to be redeployed.
    RecordedBranch {
        id: String, repository_id: String, project_id: Option<String>, name: String, head: Option<Value>, created_at: String, version: u64,
        redeploys: Vec<Redeploy>,
    }
    /// A container image; without a project it is the operators'. `current` is `{digest, recorded_at}`.
    Image {
        id: String, project_id: Option<String>, repository_id: Option<String>, reference: String, current: Option<Value>, created_at: String,
        version: u64,
    }
    /// A new image: `reference` is `registry/repository:tag`.
    NewImage { project_id: Option<String>, repository_id: Option<String>, reference: String, digest: Option<String>, }
    /// What to change of an image; null takes the repository off.
    ImagePatch { repository_id: Option<String>, }
    /// A digest: `sha256:` and 64 hex digits.
    DigestOfImage { digest: String, }
    /// An image, and the deployments that were to be redeployed.
    RecordedImage {
        id: String, project_id: Option<String>, repository_id: Option<String>, reference: String, current: Option<Value>, created_at: String,
        version: u64, redeploys: Vec<Redeploy>,
    }
    /// A deployment's settings: each `{value, level}`, with `hides`, a list of `{level, value}` nearest first, where it hides something.
    /// `refused` says why they cannot be deployed as they are.
    SettingsView { deployment_id: String, version: u64, deployment_type: String, settings: Value, refused: Option<RefusedSetting>, }
    /// A setting that keeps a deployment from being deployed.
    RefusedSetting { field: String, reason: String, }
    /// What differs between two releases; `to` null: what a deploy would make now. `more`: there is more than is listed.
    ReleaseDiff { from: Option<String>, to: Option<String>, changes: Vec<Difference>, more: bool, }
    /// A field that differs: its JSON pointer, and its values, as far as there are any.
    Difference { path: String, before: Option<Value>, after: Option<Value>, }
    /// All deployment types.
    DeploymentTypes { items: Vec<DeploymentType>, }
    /// A deployment type, with the built-in defaults of its settings.
    DeploymentType { name: String, defaults: Value, }
    /// How a thing is deployed.
    Service { id: String, project_id: String, name: String, config: Value, source: String, created_at: String, version: u64, }
    /// A new service of a project.
    NewService { project_id: String, name: String, config: Value, }
    /// A service's new config.
    ServiceConfig { config: Value, }
    /// What a sync did.
    SyncReport { synced: Vec<Value>, refused: Vec<Value>, missing: Vec<String>, }
    /// What to run: `kind` is `deploy` if missing, `context` for a service `{"env": {…}}`, `not_before` a time (RFC 3339).
    StartRun { kind: Option<String>, context: Option<Value>, not_before: Option<String>, }
    /// Starts runs of a deployment at recurring times. `last_fire` is `{at, run_id, message}`.
    Schedule {
        id: String, project_id: String, deployment_id: String, slug: String, cron: String, time_zone: String, kind: String, context: Value,
        missed: String, enabled: bool, owner: Value, next_fire_at: Option<String>, last_fire: Option<Value>, created_at: String, version: u64,
    }
    /// A new schedule: `time_zone` is `UTC` if missing, `kind` `deploy`, `missed` `skip` (or `run_once`, `run_all`).
    NewSchedule {
        slug: String, cron: String, time_zone: Option<String>, kind: Option<String>, context: Option<Value>, missed: Option<String>,
        enabled: Option<bool>,
    }
    /// What to change of a schedule; what is missing stays.
    SchedulePatch {
        cron: Option<String>, time_zone: Option<String>, kind: Option<String>, context: Option<Value>, missed: Option<String>,
        enabled: Option<bool>,
    }
    /// Why.
    Reason { reason: Option<String>, }
    /// One execution of a plan.
    Run {
        id: String, project_id: String, deployment_id: String, kind: String, state: String, message: String, requested_by: Value,
        origin: String, context: Value, plan_hash: String, step_count: u32, worker_id: Option<String>, epoch: u64, last_seq: u64,
        not_before: Option<String>, queued_at: String, started_at: Option<String>, finished_at: Option<String>, release_id: Option<String>,
    }
    /// A run with its steps.
    RunView {
        id: String, project_id: String, deployment_id: String, kind: String, state: String, message: String, requested_by: Value,
        origin: String, context: Value, plan_hash: String, step_count: u32, worker_id: Option<String>, epoch: u64, last_seq: u64,
        not_before: Option<String>, queued_at: String, started_at: Option<String>, finished_at: Option<String>, release_id: Option<String>, steps: Vec<Step>,
    }
    /// One step of a run.
    Step {
        run_id: String, index: u32, name: String, parent: Option<u32>, state: String, attempt: u32, message: String, output: Option<Value>,
        started_at: Option<String>, finished_at: Option<String>, next_attempt_at: Option<String>, deadline_at: Option<String>,
    }
    /// Where a run stands in the queue of its deployment: `position` 1 has the turn; `behind` is `{"run": ID}` of the run before it, or
    /// `{"run": null}` when that may not be seen; `wait` says why it waits: `{"reason": "not_due" (with `at`) | "turn" | "limit" | "worker" | "no_worker" |
    /// "approval" | "parked"}`, for a limit with `of`, `most` and `under_way`.
    QueuePlace { position: Option<u32>, behind: Option<Value>, wait: Option<Value>, }
    /// A run that has not ended, with its place.
    QueuedRun {
        id: String, project_id: String, deployment_id: String, kind: String, state: String, message: String, requested_by: Value,
        origin: String, context: Value, plan_hash: String, step_count: u32, worker_id: Option<String>, epoch: u64, last_seq: u64,
        not_before: Option<String>, queued_at: String, started_at: Option<String>, finished_at: Option<String>, release_id: Option<String>,
        queue: QueuePlace,
    }
    /// A step that waits for somebody's word: its place in the run, its name, and the role that the plan asks for.
    Approval { step: u32, name: String, role: String, }
    /// What a successful run made.
    Release { id: String, deployment_id: String, run_id: String, plan_hash: String, config: Value, created_at: String, }
    /// What runs because of a release.
    DeployedService {
        id: String, project_id: String, deployment_id: String, cluster_id: Option<String>, state: String, release_id: String,
        run_id: String, updated_at: String,
    }
    /// An account.
    User { id: String, name: String, operator: bool, disabled: bool, created_at: String, version: u64, }
    /// A new account.
    NewUser { name: String, password: Option<String>, operator: Option<bool>, }
    /// What to change of an account: one of the two.
    UserPatch { disabled: Option<bool>, password: Option<String>, }
    /// A token without its secret.
    Token {
        id: String, kind: String, name: String, created_by: Option<String>, binding: Value, project_id: Option<String>,
        capabilities: Vec<String>, origin: String, created_at: String, expires_at: String, revoked_at: Option<String>,
        last_used_at: Option<String>, replaces: Option<String>,
    }
    /// A new service token: `target` is `{"project": ID}`, `{"group": ID}`, `{"deployment": ID}` or `{"service": ID}`; what it is capable
    /// of is among `read`, `deploy`, `cancel`, `approve` and `record`, and `["deploy", "cancel", "record"]` if missing.
    NewToken { name: String, target: Value, capabilities: Option<Vec<String>>, origin: String, days: u16, }
    /// How a token takes the place of another one: how long it lasts (as long as the old one did, if missing), and for how many seconds
    /// the old one is still valid (none, if missing).
    RotateToken { days: Option<u16>, overlap_seconds: Option<u64>, }
    /// A token with its secret, which is shown this once.
    NewTokenSecret { secret: String, token: Token, }
    /// A new discovery token: `target` is `{"project": ID}` or `"everything"`.
    NewDiscoveryToken { name: String, target: Value, origin: String, days: u16, }
    /// What is deployed.
    Discovered { items: Vec<DiscoveredService>, }
    /// Something that is deployed, with where it can be reached.
    DiscoveredService {
        deployed_service_id: String, state: String, project: String, group: String, deployment_type: String, scope: Option<String>,
        deployment: String, deployment_id: String, release_id: String, updated_at: String, targets: Vec<String>, labels: Value,
    }
    /// Targets with their labels, as Prometheus reads them.
    TargetGroup { targets: Vec<String>, labels: Value, }
    /// Who signs in.
    SignIn { name: String, password: String, }
    /// A session. `token` is shown this once.
    Session { token: String, session_id: String, user_id: String, name: String, expires_at: String, }
    /// Who did what to what.
    AuditEntry {
        id: String, at: String, principal: Value, token_id: Option<String>, origin: Option<String>, request_id: Option<String>,
        action: String, resource: String, project_id: Option<String>, verdict: String, reason: String, count: u32,
    }
    /// A step as its script reports it. With a `report_id` a repeat is harmless.
    StepReport { name: String, state: Option<String>, message: Option<String>, error_message: Option<String>, report_id: Option<String>, }
    /// A secret without its value. `project_id` null: the operators have it.
    Secret {
        id: String, project_id: Option<String>, name: String, value_version: u64, created_at: String, created_by: Value, replaced_at: String,
        replaced_by: Value, version: u64,
    }
    /// A secret with what is known of its values that are kept: `{version, created_at, created_by, key_version}`.
    SecretView {
        id: String, project_id: Option<String>, name: String, value_version: u64, created_at: String, created_by: Value, replaced_at: String,
        replaced_by: Value, version: u64, values: Vec<Value>,
    }
    /// A new secret: `value` is text of 6 to 65,536 bytes, and never answered with. Settings name it as `{"$secret": ID}`.
    NewSecret { name: String, value: String, }
    /// Another value.
    SecretValue { value: String, }
    /// A shared cluster. `state`: `draft`, `init`, `active`, `transitioning`, `cancel` or `delete`. Members of projects that it is granted to see `id`, `slug` and `state`.
    Cluster {
        id: String, uid: Option<String>, slug: String, name: Option<String>, state: String, api_endpoint: Option<String>,
        credentials_secret_id: Option<String>, created_at: Option<String>, version: Option<u64>,
    }
    /// A new cluster: its slug is made of its name; its credentials are a secret of the operators.
    NewCluster { name: String, api_endpoint: Option<String>, credentials_secret_id: Option<String>, }
    /// What to change of a cluster; what is missing stays.
    ClusterPatch { name: Option<String>, api_endpoint: Option<String>, credentials_secret_id: Option<String>, }
    /// A move in a cluster's life: `begin`, `fail`, `activate`, `change`, `cancel` or `delete`.
    ClusterMove { r#move: String, }
    /// How many runs may be under way on a cluster; null: any number.
    ClusterLimit { max_running: Option<u32>, }
    /// A project may use a cluster.
    ClusterGrant { cluster_id: String, project_id: String, created_at: String, granted_by: Value, }
    /// A cluster that a deployment goes to, and the level that says so: `deployment`, `scope` or `group`.
    EffectiveCluster { cluster: Cluster, level: String, }
    /// An external data store: `data_type` is `s3like`, `postgres`, `mysql` or `filesystem`, `usage` `remote_backup`, `primary_database`, `read_replica` or `file_storage`.
    Datasource {
        id: String, project_id: Option<String>, slug: String, name: String, data_type: String, usage: String, config: Value,
        credentials_secret_id: Option<String>, created_at: Option<String>, version: Option<u64>,
    }
    /// A new datasource. `config` of `s3like`: `endpoint`, `bucket`, `region`, `path`; of databases: `host`, `port`, `database`; of `filesystem`: `path`. Credentials are a secret of its owner.
    NewDatasource {
        project_id: Option<String>, slug: String, name: Option<String>, data_type: String, usage: String, config: Value,
        credentials_secret_id: Option<String>,
    }
    /// What to change of a datasource; what is missing stays.
    DatasourcePatch { name: Option<String>, config: Option<Value>, credentials_secret_id: Option<String>, }
    /// A role.
    Role { role: String, }
}
