//! The one error type that crosses every port.
//!
//! [`Error`] says what kind of thing went wrong ([`ErrorKind`]), in which operation, and what a reader can do about it. Refusals
//! of the domain ([`Invalid`], [`Denied`], [`IllegalTransition`], [`Pruned`]) are types of their own, so that a caller can tell "your input
//! is wrong" from "the disk is full" without reading text.

use std::{borrow::Cow, error::Error as StdError, fmt, time::Duration};

/// The result of everything that can fail in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure it was. New kinds may be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A value is not acceptable; [`Error::invalid`] names the field.
    Invalid,
    /// There is no such thing, or the principal may not know of it.
    NotFound,
    /// A thing of that name or key exists already.
    AlreadyExists,
    /// The thing changed since it was read, or is in use.
    Conflict,
    /// The state machine has no such move.
    IllegalTransition,
    /// The principal may see the thing but not do this to it.
    Denied,
    /// Nobody has proved who is asking.
    Unauthenticated,
    /// What was asked for was there once, and is no longer kept; [`Error::pruned`] says where what is still there begins.
    Pruned,
    /// A bound on size, number or rate was reached.
    LimitExceeded,
    /// This implementation or configuration cannot do it.
    Unsupported,
    /// The backend does not answer now; the same call may succeed later. Nothing was written.
    Unavailable,
    /// The backend took the call and did not say how it ended. It may or may not have happened.
    OutcomeUnknown,
    /// There is no room left on the device. Nothing was written.
    StorageFull,
    /// The stored data was written by a newer version of the program.
    Incompatible,
    /// Stored data cannot be read back as what it should be.
    Corrupt,
    /// A fault of the program itself.
    Internal,
}

impl ErrorKind {
    /// A stable, kebab-case name, used in problem details and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::NotFound => "not-found",
            Self::AlreadyExists => "already-exists",
            Self::Conflict => "conflict",
            Self::IllegalTransition => "illegal-transition",
            Self::Denied => "denied",
            Self::Unauthenticated => "unauthenticated",
            Self::Pruned => "pruned",
            Self::LimitExceeded => "limit-exceeded",
            Self::Unsupported => "unsupported",
            Self::Unavailable => "unavailable",
            Self::OutcomeUnknown => "outcome-unknown",
            Self::StorageFull => "storage-full",
            Self::Incompatible => "incompatible",
            Self::Corrupt => "corrupt",
            Self::Internal => "internal",
        }
    }
}

/// A value was refused: which field, and what would be accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct Invalid {
    field: Cow<'static, str>,
    reason: String,
}

impl Invalid {
    /// A refusal of `field`, with what is wrong and what would be accepted. The reason must not hold a secret's content.
    pub fn new(field: impl Into<Cow<'static, str>>, reason: impl Into<String>) -> Self {
        Self { field: field.into(), reason: reason.into() }
    }

    /// The field's name or path.
    #[must_use]
    pub fn field(&self) -> &str {
        &self.field
    }

    /// What is wrong with it and what would be accepted.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The same refusal, with `prefix.` before the field's name.
    #[must_use]
    pub fn under(self, prefix: &str) -> Self {
        Self { field: format!("{prefix}.{}", self.field).into(), reason: self.reason }
    }
}

/// A principal asked for something that it may see but not do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{permission} needs {needs}")]
pub struct Denied {
    /// The permission that was missing.
    pub permission: &'static str,
    /// What would have been enough, in words.
    pub needs: String,
}

/// A state machine was asked for a move that it does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a {machine} that is {from} cannot {event}")]
pub struct IllegalTransition {
    /// The state machine: `run`, `step`, …
    pub machine: &'static str,
    /// The state it was in.
    pub from: &'static str,
    /// The move that was asked for.
    pub event: &'static str,
}

/// Events were asked for of which some are no longer kept. What is still there begins with `first`: of a run its number, of the
/// feed across runs its [position](crate::model::EventCursor::position).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("some of the events asked for are no longer kept; what is still there begins with {first}")]
pub struct Pruned {
    /// The first event that is still there.
    pub first: u64,
}

/// Too much was tried, and after a while it may be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many failed attempts; try again in {} s", .retry_after.as_secs())]
pub struct TooMany {
    /// After how long; in whole seconds.
    pub retry_after: Duration,
}

#[derive(Debug)]
enum Detail {
    Text(String),
    Invalid(Invalid),
    Denied(Denied),
    Transition(IllegalTransition),
    Pruned(Pruned),
    TooMany(TooMany),
}

/// What went wrong, where, and why. `Display` never prints the source and never a secret.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    operation: &'static str,
    detail: Detail,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `kind` in `operation`, with a message for a person.
    pub fn new(kind: ErrorKind, operation: &'static str, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, operation, detail: Detail::Text(message.into()), source: None }))
    }

    /// Nothing of that kind and id, or nothing that the principal may know of. The two read the same on purpose.
    #[must_use]
    pub fn not_found(what: &'static str) -> Self {
        Self::new(ErrorKind::NotFound, what, format!("there is no such {what}"))
    }

    /// The same error with its cause attached.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What kind of failure it was.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The operation that failed, for instance `record` or `create project`.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// The refused field, when the kind is [`ErrorKind::Invalid`].
    #[must_use]
    pub fn invalid(&self) -> Option<&Invalid> {
        match &self.0.detail {
            Detail::Invalid(invalid) => Some(invalid),
            _ => None,
        }
    }

    /// What is no longer kept, when the kind is [`ErrorKind::Pruned`].
    #[must_use]
    pub fn pruned(&self) -> Option<Pruned> {
        match self.0.detail {
            Detail::Pruned(pruned) => Some(pruned),
            _ => None,
        }
    }

    /// After how long it may be tried again, when the kind is [`ErrorKind::LimitExceeded`] and that is known.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self.0.detail {
            Detail::TooMany(TooMany { retry_after }) => Some(retry_after),
            _ => None,
        }
    }

    /// Whether the same call may succeed later without any change.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Unavailable | ErrorKind::OutcomeUnknown)
    }

    /// Whether the thing asked for does not exist (or may not be known to).
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.0.kind == ErrorKind::NotFound
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.detail {
            Detail::Text(text) => f.write_str(text),
            Detail::Invalid(invalid) => invalid.fmt(f),
            Detail::Denied(denied) => denied.fmt(f),
            Detail::Transition(transition) => transition.fmt(f),
            Detail::Pruned(pruned) => pruned.fmt(f),
            Detail::TooMany(too_many) => too_many.fmt(f),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("operation", &self.0.operation)
            .field("detail", &self.0.detail)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

/// What was read, or none where there is no such thing.
pub(crate) fn known<T>(read: Result<T>) -> Result<Option<T>> {
    match read {
        Ok(thing) => Ok(Some(thing)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

impl From<Invalid> for Error {
    fn from(invalid: Invalid) -> Self {
        Self(Box::new(Inner { kind: ErrorKind::Invalid, operation: "validate", detail: Detail::Invalid(invalid), source: None }))
    }
}

impl From<TooMany> for Error {
    fn from(too_many: TooMany) -> Self {
        let (kind, detail) = (ErrorKind::LimitExceeded, Detail::TooMany(too_many));
        Self(Box::new(Inner { kind, operation: "limit", detail, source: None }))
    }
}

impl From<Denied> for Error {
    fn from(denied: Denied) -> Self {
        Self(Box::new(Inner { kind: ErrorKind::Denied, operation: denied.permission, detail: Detail::Denied(denied), source: None }))
    }
}

impl From<IllegalTransition> for Error {
    fn from(transition: IllegalTransition) -> Self {
        let inner =
            Inner { kind: ErrorKind::IllegalTransition, operation: "transition", detail: Detail::Transition(transition), source: None };
        Self(Box::new(inner))
    }
}

impl From<Pruned> for Error {
    fn from(pruned: Pruned) -> Self {
        Self(Box::new(Inner { kind: ErrorKind::Pruned, operation: "read events", detail: Detail::Pruned(pruned), source: None }))
    }
}

/// An error and its causes in one line, outermost first: for logs and for the last line of a command.
#[must_use]
pub fn report(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let line = inner.to_string();
        if !text.ends_with(&line) {
            text.push_str(": ");
            text.push_str(&line);
        }
        cause = inner.source();
    }
    text
}
