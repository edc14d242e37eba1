//! Plans by hash: immutable, so that a plan used by many runs is read and decoded once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    error::Result,
    model::{Plan, PlanHash},
    store::Store,
};

/// The most steps kept in all; beyond it, everything is dropped and read again when needed.
const MOST_STEPS: usize = 100_000;

/// The cache.
#[derive(Debug, Default)]
pub(super) struct PlanCache(Mutex<HashMap<PlanHash, Arc<Plan>>>);

impl PlanCache {
    fn plans(&self) -> MutexGuard<'_, HashMap<PlanHash, Arc<Plan>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The plan of that hash.
    pub(super) async fn get(&self, store: &dyn Store, hash: PlanHash) -> Result<Arc<Plan>> {
        let known = self.plans().get(&hash).cloned();
        if let Some(plan) = known {
            return Ok(plan);
        }
        let plan = Arc::new(store.plan(hash).await?);
        let mut plans = self.plans();
        if plans.values().map(|plan| plan.steps().len()).sum::<usize>() + plan.steps().len() > MOST_STEPS {
            plans.clear();
        }
        plans.insert(hash, Arc::clone(&plan));
        Ok(plan)
    }
}
