//! The kit against itself, and the engine in simulated worlds.

mod engine;
mod harness;

use std::collections::BTreeMap;

use super::{CrashPoint, simulate};
use crate::model::RunState;

/// A number from the environment.
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name} must be a number")))
}

/// `EYRIE_TEST_SEEDS` says how many worlds; `EYRIE_TEST_SEED` repeats one and prints what happens in it.
#[test]
fn simulated_worlds() {
    if let Some(seed) = setting("EYRIE_TEST_SEED") {
        let simulated = simulate(seed);
        let trace = simulated.as_ref().map_or_else(|broken| broken.trace(), |trace| trace.lines());
        println!("{}", trace.join("\n"));
        simulated.unwrap();
        return;
    }
    let seeds = setting("EYRIE_TEST_SEEDS").unwrap_or(200);
    let begun = std::time::Instant::now();
    let (mut runs, mut seen) = (0, Seen::default());
    let mut broken = Vec::new();
    for seed in 1..=seeds {
        match simulate(seed) {
            Ok(trace) => {
                runs += trace.runs();
                seen.look_at(trace.lines());
            }
            Err(one) => broken.push(one),
        }
    }
    println!("{seeds} seeds: {runs} runs in {:?}; of lines in the traces:\n{:#?}", begun.elapsed(), seen.0);
    assert!(broken.is_empty(), "{} of {seeds} seeds went wrong; the first ones:\n{:#?}", broken.len(), &broken[..broken.len().min(5)]);
    let missing: Vec<_> = seen.0.iter().filter(|(_, count)| **count == 0).collect();
    assert!(seeds < 200 || missing.is_empty(), "the worlds never went through {missing:?}");
}

/// How many lines of the traces say what.
#[derive(Debug, Default)]
struct Seen(BTreeMap<String, usize>);

impl Seen {
    /// What the worlds must have gone through, to be worth anything.
    fn expected() -> Vec<String> {
        let deaths = CrashPoint::ALL.iter().map(|point| format!(" dies {point}"));
        let states = RunState::ALL.iter().map(|state| format!("): run {state} "));
        let lost =
            ["record", "claim", "enqueue"].into_iter().flat_map(|method| [format!(" {method}: Refused"), format!(" {method}: Unanswered")]);
        let others = [
            "is killed",
            "past its lease",
            "the store is away",
            "has stopped",
            "went away",
            "Decide(false)",
            "RetryStep",
            "RetryUndo",
            "SkipUndo",
            "Resume",
            "Cancel",
            "was trimmed",
            "was forgotten",
            "a follower hears that",
            "hears that the run is gone",
            "the follower of all runs hears that something is gone",
        ];
        deaths.chain(states).chain(lost).chain(others.map(str::to_owned)).collect()
    }

    fn look_at(&mut self, lines: &[String]) {
        for what in Self::expected() {
            let count = lines.iter().filter(|line| line.contains(&what)).count();
            *self.0.entry(what).or_default() += count;
        }
    }
}

#[test]
fn a_seed_gives_the_same_world_again() {
    for seed in [1, 7, 42] {
        let traces = [(); 2].map(|()| simulate(seed).map(|trace| trace.lines().to_vec()).map_err(|broken| broken.trace().to_vec()));
        assert_eq!(traces[0], traces[1], "seed {seed}");
    }
}

#[cfg(feature = "conformance")]
#[tokio::test]
async fn a_store_without_faults_is_the_store() {
    use super::{FaultyStore, NoFaults};

    crate::conformance::store(async || FaultyStore::new(crate::memory::MemoryStore::new(), std::sync::Arc::new(NoFaults))).await;
}
