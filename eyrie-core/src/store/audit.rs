//! The audit.

use async_trait::async_trait;

use crate::{
    clock::Timestamp,
    error::Result,
    id::{ProjectId, TokenId, UserId},
    model::{AuditEntry, Verdict},
    store::{Page, PageRequest},
};

/// Which entries to list; what is missing does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Of this project.
    pub project: Option<ProjectId>,
    /// About this resource, as the entries name it.
    pub resource: Option<String>,
    /// What this [person](crate::model::PrincipalRef::person) did, or had a token or a schedule do.
    pub person: Option<UserId>,
    /// What was done with this token.
    pub token: Option<TokenId>,
    /// What was asked for, by the name of the permission.
    pub action: Option<String>,
    /// How it ended.
    pub verdict: Option<Verdict>,
    /// At this time or later.
    pub since: Option<Timestamp>,
    /// Before this time.
    pub until: Option<Timestamp>,
}

impl AuditFilter {
    /// Whether the entry is one of these.
    #[must_use]
    pub fn fits(&self, entry: &AuditEntry) -> bool {
        self.project.is_none_or(|project| entry.project_id == Some(project))
            && self.resource.as_ref().is_none_or(|resource| entry.resource == *resource)
            && self.person.is_none_or(|person| entry.principal.person() == Some(person))
            && self.token.is_none_or(|token| entry.token_id == Some(token))
            && self.action.as_ref().is_none_or(|action| entry.action == *action)
            && self.verdict.is_none_or(|verdict| entry.verdict == verdict)
            && self.since.is_none_or(|since| entry.at >= since)
            && self.until.is_none_or(|until| entry.at < until)
    }
}

/// Reads the audit, and keeps refusals. Allowed entries are kept by the method that did what they record.
#[async_trait]
pub trait AuditStore {
    /// Keeps a refusal. A further one with the same principal, origin, action and resource within the same minute is counted on
    /// the first one instead of adding a line. The newest 10,000 are kept, and of one principal and origin the newest 1,000, so that
    /// whoever is refused all the time pushes out nobody else's.
    async fn record_refusal(&self, entry: &AuditEntry) -> Result<()>;
    /// Entries, newest first.
    async fn audit(&self, filter: AuditFilter, page: PageRequest) -> Result<Page<AuditEntry>>;
}
