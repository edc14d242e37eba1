//! Randomness of one thread from a seed.

use std::cell::RefCell;

use uuid::{Builder, Uuid};

use crate::testing::Rng;

thread_local! {
    static SOURCE: RefCell<Option<Source>> = const { RefCell::new(None) };
}

#[derive(Debug)]
struct Source {
    rng: Rng,
    ids: u64,
}

/// While this lives, all randomness of this thread comes from the seed, ids included.
#[derive(Debug)]
pub(crate) struct Seeded(());

impl Seeded {
    pub(crate) fn new(seed: u64) -> Self {
        SOURCE.set(Some(Source { rng: Rng::new(seed), ids: 0 }));
        Self(())
    }
}

impl Drop for Seeded {
    fn drop(&mut self) {
        SOURCE.set(None);
    }
}

/// Fills `bytes`, if this thread has a seed.
pub(super) fn fill(bytes: &mut [u8]) -> bool {
    SOURCE.with_borrow_mut(|source| source.as_mut().map(|source| source.rng.fill(bytes)).is_some())
}

/// The next id, if this thread has a seed: they count up in the place where others have the time.
pub(super) fn uuid() -> Option<Uuid> {
    SOURCE.with_borrow_mut(|source| {
        let source = source.as_mut()?;
        source.ids += 1;
        let mut rest = [0; 10];
        source.rng.fill(&mut rest);
        Some(Builder::from_unix_timestamp_millis(source.ids, &rest).into_uuid())
    })
}
