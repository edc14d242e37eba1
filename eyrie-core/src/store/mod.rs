//! The storage port: narrow traits, one aggregate each, bundled by [`Store`].
//!
//! Rules that hold for every method of every trait here:
//! * a method is one atomic unit: it happens as a whole or not at all;
//! * a mutating method commits the [`AuditEntry`](crate::model::AuditEntry) it is given together with what it does (the engine's own
//!   writes, which are events of their run, take none);
//! * what does not exist is [`ErrorKind::NotFound`](crate::ErrorKind::NotFound); a doubled unique name is `AlreadyExists`; an
//!   update whose `version` is not the stored one is `Conflict`; deleting what is still referred to is `Conflict`;
//! * durable times of runs, steps, events and leases come from the store's own clock.
//!
//! [`conformance`](crate::conformance) holds the suite that every implementation passes.

mod access;
mod audit;
mod capability;
mod cluster;
mod coalesce;
mod command;
mod datasource;
mod deployment;
mod draft;
mod event;
mod fairness;
mod group;
mod image;
mod log;
mod monitor;
mod needs;
mod page;
mod place;
mod project;
mod queue;
mod record;
mod release;
mod repository;
mod retention;
mod run;
mod schedule;
mod secret;
mod service;
mod sign_in;
mod statement;
mod token;
mod user;
mod worker;

use std::fmt::Debug;

pub use access::{AccessStore, RunReader};
pub use audit::{AuditFilter, AuditStore};
pub use capability::Capabilities;
pub use cluster::{ClusterLinkStore, ClusterStore};
pub use coalesce::{Newest, Supersession};
pub use command::{Change, Command, End, Fence, RecordError, Recorded, Settle, Settlement, Skip, StepReport};
pub use datasource::DatasourceStore;
pub use deployment::{DeploymentFilter, DeploymentStore};
pub use draft::{MAX_REPORTED_STEPS, MAX_UNDO_DATA, claim};
pub use event::{EventStore, FeedItem, FeedPage, unbroken};
pub use fairness::{Lane, Load, Loads, Waiting, fair_shares, limit_reached};
pub use group::{GroupStore, ScopeStore};
pub use image::{ImageFilter, ImageMove, ImageStore, Moved};
pub use log::{LogBound, LogChunk, LogPiece, LogStore, MAX_LOG_CHUNK};
pub use monitor::{MonitorFilter, MonitorLogStore, MonitorStore, NewMonitorResult};
pub use needs::Needs;
pub use page::{Page, PageRequest};
pub use place::queued;
pub use project::{MemberStore, ProjectStore};
pub use queue::{InQueue, QueueOf, QueueStore, has_turn, wait_of};
pub use record::{EventRow, Outcome, RunBatch, RunView, RunWrites};
pub use release::{DeployedServiceFilter, ReleaseStore, deployed_after};
pub use repository::{BranchMove, BranchStore, RepositoryFilter, RepositoryStore};
pub use retention::{ForgetRule, Pruning, RetentionStore};
pub use run::{Claim, Enqueue, Enqueued, Poll, RequestKey, RunFilter, RunStore};
pub use schedule::{DueSchedules, Fire, ScheduleFilter, ScheduleStore};
pub use secret::{KEPT_VALUES, SealingKeyStore, SecretStore};
pub use service::ServiceStore;
pub use sign_in::SignInStore;
pub use statement::{MAX_STATEMENT_BYTES, MAX_STATEMENTS, Parameter, Statement, Statements};
pub use token::{TokenFilter, TokenStore};
pub use user::{NewUserRule, UserStore};
pub use worker::{WorkerLease, WorkerStore};

/// Everything that must be kept, behind one object.
pub trait Store:
    ProjectStore
    + MemberStore
    + GroupStore
    + ScopeStore
    + DeploymentStore
    + ServiceStore
    + RunStore
    + ScheduleStore
    + QueueStore
    + EventStore
    + LogStore
    + WorkerStore
    + ReleaseStore
    + RetentionStore
    + UserStore
    + TokenStore
    + SignInStore
    + AuditStore
    + AccessStore
    + SecretStore
    + SealingKeyStore
    + ClusterStore
    + ClusterLinkStore
    + DatasourceStore
    + RepositoryStore
    + BranchStore
    + ImageStore
    + MonitorStore
    + MonitorLogStore
    + Debug
    + Send
    + Sync
    + 'static
{
}

impl<T> Store for T where
    T: ProjectStore
        + MemberStore
        + GroupStore
        + ScopeStore
        + DeploymentStore
        + ServiceStore
        + RunStore
        + ScheduleStore
        + QueueStore
        + EventStore
        + LogStore
        + WorkerStore
        + ReleaseStore
        + RetentionStore
        + UserStore
        + TokenStore
        + SignInStore
        + AuditStore
        + AccessStore
        + SecretStore
        + SealingKeyStore
        + ClusterStore
        + ClusterLinkStore
        + DatasourceStore
        + RepositoryStore
        + BranchStore
        + ImageStore
        + MonitorStore
        + MonitorLogStore
        + Debug
        + Send
        + Sync
        + 'static
{
}
