//! A kit for testing: actions and plans, whatever keeps them, and the engine itself.
//!
//! * [`Harness`] tries a plan with its actions in every way that they can fail, be repeated, and be interrupted.
//! * [`FaultyStore`] decorates a store: calls fail before or after they take effect, or are never answered, as a [`FaultPlan`] says.
//! * [`Evidence`] reads everything that a store keeps of runs, and says what is wrong with it.
//! * [`ManualClock`] shows the time that it is told; [`MemoryStore`](crate::memory::MemoryStore) goes by it. An [`Eyrie`](crate::Eyrie)
//!   that was begun with [`start_here`](crate::EyrieBuilder::start_here) works in the time of its runtime, which tokio can pause.
//! * [`simulate`] lets several processes live, die and be revived in virtual time over one store, as a seed says.

mod fault;
mod faulty_store;
mod harness;
mod oracle;
mod rng;
mod simulation;
#[cfg(test)]
mod tests;

pub use fault::{Call, CrashPoint, Fault, FaultPlan, NoFaults, NthCall};
pub use faulty_store::FaultyStore;
pub use harness::{Case, Ended, Failure, Harness};
pub use oracle::{Evidence, Record};
pub use rng::Rng;
pub use simulation::{Broken, Trace, simulate};

pub use crate::clock::ManualClock;
