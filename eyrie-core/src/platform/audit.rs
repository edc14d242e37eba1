//! Reading the audit.

use crate::{
    access::Permission,
    error::Result,
    model::AuditEntry,
    platform::{Acting, Resource},
    store::{AuditFilter, Page, PageRequest},
};

/// All entries that a filter names, newest first, a page at a time.
#[derive(Debug)]
pub struct AuditExport {
    acting: Acting,
    filter: AuditFilter,
    /// What comes next; none: nothing does.
    next: Option<PageRequest>,
}

impl AuditExport {
    /// The next entries; none when that was all. What is recorded meanwhile is not among them.
    ///
    /// # Errors
    /// `Unauthenticated` or `Denied` once whoever reads them may not any more, and when the store cannot be read: then something is
    /// missing.
    pub async fn next(&mut self) -> Result<Option<Vec<AuditEntry>>> {
        let Some(page) = self.next else { return Ok(None) };
        self.acting.still_proved().await?;
        let Page { items, next } = self.acting.audit(self.filter.clone(), page).await?;
        self.next = next.map(|next| page.after(Some(next)));
        Ok(Some(items))
    }
}

impl Acting {
    /// Entries of a project for its admins, all of them for operators, newest first.
    ///
    /// # Errors
    /// `Denied` for whoever may not read them.
    pub async fn audit(&self, filter: AuditFilter, page: PageRequest) -> Result<Page<AuditEntry>> {
        self.require_audit(&filter).await?;
        self.store().audit(filter, page).await
    }

    /// The same, all of them.
    ///
    /// # Errors
    /// `Denied` for whoever may not read them.
    pub async fn export_audit(&self, filter: AuditFilter) -> Result<AuditExport> {
        self.require_audit(&filter).await?;
        Ok(AuditExport { acting: self.clone(), filter, next: Some(PageRequest::first(PageRequest::MAX)?) })
    }

    async fn require_audit(&self, filter: &AuditFilter) -> Result<()> {
        match filter.project {
            Some(project) => self.require(Permission::AuditRead, &Resource::project(project)).await,
            None => self.require_everywhere(Permission::UserManage, "audit").await,
        }
    }
}
