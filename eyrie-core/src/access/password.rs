//! Passwords: argon2id with the parameters that OWASP recommends (m = 19 MiB, t = 2, p = 1).

use std::sync::Arc;

use argon2::{Argon2, PasswordHash, PasswordHasher as _, PasswordVerifier};
use tokio::sync::Semaphore;

use crate::error::{Error, ErrorKind, Invalid, Result};

/// The shortest and longest password, in characters.
const LENGTH: std::ops::RangeInclusive<usize> = 10..=1024;
/// How many passwords are hashed at the same time: each takes 19 MiB and a core.
const AT_ONCE: usize = 2;
/// How many may wait for that; more are refused.
const WAITING: usize = 64;

/// Hashes and checks passwords, a bounded number at a time, away from the async threads.
#[derive(Debug, Clone)]
pub struct PasswordHasher {
    slots: Arc<Semaphore>,
    queue: Arc<Semaphore>,
}

impl Default for PasswordHasher {
    fn default() -> Self {
        Self { slots: Arc::new(Semaphore::new(AT_ONCE)), queue: Arc::new(Semaphore::new(AT_ONCE + WAITING)) }
    }
}

impl PasswordHasher {
    /// The PHC string of a new password.
    ///
    /// # Errors
    /// [`Invalid`] when it is too short or too long; `LimitExceeded` when too many are being hashed.
    pub async fn hash(&self, password: String) -> Result<String> {
        if !LENGTH.contains(&password.chars().count()) {
            let reason = format!("must be {} to {} characters long", LENGTH.start(), LENGTH.end());
            return Err(Invalid::new("password", reason).into());
        }
        self.bounded(move || {
            let hash = Argon2::default().hash_password(password.as_bytes());
            hash.map(|hash| hash.to_string()).map_err(|error| Error::new(ErrorKind::Internal, "hash password", error.to_string()))
        })
        .await?
    }

    /// Whether the password fits. Without a stored hash (no such user) it takes just as long and answers no.
    ///
    /// # Errors
    /// `LimitExceeded` when too many are being checked.
    pub async fn verify(&self, password: String, stored: Option<String>) -> Result<bool> {
        if password.chars().count() > *LENGTH.end() {
            return Ok(false);
        }
        self.bounded(move || {
            let Some(stored) = stored else {
                drop(Argon2::default().hash_password(password.as_bytes()));
                return false;
            };
            PasswordHash::new(&stored).is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
        })
        .await
    }

    async fn bounded<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let busy = |_| Error::new(ErrorKind::LimitExceeded, "check password", "too many sign-ins at the same time; try again");
        let _waiting = self.queue.try_acquire().map_err(|_| busy(()))?;
        let _slot = self.slots.acquire().await.map_err(|_| busy(()))?;
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|error| Error::new(ErrorKind::Internal, "check password", "the task ended").with_source(error))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn passwords_are_argon2id_with_the_stated_cost() {
        let hasher = PasswordHasher::default();
        let hash = hasher.hash("correct horse battery".to_owned()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(hasher.verify("correct horse battery".to_owned(), Some(hash.clone())).await.unwrap());
        assert!(!hasher.verify("correct horse batterz".to_owned(), Some(hash)).await.unwrap());
        assert!(!hasher.verify("anything".to_owned(), None).await.unwrap());
        assert_eq!(hasher.hash("short".to_owned()).await.unwrap_err().invalid().unwrap().field(), "password");
    }
}
