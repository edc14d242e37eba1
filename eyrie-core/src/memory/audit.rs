//! The audit.

use async_trait::async_trait;

use super::{
    MemoryStore,
    state::{RefusalKey, State, newest_first},
};
use crate::{
    error::Result,
    id::AuditId,
    model::AuditEntry,
    store::{AuditFilter, AuditStore, Page, PageRequest},
};

/// The most refusals that are kept; the oldest go first. What was allowed is kept for ever.
const MAX_REFUSALS: usize = 10_000;

fn refusal_key(entry: &AuditEntry) -> RefusalKey {
    let minute = entry.at.as_second().div_euclid(60);
    (entry.principal.clone(), entry.origin.clone(), entry.action.clone(), entry.resource.clone(), minute)
}

impl State {
    fn drop_oldest_refusals(&mut self) {
        while self.refusal_order.len() > MAX_REFUSALS {
            let oldest = self.refusal_order.pop_first();
            if let Some(entry) = oldest.and_then(|id| self.audit.remove(&id)) {
                self.refusals.remove(&refusal_key(&entry));
            }
        }
    }
}

#[async_trait]
impl AuditStore for MemoryStore {
    async fn record_refusal(&self, entry: &AuditEntry) -> Result<()> {
        let mut state = self.state();
        let key = refusal_key(entry);
        let first = state.refusals.get(&key).copied();
        if let Some(first) = first.and_then(|id| state.audit.get_mut(&id)) {
            first.count = first.count.saturating_add(entry.count);
            return Ok(());
        }
        state.refusals.insert(key, entry.id);
        state.refusal_order.insert(entry.id);
        state.note(entry);
        state.drop_oldest_refusals();
        Ok(())
    }

    async fn audit(&self, filter: AuditFilter, page: PageRequest) -> Result<Page<AuditEntry>> {
        let fits = |entry: &AuditEntry| {
            filter.project.is_none_or(|project| entry.project_id == Some(project))
                && filter.resource.as_ref().is_none_or(|resource| entry.resource == *resource)
        };
        let state = self.state();
        let pick = |entry: &AuditEntry| fits(entry).then(|| entry.clone());
        Ok(newest_first(&state.audit, &page, AuditId::from_uuid, |entry| entry.id.uuid(), pick))
    }
}
