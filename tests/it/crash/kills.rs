//! Killed at random moments and at named places: nothing acknowledged is lost, nothing is recorded twice.

use eyrie_tests::crash::{
    drill::{crash_points, kills_while_pruning, random_kills},
    field::Field,
    oracle::Leases,
    points::Place,
};

use super::{drill, field, field_on_server, seed, setting};

#[test]
fn random_kills_lose_nothing() {
    kill_at_random("random kills on sqlite", &field(seed()), Leases::Kept);
}

#[test]
fn random_kills_lose_nothing_on_a_server() {
    // A connection takes so long to make on a machine at work that a lease of one second may be lost over it.
    kill_at_random("random kills on postgres", &field_on_server(seed()), Leases::Lost);
}

fn kill_at_random(what: &str, field: &Field, leases: Leases) {
    let kills = setting("EYRIE_TEST_KILLS").unwrap_or(30);
    let found = drill(what, field, leases, |field| {
        random_kills(field, kills);
        String::new()
    });
    assert!(found.kills as u64 >= kills);
    assert!(found.conditions.0 > 0 && found.conditions.1 > 0, "no condition was true, or none false");
}

#[test]
fn a_death_at_any_named_place_loses_nothing() {
    die_everywhere("crash points on sqlite", &field(seed()), Leases::Kept);
}

#[test]
fn a_death_at_any_named_place_loses_nothing_on_a_server() {
    die_everywhere("crash points on postgres", &field_on_server(seed()), Leases::Lost);
}

fn die_everywhere(what: &str, field: &Field, leases: Leases) {
    let rounds = setting("EYRIE_TEST_ROUNDS").unwrap_or(1);
    drill(what, field, leases, |field| {
        let died = crash_points(field, rounds);
        assert!(died.len() == Place::all().len() && died.values().all(|times| *times == rounds), "{died:?}");
        format!("{rounds} at each of {} places, ", died.len())
    });
}

#[test]
fn kills_while_pruning_lose_nothing_that_is_kept() {
    prune_and_kill("kills while pruning on sqlite", &field(seed()));
}

#[test]
fn kills_while_pruning_lose_nothing_that_is_kept_on_a_server() {
    prune_and_kill("kills while pruning on postgres", &field_on_server(seed()));
}

fn prune_and_kill(what: &str, field: &Field) {
    let kills = setting("EYRIE_TEST_PRUNING_KILLS").unwrap_or(24);
    let found = drill(what, field, Leases::Lost, |field| {
        let died = kills_while_pruning(field, kills);
        assert!(kills < 12 || died.len() == Place::pruning().len(), "{died:?}");
        format!("{} at places of pruning, ", died.values().sum::<u64>())
    });
    assert!(found.trimmed > 0 && found.forgotten > 0 && found.told > 0, "nothing was pruned, or nobody heard of it");
}
