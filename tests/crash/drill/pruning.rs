//! Killed while what has ended is pruned.

use std::{thread::sleep, time::Duration};

use eyrie_core::testing::Rng;

use super::super::{field::Field, points::Place, process::Process};

/// They prune what ended a second ago, as soon as the policies say.
const ARGUMENTS: [&str; 3] = ["enqueue=loop", "lease=1000", "prune=20"];
/// How many processes work at the same time.
const PROCESSES: usize = 3;

/// Up to three processes, which prune what they and others have done. One after the other is killed at a random moment, or kills
/// itself at a place on the way of pruning; answers how often at which. In the end everything is pruned that may be.
pub fn kills_while_pruning(field: &Field, kills: u64) -> super::Died {
    let mut rng = Rng::new(field.seed);
    let mut died = super::Died::new();
    field.start(&["worker=no", "drain=yes"]).wait_end(Duration::from_secs(60));
    field.keep_what_goes();
    let mut living: Vec<Process> = Vec::new();
    let places = Place::pruning();
    for n in 0..kills {
        while living.len() < PROCESSES {
            living.push(field.start(&ARGUMENTS));
        }
        if n % 2 == 0 {
            let place = usize::try_from(rng.below(PROCESSES as u64)).expect("a small number");
            living[place].wait_ready();
            sleep(Duration::from_millis(rng.between(100, 900)));
            living.swap_remove(place).kill();
        } else {
            let place = places[usize::try_from(n / 2).expect("a small number") % places.len()];
            let moment = format!("die={}:{}", place.name(), rng.between(1, place.patience()));
            let mut process = field.start(&[&ARGUMENTS[..], &[&moment]].concat());
            assert!(process.has_killed_itself(Duration::from_secs(60)), "a death at {} (seed {})", place.name(), field.seed);
            *died.entry(place.name()).or_default() += 1;
        }
    }
    living.into_iter().for_each(Process::kill);
    field.drain(&["lease=1000", "prune=20"]);
    died
}
