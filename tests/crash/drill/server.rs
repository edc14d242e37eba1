//! A server that goes away, connections that break, workers that sleep past their lease, and clocks that are wrong.

use std::{
    collections::BTreeSet,
    thread::sleep,
    time::{Duration, Instant},
};

use eyrie_core::testing::Rng;

use super::super::{field::Field, process::Process, proxy::Proxy, shim::skewed_clock};

/// Three processes that go on asking while the server does not answer.
fn three(field: &Field, arguments: &[&str]) -> Vec<Process> {
    let mut living: Vec<_> = (0..3).map(|_| field.start(arguments)).collect();
    living.iter_mut().for_each(Process::wait_ready);
    living
}

fn end(mut living: Vec<Process>, field: &Field, arguments: &[&str]) {
    living.iter_mut().for_each(Process::assert_alive);
    living.into_iter().for_each(Process::kill);
    field.drain(arguments);
}

/// The server is stopped as if its machine had lost power, again and again, until it was stopped so often and as many runs are queued.
pub fn restarts(field: &Field, restarts: u64, runs: usize) {
    let living = three(field, &["enqueue=patient", "lease=4000"]);
    let mut done = 0;
    while done < restarts || queued(field) < runs {
        sleep(Duration::from_millis(1500));
        field.server().restart();
        done += 1;
    }
    sleep(Duration::from_millis(500));
    end(living, field, &["lease=4000"]);
}

/// How many runs were queued. Several processes ask for the same ones, and each is told.
fn queued(field: &Field) -> usize {
    field.journal.those("ack-enqueue").into_iter().map(|mut line| line.swap_remove(2)).collect::<BTreeSet<_>>().len()
}

/// Connections break at random moments, and between a commit and its answer. Answers how many did.
pub fn broken_connections(field: &Field, time: Duration) -> (u64, u64) {
    let proxy = Proxy::before(field.server().port(), field.seed);
    field.go_through(proxy.port());
    let living = three(field, &["enqueue=patient", "lease=4000"]);
    proxy.set_wild(true);
    sleep(time);
    proxy.set_wild(false);
    end(living, field, &["lease=4000"]);
    proxy.broken()
}

/// Workers are stopped for longer than their lease and then go on, one after the other. Answers how long they slept.
pub fn sleepers(field: &Field, times: u64) -> Duration {
    let mut rng = Rng::new(field.seed);
    let living = three(field, &["enqueue=patient", "lease=1000"]);
    let mut slept = Duration::ZERO;
    for _ in 0..times {
        let sleeper = &living[usize::try_from(rng.below(3)).expect("a small number")];
        field.journal.say(&[&"asleep", &sleeper.id()]);
        let begun = Instant::now();
        sleeper.signal("STOP");
        sleep(Duration::from_millis(rng.between(1500, 2500)));
        sleeper.signal("CONT");
        slept += begun.elapsed();
        // Time to notice.
        sleep(Duration::from_millis(700));
        field.journal.say(&[&"awake", &sleeper.id()]);
    }
    end(living, field, &["lease=1000"]);
    slept
}

/// Workers whose wall clocks are hours and minutes off are killed again and again: leases, pauses and the order of the queue go by the
/// server's clock.
pub fn skewed_clocks(field: &Field, kills: u64) {
    let mut rng = Rng::new(field.seed);
    let start = |rng: &mut Rng| {
        let off = i64::try_from(rng.between(60, 3 * 3600)).expect("a small number");
        field.start_with(&skewed_clock(if rng.once_in(2) { off } else { -off }), &["enqueue=patient"])
    };
    let mut living: Vec<_> = (0..3).map(|_| start(&mut rng)).collect();
    for _ in 0..kills {
        let mut next = living.remove(0);
        next.wait_ready();
        sleep(Duration::from_millis(rng.between(100, 600)));
        next.kill();
        living.push(start(&mut rng));
    }
    living.iter_mut().for_each(Process::wait_ready);
    living.into_iter().for_each(Process::kill);
    field.start_with(&skewed_clock(-3600), &["drain=yes"]).wait_end(Duration::from_secs(60));
}
