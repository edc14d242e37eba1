//! Failed sign-ins.

use std::time::Duration;

use async_trait::async_trait;

use crate::{error::Result, model::SignInAttempt};

/// Counts failed sign-ins, so that a restart forgives nothing. None of this is worth an entry of the audit of its own.
#[async_trait]
pub trait SignInStore {
    /// Counts the attempt as failed before it is known how it ends, so that many at once all count. When its name or its address
    /// [has to wait](crate::model::SignInCount::wait), nothing is counted and the answer is for how long.
    async fn begin_sign_in(&self, attempt: &SignInAttempt) -> Result<Option<Duration>>;
    /// Forgets the failures of the name, and the one of the address that was counted when the attempt began: it succeeded.
    async fn forgive_sign_in(&self, attempt: &SignInAttempt) -> Result<()>;
}
