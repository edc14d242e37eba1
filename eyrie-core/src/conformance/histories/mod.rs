//! Random histories: a seeded sequence of commands over several runs, against a little model of what each may do.

mod model;
mod play;

use std::collections::BTreeMap;

use self::play::Play;
use super::fixtures::{kept_deployment, kept_group, kept_project, worker};
use crate::store::Store;

/// How many commands one history has.
const LENGTH: usize = 60;

/// Marsaglia's xorshift: repeatable, and no dependency.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

/// A random history of this seed, checked after every command. The seed is in the message of a failure.
pub async fn random_histories(store: &dyn Store, seed: u64) {
    super::named(&format!("seed {seed}"), history(store, seed)).await;
}

async fn history(store: &dyn Store, seed: u64) {
    let group = kept_group(store, &kept_project(store, "project").await, "web").await;
    let deployments = vec![kept_deployment(store, &group, "one").await, kept_deployment(store, &group, "two").await];
    let workers = vec![worker(store).await, worker(store).await];
    // Neighbouring seeds are spread far apart; an xorshift never leaves zero.
    let random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut play = Play { store, random, deployments, workers, runs: BTreeMap::new(), done: Vec::new() };
    play.queue().await;
    for _ in 0..LENGTH {
        match play.random.below(20) {
            0 if play.runs.len() < 8 => play.queue().await,
            1..=3 => play.claim().await,
            4 => play.replace_worker().await,
            5 | 6 => play.repeat().await,
            _ => play.send().await,
        }
        play.check().await;
    }
}
