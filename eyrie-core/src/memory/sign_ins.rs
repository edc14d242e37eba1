//! Failed sign-ins.

use std::time::Duration;

use async_trait::async_trait;

use super::MemoryStore;
use crate::{
    error::Result,
    model::{SignInAttempt, SignInFailures},
    store::SignInStore,
};

#[async_trait]
impl SignInStore for MemoryStore {
    async fn begin_sign_in(&self, attempt: &SignInAttempt) -> Result<Option<Duration>> {
        let mut state = self.state();
        let known = |count| state.failed_sign_ins.get(&count).copied();
        let wait = attempt.counts().filter_map(|count| count.wait(known(count)?, attempt.at)).max();
        if wait.is_none() {
            for count in attempt.counts() {
                let failures = SignInFailures::and_one_more(state.failed_sign_ins.get(&count).copied(), attempt.at);
                state.failed_sign_ins.insert(count, failures);
            }
        }
        Ok(wait)
    }

    async fn forgive_sign_in(&self, attempt: &SignInAttempt) -> Result<()> {
        let mut state = self.state();
        state.failed_sign_ins.remove(&attempt.name);
        if let Some(address) = attempt.address {
            match state.failed_sign_ins.get(&address).and_then(|failures| failures.but_one()) {
                Some(fewer) => drop(state.failed_sign_ins.insert(address, fewer)),
                None => drop(state.failed_sign_ins.remove(&address)),
            }
        }
        Ok(())
    }
}
