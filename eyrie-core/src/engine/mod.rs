//! The engine: durable steps, executed at least once and recorded exactly once.
//!
//! ```text
//!  enqueue ──► Recorder ──► Store ──► events ──► Hub ──► subscribers
//!                 ▲                                │
//!   Worker ── claim, heartbeat                     │ wake
//!     └─ Driver (one per run) ── Advance ──────────┘
//!          └─ body (the action), on the program's own runtime
//! ```
//!
//! *At-least-once execution, exactly-once recording*: the body of a step may be executed again after a crash, as another attempt;
//! the record of what happened never forks. Recorder, heartbeat and drivers live on a thread of their own, so that a body that
//! blocks its thread delays neither the leases nor the record.
//!
//! *Undo is at-least-once, too*: a plan whose [`StopPolicy`](crate::model::StopPolicy) says so is undone backwards, each step by
//! [`Action::undo`] or by another action, under the same rules as the steps themselves.

mod action;
mod admission;
mod board;
mod body;
mod control;
mod driver;
mod feed;
mod firing;
mod hub;
mod lease;
mod log_writer;
mod parameters;
mod plan_cache;
mod progress;
mod pruner;
mod recorder;
mod recovery;
mod redaction;
mod registry;
mod settling;
mod transactional;
mod undo;
mod worker;

pub use action::{Action, ActionContext, ActionError, Output, Probed, Reclaimed, RunAccess, RunHost, RunInfo, UndoOutcome, Undoing};
pub use control::{Engine, EngineOptions, WorkerOptions};
pub use feed::{Feed, Subscription};
pub(crate) use redaction::redacted_report;
pub use registry::Registry;
