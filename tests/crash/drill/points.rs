//! Processes that kill themselves at named places on the way of a run.

use std::{collections::BTreeMap, time::Duration};

use eyrie_core::testing::Rng;

use super::super::{field::Field, points::Place, process::wait_until};

/// How long a process may take to come to a place.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often a process died at which place.
pub type Died = BTreeMap<&'static str, u64>;

/// How many are sent at the same time.
const TOGETHER: usize = 4;

/// Sends processes to die at every place, `rounds` times each, while another one works.
pub fn crash_points(field: &Field, rounds: u64) -> Died {
    let mut rng = Rng::new(field.seed);
    let mut died = Died::new();
    let mut other = field.start(&["enqueue=loop", field.lease()]);
    for _ in 0..rounds {
        for places in Place::all().chunks(TOGETHER) {
            let mut send = |place: &Place| {
                let moment = format!("die={}:{}", place.name(), rng.between(1, place.patience()));
                field.start(&["enqueue=loop", &moment, field.lease()])
            };
            let doomed: Vec<_> = places.iter().map(&mut send).collect();
            for (place, mut process) in places.iter().zip(doomed) {
                let what = format!("a death at {} (seed {})", place.name(), field.seed);
                wait_until(PATIENCE, &what, || process.has_killed_itself(Duration::ZERO));
                *died.entry(place.name()).or_default() += 1;
            }
        }
        other.assert_alive();
    }
    other.kill();
    field.drain(&[field.lease()]);
    died
}
