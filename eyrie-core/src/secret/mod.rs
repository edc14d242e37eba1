//! Secrets: values that are sealed at rest, opened when a step needs them, and taken out of everything that is written down.
//!
//! ```
//! use eyrie_core::{id::SecretId, secret::{Keyring, MemoryKeyring, SealedPlace, SecretValue}};
//!
//! let keyring = MemoryKeyring::generate()?;
//! let place = SealedPlace::value(SecretId::new(), 1);
//! let sealed = keyring.seal(&place, &SecretValue::new("hunter2 hunter2")?)?;
//! assert_eq!(keyring.open(&place, &sealed)?.reveal(), "hunter2 hunter2");
//! assert!(keyring.open(&SealedPlace::value(SecretId::new(), 1), &sealed).is_err(), "it opens in its own place only");
//! # Ok::<(), eyrie_core::Error>(())
//! ```

mod forms;
mod key;
#[cfg(feature = "key-file")]
mod key_file;
mod keyring;
mod redactor;
mod reference;
mod sealed;
mod stream;
mod value;

pub use key::{KeyInfo, KeyVersion};
#[cfg(feature = "key-file")]
pub use key_file::KeyFile;
pub use keyring::{Keyring, MemoryKeyring};
pub use redactor::{MASK, Redactor};
pub(crate) use reference::{ChangeUse, check_setting, find_refs, map_uses, resolve};
pub use reference::{SECRET_KEY, SecretRef, SecretUse};
pub(crate) use sealed::check_value;
pub use sealed::{SealedPlace, SealedValue};
pub use stream::RedactedStream;
pub use value::{MAX_SECRET, MIN_SECRET, SecretValue};
