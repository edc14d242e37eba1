//! The suite that every [`Store`] passes: call [`store`] with something that makes an empty one.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use eyrie_core::{conformance, memory::MemoryStore};
//!
//! conformance::store(async || MemoryStore::new()).await;
//! # });
//! ```
//!
//! Every case is a public function of its own, over an empty store, so that one that fails can be called alone. Cases that let a
//! lease run out wait for it in real time, a good second in all: the store's clock must move.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::missing_panics_doc, reason = "a suite of tests")]

pub mod fixtures;
pub mod groups;
pub mod projects;

use std::{any::Any, future::Future, panic::AssertUnwindSafe};

use futures_util::FutureExt;

use crate::store::Store;

/// Runs the cases, each on a store of its own.
macro_rules! cases {
    ($fresh:ident: $($family:ident { $($case:ident),+ $(,)? })+) => {$($(
        let store = $fresh().await;
        named(concat!(stringify!($family), "::", stringify!($case)), $family::$case(&store)).await;
    )+)+};
}

/// Runs every case, each on what `fresh` makes. A case whose demands are not met panics with the case's name.
///
/// # Panics
/// When the store is not as its contract says.
pub async fn store<F, Fut, S>(fresh: F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = S>,
    S: Store,
{
    cases! { fresh:
        projects { kept_and_found, slugs_and_namespaces_are_unique, versions_guard_updates, in_use_is_not_deleted, listed_in_pages, members }
        groups { kept_and_found, slugs_are_unique_in_the_project, versions_guard_updates, in_use_is_not_deleted, scopes_kept_and_found, scopes_in_use }
    }
}

/// Awaits the case; when it panics, panics with its name before the message.
async fn named(name: &str, case: impl Future<Output = ()>) {
    if let Err(cause) = AssertUnwindSafe(case).catch_unwind().await {
        panic!("{name}: {}", message(cause.as_ref()));
    }
}

fn message(cause: &(dyn Any + Send)) -> &str {
    let text = cause.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| cause.downcast_ref::<&str>().copied()).unwrap_or("it panicked")
}
