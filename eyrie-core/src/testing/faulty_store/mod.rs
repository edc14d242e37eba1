//! A store whose calls fail as a plan says.

mod methods;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    error::{Error, ErrorKind, Result},
    store::Store,
    testing::{Call, Fault, FaultPlan},
};

/// Decorates a store: calls fail before or after they take effect, or are never answered, as the [`FaultPlan`] says.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::sync::Arc;
/// use eyrie_core::{ErrorKind, id::RunId, memory::MemoryStore, store::RunStore, testing::{Fault, FaultyStore, NthCall}};
///
/// let store = FaultyStore::new(MemoryStore::new(), Arc::new(NthCall::of("run", 2, Fault::Refused)));
/// assert_eq!(store.run(RunId::new()).await.unwrap_err().kind(), ErrorKind::NotFound);
/// assert_eq!(store.run(RunId::new()).await.unwrap_err().kind(), ErrorKind::Unavailable);
/// assert_eq!(store.calls(), 2);
/// # });
/// ```
#[derive(Debug)]
pub struct FaultyStore<S> {
    inner: S,
    plan: Arc<dyn FaultPlan>,
    calls: Mutex<Calls>,
}

#[derive(Debug, Default)]
struct Calls {
    all: u64,
    of: BTreeMap<&'static str, u64>,
}

impl<S: Store> FaultyStore<S> {
    /// The store, decorated.
    pub fn new(inner: S, plan: Arc<dyn FaultPlan>) -> Self {
        Self { inner, plan, calls: Mutex::default() }
    }

    /// How often the store was called.
    pub fn calls(&self) -> u64 {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).all
    }

    /// The store without faults.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// Counts a call.
    fn call(&self, method: &'static str, writes: bool) -> Call {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.all += 1;
        let number = calls.all;
        let of_method = calls.of.entry(method).or_default();
        *of_method += 1;
        Call { number, of_method: *of_method, method, writes, starts: false, finishes: false, undoes: false }
    }

    async fn reads<T>(&self, method: &'static str, effect: impl Future<Output = Result<T>> + Send) -> Result<T> {
        self.around(self.call(method, false), effect).await
    }

    async fn writes<T>(&self, method: &'static str, effect: impl Future<Output = Result<T>> + Send) -> Result<T> {
        self.around(self.call(method, true), effect).await
    }

    /// Makes the call, or what the plan makes of it.
    async fn around<T>(&self, call: Call, effect: impl Future<Output = Result<T>> + Send) -> Result<T> {
        let fault = self.plan.fault(&call);
        let (before, after) = self.plan.latency(&call);
        pause(before).await;
        match fault {
            Some(Fault::Dead) => return std::future::pending().await,
            Some(Fault::Refused) => return Err(failed(ErrorKind::Unavailable, &call)),
            _ => {}
        }
        let answer = effect.await;
        self.plan.took_effect(&call);
        match fault {
            Some(Fault::DeadAfterwards) => std::future::pending().await,
            Some(Fault::Unanswered) => {
                pause(after).await;
                Err(failed(ErrorKind::OutcomeUnknown, &call))
            }
            _ => {
                pause(after).await;
                answer
            }
        }
    }
}

async fn pause(time: std::time::Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

fn failed(kind: ErrorKind, call: &Call) -> Error {
    Error::new(kind, call.method, format!("call {} of the store, {} {}, was made to fail", call.number, call.method, call.of_method))
}
