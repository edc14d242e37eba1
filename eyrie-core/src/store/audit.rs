//! The audit.

use async_trait::async_trait;

use crate::{
    error::Result,
    id::ProjectId,
    model::AuditEntry,
    store::{Page, PageRequest},
};

/// Which entries to list; what is missing does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Of this project.
    pub project: Option<ProjectId>,
    /// About this resource, as the entries name it.
    pub resource: Option<String>,
}

/// Reads the audit, and keeps refusals. Allowed entries are kept by the method that did what they record.
#[async_trait]
pub trait AuditStore {
    /// Keeps a refusal. A further one with the same principal, origin, action and resource within the same minute is counted on
    /// the first one instead of adding a line.
    async fn record_refusal(&self, entry: &AuditEntry) -> Result<()>;
    /// Entries, newest first.
    async fn audit(&self, filter: AuditFilter, page: PageRequest) -> Result<Page<AuditEntry>>;
}
