//! A simulated world: several processes with workers over one store, and everything that can happen to them, from one seed.
//!
//! ```text
//!  World ── lets time go by, kills, pauses, starts ──► Process (a runtime of its own, virtual time)
//!    │                                                    │  Eyrie, its worker, its bodies, its people
//!    └─ Outside: what bodies did, what people were told,  └─► FaultyStore ──► one MemoryStore, one clock
//!       and an archive of all that was ever written
//! ```
//!
//! Everything happens on one thread, in virtual time, and all chance comes from the seed: the same seed gives the same trace.

mod archive;
mod chance;
mod follower;
mod outside;
mod people;
mod plans;
mod process;
mod verdict;
mod work;
mod world;

use std::fmt;

use crate::{error::Result, random::seeded::Seeded};
use world::World;

/// What happened in a simulated world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    lines: Vec<String>,
    runs: usize,
}

impl Trace {
    /// What happened, in order.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// How many runs there were.
    #[must_use]
    pub fn runs(&self) -> usize {
        self.runs
    }
}

/// What went wrong in a simulated world.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.text())]
pub struct Broken {
    seed: u64,
    faults: Vec<String>,
    trace: Vec<String>,
}

impl Broken {
    /// The seed.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// What went wrong.
    #[must_use]
    pub fn faults(&self) -> &[String] {
        &self.faults
    }

    /// What happened before.
    #[must_use]
    pub fn trace(&self) -> &[String] {
        &self.trace
    }

    fn text(&self) -> String {
        let Self { seed, faults, .. } = self;
        format!(
            "the simulation of seed {seed} went wrong (EYRIE_TEST_SEED={seed} repeats it and prints its trace):\n  {}",
            faults.join("\n  ")
        )
    }
}

/// A test that returns it prints this.
impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

/// Simulates the engine in the world of that seed: random plans, cancels, approvals and resumptions; crashes, at named points too;
/// pauses past the lease; calls to the store that fail before or after their effect; clocks that are wrong. At the end everything is
/// put in order, and every run must come to its end, with a record that holds against the oracle and against what bodies did and
/// people were told. In some worlds deployments keep little of what has ended, and it is pruned meanwhile: what may go goes, and
/// nothing else. Not to be called on a tokio runtime: it makes its own.
///
/// # Errors
/// What went wrong.
pub fn simulate(seed: u64) -> Result<Trace, Broken> {
    let _seeded = Seeded::new(seed);
    let broken = |faults, trace| Broken { seed, faults, trace };
    let mut world = World::new(seed).map_err(|error| broken(vec![crate::error::report(&error)], Vec::new()))?;
    let ended = world.run_to_end();
    let (faults, runs) = world.verdict();
    let trace = world.take_trace();
    let faults: Vec<_> = ended.err().map(|error| crate::error::report(&error)).into_iter().chain(faults).collect();
    if faults.is_empty() { Ok(Trace { lines: trace, runs }) } else { Err(broken(faults, trace)) }
}
