//! What `synchronous=FULL` promises: whatever was acknowledged survives a power failure.

use eyrie_tests::crash::{
    drill::{Failures, go_on_after_a_failure, power_failures},
    oracle::Leases,
};

use super::{drill, field, seed, setting};

fn fail(what: &str, failures: usize, arguments: &[&str]) -> Failures {
    let (field, runs) = (field(seed()), setting("EYRIE_TEST_POWER_RUNS").unwrap_or(25));
    println!("crash: {what}, seed {}", field.seed);
    let found = power_failures(&field, runs, failures, arguments);
    let Failures { failures, syncs, said, lost } = &found;
    println!(
        "crash: {what}, seed {}: {failures} power failures over {syncs} syncs, {said} lines said before, {} lost any",
        field.seed,
        lost.len()
    );
    assert!(*said > *failures && *syncs > 0, "nothing was tested: {found:?}");
    found
}

#[test]
fn what_was_acknowledged_survives_a_power_failure() {
    let found = fail("synchronous=FULL", setting("EYRIE_TEST_POWER_FAILURES").map_or(60, |n| n as usize), &[]);
    assert!(found.lost.is_empty(), "{:#?}", found.lost);
}

/// The opt-in promises less, and the test can tell.
#[test]
fn less_than_full_loses_what_was_acknowledged() {
    let found = fail("synchronous=NORMAL", 30, &["synchronous=normal"]);
    assert!(!found.lost.is_empty(), "nothing is lost: does anything get dropped at all?");
    assert!(found.lost.iter().all(|lost| !lost.contains("integrity")), "the file stays whole: {:#?}", found.lost);
}

#[test]
fn work_goes_on_after_a_power_failure() {
    drill("going on after a power failure", &field(seed()), Leases::Kept, |field| {
        go_on_after_a_failure(field, 20);
        String::new()
    });
}
