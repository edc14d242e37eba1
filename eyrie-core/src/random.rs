//! Randomness from the operating system; under the feature `testing` also from a seed, so that a run of a test can be repeated.

#[cfg(feature = "testing")]
pub(crate) mod seeded;

use uuid::Uuid;

use crate::error::{Error, ErrorKind, Result};

/// Fills `bytes` with randomness fit for secrets.
///
/// # Errors
/// [`ErrorKind::Unavailable`] when the system gives none.
pub(crate) fn fill(bytes: &mut [u8]) -> Result<()> {
    #[cfg(feature = "testing")]
    if seeded::fill(bytes) {
        return Ok(());
    }
    getrandom::fill(bytes)
        .map_err(|error| Error::new(ErrorKind::Unavailable, "random", "the operating system gives no randomness").with_source(error))
}

/// A number in 0..1, for jitter. Not for secrets; 0.5 when the system gives no randomness.
pub(crate) fn fraction() -> f64 {
    let mut bytes = [0_u8; 4];
    if fill(&mut bytes).is_err() {
        return 0.5;
    }
    f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
}

/// A new version 7 UUID (RFC 9562), ordered by the time of its making.
pub(crate) fn uuid() -> Uuid {
    #[cfg(feature = "testing")]
    if let Some(uuid) = seeded::uuid() {
        return uuid;
    }
    Uuid::now_v7()
}
