//! The secret that opens the page for the first operator.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use data_encoding::BASE64URL_NOPAD;
use eyrie_core::{Error, ErrorKind, Result};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// 192 random bits that prove access to the server itself: whoever starts the program reads them from its output. Clones share
/// whether they have been used.
#[derive(Clone)]
pub struct SetupToken(Arc<Secret>);

struct Secret {
    text: String,
    used: AtomicBool,
}

impl SetupToken {
    /// A new random token.
    ///
    /// # Errors
    /// When the operating system gives no randomness.
    pub fn generate() -> Result<Self> {
        Ok(Self(Arc::new(Secret { text: random_text()?, used: AtomicBool::new(false) })))
    }

    /// The token as text, to be shown once where only an operator sees it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0.text
    }

    /// Whether `text` is the token and it has not been used.
    pub(crate) fn fits(&self, text: &str) -> bool {
        same(text.trim(), &self.0.text) && !self.is_used()
    }

    pub(crate) fn is_used(&self) -> bool {
        self.0.used.load(Ordering::SeqCst)
    }

    /// From now on it fits nothing.
    pub(crate) fn use_up(&self) {
        self.0.used.store(true, Ordering::SeqCst);
    }
}

impl fmt::Debug for SetupToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetupToken").field("used", &self.is_used()).finish_non_exhaustive()
    }
}

/// 192 random bits as base64url.
pub(crate) fn random_text() -> Result<String> {
    let mut bytes = [0_u8; 24];
    let none = |error| Error::new(ErrorKind::Unavailable, "random", "the operating system gives no randomness").with_source(error);
    getrandom::fill(&mut bytes).map_err(none)?;
    Ok(BASE64URL_NOPAD.encode(&bytes))
}

/// Compares two secrets by their digests, in constant time also when their lengths differ.
pub(crate) fn same(left: &str, right: &str) -> bool {
    Sha256::digest(left.as_bytes()).ct_eq(&Sha256::digest(right.as_bytes())).into()
}
