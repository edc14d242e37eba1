//! The kit against itself, and the engine in simulated worlds.

mod engine;
mod harness;

use super::simulate;

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
    let (mut runs, mut lines) = (0, 0);
    let mut broken = Vec::new();
    for seed in 1..=seeds {
        match simulate(seed) {
            Ok(trace) => {
                runs += trace.runs();
                lines += trace.lines().len();
            }
            Err(one) => broken.push(one),
        }
    }
    println!("{seeds} seeds: {runs} runs, {lines} lines of traces, in {:?}", begun.elapsed());
    assert!(broken.is_empty(), "{} of {seeds} seeds went wrong; the first ones:\n{:#?}", broken.len(), &broken[..broken.len().min(5)]);
}

#[test]
fn a_seed_gives_the_same_world_again() {
    for seed in [1, 7, 42] {
        let traces = [(); 2].map(|()| simulate(seed).map(|trace| trace.lines().to_vec()).map_err(|broken| broken.trace().to_vec()));
        assert_eq!(traces[0], traces[1], "seed {seed}");
    }
}
