//! The append-only log of a run: what subscribers see.

use std::fmt;

use serde::Serialize;

use crate::{
    clock::Timestamp,
    id::{ProjectId, RunId},
    model::{RunState, StepIndex, StepState},
    name::StepName,
};

/// One durable event of a run. `seq` counts from 1 without gaps within the run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunEvent {
    /// The run.
    pub run_id: RunId,
    /// The run's project, so that a feed can be cut to what a principal may read.
    pub project_id: ProjectId,
    /// Its number within the run.
    pub seq: u64,
    /// When it became durable, by the store's clock.
    pub at: Timestamp,
    /// The claim under which it was written; 0 before the first.
    pub epoch: u64,
    /// What happened.
    #[serde(flatten)]
    pub body: RunEventBody,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum RunEventBody {
    /// The run is now in `state`.
    Run {
        /// The state.
        state: RunState,
        /// Why.
        message: String,
    },
    /// A step is now in `state`.
    Step {
        /// Its place.
        index: StepIndex,
        /// Its name.
        name: StepName,
        /// The step that reports it, if it is a reported one.
        parent: Option<StepIndex>,
        /// The state.
        state: StepState,
        /// The attempt.
        attempt: u32,
        /// What it says.
        message: String,
    },
    /// A running step says something.
    Progress {
        /// Its place.
        index: StepIndex,
        /// Its name.
        name: StepName,
        /// What it says.
        message: String,
    },
}

impl RunEvent {
    /// Whether the run ended with this event. It is its last one, unless somebody resumed it (or its undo) afterwards.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(&self.body, RunEventBody::Run { state, .. } if state.is_terminal())
    }
}

/// A place in the feed across runs. Opaque: only to be handed back to the store that gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct EventCursor {
    transaction: u64,
    position: u64,
}

impl EventCursor {
    /// The cursor at a store's position.
    #[must_use]
    pub const fn from_position(position: u64) -> Self {
        Self { transaction: 0, position }
    }

    /// The cursor at a position within a transaction, for stores whose positions do not become visible in their order.
    #[must_use]
    pub const fn from_transaction(transaction: u64, position: u64) -> Self {
        Self { transaction, position }
    }

    /// The store's position.
    #[must_use]
    pub const fn position(self) -> u64 {
        self.position
    }

    /// The transaction; 0 where positions alone say the order.
    #[must_use]
    pub const fn transaction(self) -> u64 {
        self.transaction
    }
}

impl fmt::Display for EventCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.transaction {
            0 => write!(f, "{:x}", self.position),
            transaction => write!(f, "{transaction:x}.{:x}", self.position),
        }
    }
}

impl std::str::FromStr for EventCursor {
    type Err = crate::error::Invalid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (transaction, position) = text.split_once('.').unwrap_or(("0", text));
        // No store counts further than this, and what was given out was written in one way only.
        let number = |hex| u64::from_str_radix(hex, 16).ok().filter(|number| *number <= i64::MAX as u64);
        let cursor = number(transaction).zip(number(position)).map(|(transaction, position)| Self { transaction, position });
        cursor.filter(|cursor| cursor.to_string() == text).ok_or_else(|| crate::error::Invalid::new("after", "not a cursor of this feed"))
    }
}
