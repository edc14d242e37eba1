//! Killed again and again at random moments: nothing acknowledged is lost, nothing is recorded twice.

use std::{
    thread::sleep,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use eyrie_tests::{crash::rng::Rng, postgres::Server};

use super::{
    Field, Process,
    oracle::{Leases, judge_with},
    setting,
};

#[test]
fn random_kills_lose_nothing() {
    kill_at_random("sqlite", Leases::Kept, Field::new);
}

#[test]
fn random_kills_lose_nothing_on_a_server() {
    // A connection takes so long to make on a machine at work that a lease of one second may be lost over it.
    kill_at_random("postgres", Leases::Lost, |seed| Field::on_server(seed, Server::shared_by_all()));
}

/// Up to three processes, of which one after the other is killed.
fn kill_at_random(store: &str, leases: Leases, field: impl FnOnce(u64) -> Field) {
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| u64::from(since.subsec_nanos()));
    let seed = setting("EYRIE_TEST_SEED").unwrap_or_else(clock);
    let kills = setting("EYRIE_TEST_KILLS").unwrap_or(30);
    let (begun, mut rng, field) = (Instant::now(), Rng::new(seed), field(seed));
    println!("crash: {store}, seed {seed}");
    let mut living: Vec<Process> = Vec::new();
    for _ in 0..kills {
        while living.is_empty() || (living.len() < 3 && rng.once_in(3)) {
            living.push(field.start(&["enqueue=loop"]));
        }
        let place = usize::try_from(rng.below(living.len() as u64)).unwrap();
        // One in four may die while it starts; the others get to work first.
        if !rng.once_in(4) {
            living[place].wait_ready();
        }
        sleep(Duration::from_millis(rng.between(5, 400)));
        living.swap_remove(place).kill();
    }
    let rest = living.len() as u64;
    living.into_iter().for_each(Process::kill);
    field.start(&["drain=yes"]).wait_end(Duration::from_secs(120));
    let found = judge_with(&field, leases);
    let took = begun.elapsed().as_secs_f64();
    println!("crash: {store}, seed {seed}, {} kills, {found}, {took:.1} s", kills + rest);
    assert!(found.runs > 0 && found.heard > 0, "nothing was tested");
}
