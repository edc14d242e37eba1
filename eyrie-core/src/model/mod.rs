//! The nouns: one aggregate a file. A model knows no store and does no I/O; its state changes only through its transition function.

mod audit;
mod branch;
mod cluster;
mod condition;
mod datasource;
mod deployed_service;
mod deployment;
mod difference;
mod discovery;
mod endpoint;
mod group;
mod image;
mod json_bound;
mod monitor;
mod owner;
mod patch;
mod plan;
mod plan_builder;
mod plan_graph;
mod plan_hash;
mod plan_policy;
mod plan_progress;
mod principal;
mod project;
mod queue;
mod recurrence;
mod release;
mod repository;
mod retention;
mod role_override;
mod run;
mod run_event;
mod schedule;
mod scope;
mod secret;
mod service;
mod settings;
mod sign_in;
mod step;
mod token;
mod uid;
mod user;

pub use audit::{AuditEntry, Verdict};
pub use branch::{Branch, BranchHead, NewBranch};
pub use cluster::{
    Cluster, ClusterGrant, ClusterLink, ClusterMove, ClusterPatch, ClusterState, ClusterUid, Linked, NewCluster, nearest_clusters,
};
pub use condition::{Condition, Done, MAX_CONDITION_BYTES, MAX_CONDITION_DEPTH, MAX_CONDITION_PARTS, OutputOf, OutputTest, ValueTest};
pub use datasource::{
    BucketConfig, DataType, DatabaseConfig, Datasource, DatasourceConfig, DatasourcePatch, DatasourceUsage, FolderConfig, NewDatasource,
};
pub use deployed_service::{DeployedService, DeployedState};
pub use deployment::{Deployment, DeploymentPatch, NewDeployment};
pub use difference::{Difference, MAX_DIFFERENCES};
pub use discovery::{DISCOVERY_LABELS, DISCOVERY_TARGETS, Reachable};
pub use endpoint::Endpoint;
pub use group::{DeploymentGroup, GroupPatch, NewGroup};
pub use image::{Image, ImagePatch, NewImage, RecordedDigest};
pub(crate) use json_bound::check_json;
pub use monitor::{
    HttpMethod, Monitor, MonitorCheck, MonitorLog, MonitorOutcome, MonitorPatch, MonitorResult, MonitorState, MonitorStatus,
    MonitorThresholds, NewMonitor, ResourceKind,
};
pub use owner::Owner;
pub use plan::{
    APPROVAL_ACTION, MAX_PARALLEL, MAX_PARAMETERS_BYTES, MAX_PLAN_BYTES, MAX_PLAN_STEPS, MAX_VALUE_DEPTH, PLAN_VERSION, Plan,
    PlannedRelease, PlannedStep,
};
pub use plan_builder::{PlanBuilder, StepBuilder};
pub use plan_hash::PlanHash;
pub use plan_policy::{CrashPolicy, RetryPolicy, StopPolicy, UndoPolicy};
pub use principal::{Principal, PrincipalRef};
pub use project::{Namespace, NamespaceUid, NewProject, Project, ProjectPatch};
pub use queue::{Ahead, Limited, MAX_RUNNING, MOST_RUNNING, QUEUE_POLICY, QueuePlace, QueuePolicy, Wait};
pub use recurrence::{CronExpression, TimeZoneName};
pub use release::Release;
pub use repository::{NewRepository, Repository, RepositoryPatch};
pub use retention::RetentionPolicy;
pub use role_override::{AccessPath, Grant, Grants, OverrideAt, RoleOverride};
pub use run::{Resumption, Run, RunKind, RunMove, RunRow, RunState};
pub(crate) use run::{beside, cause};
pub use run_event::{EventCursor, RunEvent, RunEventBody};
pub use schedule::{DueFires, LastFire, MAX_CATCH_UP, MISSED_AFTER, MissedPolicy, NewSchedule, Schedule, SchedulePatch};
pub use scope::{NewScope, Scope, ScopePatch};
pub use secret::{NewSecret, SealedSecret, SealingKey, Secret, SecretVersion};
pub use service::{Service, ServiceSource};
pub use settings::{EffectiveSettings, EffectiveValue, HiddenValue, Level, Settings, SettingsPatch};
pub use sign_in::{SignInAttempt, SignInCount, SignInFailures};
pub use step::{MAX_STEP_MESSAGE, ReportedState, Step, StepIndex, StepMove, StepRow, StepStart, StepState};
pub use token::{Token, TokenBinding, TokenCapabilities, TokenCapability, TokenKind};
pub use user::{Membership, Role, User};
