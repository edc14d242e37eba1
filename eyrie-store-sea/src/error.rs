//! What goes wrong in this adapter, and what that is for the rest of the program.

use eyrie_core::{Error, ErrorKind, Invalid};
use sea_orm::DbErr;

use crate::fault::{Cause, EVENT, Fault};

/// The adapter's own error. Crosses the port only as core's [`Error`].
#[derive(Debug, thiserror::Error)]
#[allow(unreachable_pub, reason = "an associated type of public traits; this module is private all the same")]
pub enum Failure {
    /// A refusal of the domain.
    #[error(transparent)]
    Refused(#[from] Error),
    /// The database refused a statement.
    #[error("the database refused a statement")]
    Statement(#[source] Cause),
    /// The database did not take a commit.
    #[error("the commit failed")]
    Commit(#[source] Cause),
    /// A stored value is not what it should be.
    #[error("stored data is not valid")]
    Stored(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A step's statements made the whole transaction fail: found out too late to do without them alone.
    #[error("{0}")]
    Spoilt(String),
    /// What was read had changed by the time it was to be written.
    #[error("the rows changed in between")]
    Raced,
}

impl From<DbErr> for Failure {
    fn from(error: DbErr) -> Self {
        Self::Statement(error.into())
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error};
        match error {
            FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..) | Utf8Error(..) => {
                Self::Stored(error.into())
            }
            error => Self::Statement(error.into()),
        }
    }
}

impl From<std::convert::Infallible> for Failure {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

impl From<Invalid> for Failure {
    fn from(invalid: Invalid) -> Self {
        Self::Stored(invalid.into())
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Stored(error.into())
    }
}

impl Failure {
    /// There is no such thing.
    pub(crate) fn missing(what: &'static str) -> Self {
        Self::Refused(Error::not_found(what))
    }

    /// The thing changed since it was read, or is in use.
    pub(crate) fn conflict(what: &'static str, message: impl Into<String>) -> Self {
        Self::Refused(Error::new(ErrorKind::Conflict, what, message))
    }

    /// A broken reference means that `what` does not exist.
    pub(crate) fn on_reference_missing(self, what: &'static str) -> Self {
        if self.is_reference() { Self::missing(what) } else { self }
    }

    /// A broken reference means that the thing is in use.
    pub(crate) fn on_reference_in_use(self, what: &'static str, message: &'static str) -> Self {
        if self.is_reference() { Self::conflict(what, message) } else { self }
    }

    /// Where somebody else wrote a run's next event, the run was not as it was taken to be.
    pub(crate) fn on_event_raced(self) -> Self {
        match self {
            Self::Statement(cause) if Fault::of(&cause) == Fault::Taken(EVENT) => Self::Raced,
            failure => failure,
        }
    }

    fn is_reference(&self) -> bool {
        matches!(self, Self::Statement(error) if Fault::of(error) == Fault::Reference)
    }

    /// A commit that a broken reference kept from happening was spoilt by whoever may write to other tables in its transaction.
    pub(crate) fn on_reference_spoilt(self) -> Self {
        match self {
            Self::Commit(cause) if Fault::of(&cause) == Fault::Reference => Self::Spoilt(cause.to_string()),
            failure => failure,
        }
    }

    /// Whether the same write can be tried again because somebody else held the database.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(self, Self::Statement(error) if Fault::of(error) == Fault::Busy)
    }

    /// Whether it is not known how a commit ended.
    #[cfg(feature = "postgres")]
    pub(crate) fn is_without_answer(&self) -> bool {
        matches!(self, Self::Commit(cause) if matches!(Fault::of(cause), Fault::Unreachable))
    }

    /// The one way out of this crate.
    pub(crate) fn into_error(self, operation: &'static str) -> Error {
        let say = |kind, message: &str| Error::new(kind, operation, message);
        match self {
            Self::Refused(error) => error,
            Self::Spoilt(message) => say(ErrorKind::Conflict, &message),
            Self::Raced => say(ErrorKind::Conflict, "the rows kept changing while they were written"),
            Self::Stored(source) => say(ErrorKind::Corrupt, "stored data cannot be read back").with_source(source),
            Self::Statement(error) => {
                let (kind, message) = match Fault::of(&error) {
                    Fault::Full => (ErrorKind::StorageFull, "there is no room left for the database".to_owned()),
                    Fault::Busy => (ErrorKind::Unavailable, "another process kept the database busy".to_owned()),
                    Fault::Unreachable => (ErrorKind::Unavailable, "the database does not answer".to_owned()),
                    Fault::Taken(what) => (ErrorKind::AlreadyExists, format!("{what} exists already")),
                    Fault::Reference => (ErrorKind::Conflict, "something refers to it, or it refers to what is gone".to_owned()),
                    Fault::Damaged => (ErrorKind::Corrupt, "the database file is damaged".to_owned()),
                    Fault::Other => (ErrorKind::Internal, "the database refused a statement".to_owned()),
                };
                say(kind, &message).with_source(error)
            }
            Self::Commit(error) => {
                let (kind, message) = match Fault::of(&error) {
                    Fault::Full => (ErrorKind::StorageFull, "there is no room left for the database"),
                    Fault::Busy => (ErrorKind::Unavailable, "another process kept the database busy"),
                    Fault::Reference => (ErrorKind::Conflict, "something refers to it, or it refers to what is gone"),
                    _ => (ErrorKind::OutcomeUnknown, "the database did not say whether the commit took effect"),
                };
                say(kind, message).with_source(error)
            }
        }
    }
}
