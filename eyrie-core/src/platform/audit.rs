//! Reading the audit.

use crate::{
    access::Permission,
    error::Result,
    model::AuditEntry,
    platform::{Acting, Resource},
    store::{AuditFilter, Page, PageRequest},
};

impl Acting {
    /// Entries of a project for its admins, all of them for operators, newest first.
    ///
    /// # Errors
    /// `Denied` for whoever may not read them.
    pub async fn audit(&self, filter: AuditFilter, page: PageRequest) -> Result<Page<AuditEntry>> {
        match filter.project {
            Some(project) => self.require(Permission::AuditRead, &Resource::project(project)).await?,
            None => self.require_everywhere(Permission::UserManage, "audit").await?,
        }
        self.store().audit(filter, page).await
    }
}
