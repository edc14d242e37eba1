//! Killed again and again at random moments.

use std::{thread::sleep, time::Duration};

use eyrie_core::testing::Rng;

use super::super::{field::Field, process::Process};

/// How many processes work at the same time.
const PROCESSES: usize = 3;

/// Up to three processes, of which one after the other is killed.
pub fn random_kills(field: &Field, kills: u64) {
    let mut rng = Rng::new(field.seed);
    let mut living: Vec<Process> = Vec::new();
    for _ in 0..kills {
        while living.is_empty() || (living.len() < PROCESSES && rng.once_in(3)) {
            living.push(field.start(&["enqueue=loop", field.lease()]));
        }
        let place = usize::try_from(rng.below(living.len() as u64)).expect("a small number");
        // One in four may die while it starts; the others get to work first.
        if !rng.once_in(4) {
            living[place].wait_ready();
        }
        sleep(Duration::from_millis(rng.between(5, 400)));
        living.swap_remove(place).kill();
    }
    living.into_iter().for_each(Process::kill);
    field.drain(&[field.lease()]);
}
