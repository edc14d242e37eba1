//! The audit.

use async_trait::async_trait;

use super::{
    MemoryStore,
    state::{RefusalKey, RefusalSource, State, newest_first},
};
use crate::{
    error::Result,
    id::AuditId,
    model::AuditEntry,
    store::{AuditFilter, AuditStore, Page, PageRequest},
};

/// The most refusals that are kept; the oldest go first. What was allowed is kept for ever.
const MAX_REFUSALS: usize = 10_000;
const MAX_REFUSALS_OF_ONE: usize = 1_000;

fn source(entry: &AuditEntry) -> RefusalSource {
    (entry.principal.clone(), entry.origin.clone())
}

fn refusal_key(entry: &AuditEntry) -> RefusalKey {
    let minute = entry.at.as_second().div_euclid(60);
    (entry.principal.clone(), entry.origin.clone(), entry.action.clone(), entry.resource.clone(), minute)
}

impl State {
    fn drop_oldest_refusals(&mut self, of: &RefusalSource) {
        while let Some(own) = self.refusals_of.get(of).filter(|own| own.len() > MAX_REFUSALS_OF_ONE) {
            self.drop_refusal(own.first().copied());
        }
        while self.refusal_order.len() > MAX_REFUSALS {
            self.drop_refusal(self.refusal_order.first().copied());
        }
    }

    fn drop_refusal(&mut self, id: Option<AuditId>) {
        let Some(entry) = id.and_then(|id| self.audit.remove(&id)) else { return };
        self.refusal_order.remove(&entry.id);
        self.refusals.remove(&refusal_key(&entry));
        let source = source(&entry);
        if let Some(own) = self.refusals_of.get_mut(&source) {
            own.remove(&entry.id);
            if own.is_empty() {
                self.refusals_of.remove(&source);
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
        state.refusals_of.entry(source(entry)).or_default().insert(entry.id);
        state.note(entry);
        state.drop_oldest_refusals(&source(entry));
        Ok(())
    }

    async fn audit(&self, filter: AuditFilter, page: PageRequest) -> Result<Page<AuditEntry>> {
        let state = self.state();
        let pick = |entry: &AuditEntry| filter.fits(entry).then(|| entry.clone());
        Ok(newest_first(&state.audit, &page, AuditId::from_uuid, |entry| entry.id.uuid(), pick))
    }
}
