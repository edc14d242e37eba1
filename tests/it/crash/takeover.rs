//! A dead worker is noticed at once, a living one is left alone.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use eyrie_tests::crash::{
    drill::sleepers,
    field::Field,
    oracle::{Leases, judge},
};

use super::{drill, field, field_on_server, seed, setting, touch};

#[test]
fn a_killed_worker_is_replaced_long_before_its_lease_ends() {
    let field = field(4);
    let mut first = field.start(&["enqueue=hold", "lease=15000"]);
    field.wait_for("begin", 1);
    let mut second = field.start(&["lease=15000"]);
    second.wait_ready();
    // A worker that hangs for less than its lease keeps what it has.
    first.signal("STOP");
    sleep(Duration::from_secs(3));
    first.signal("CONT");
    sleep(Duration::from_millis(500));
    first.assert_alive();
    second.assert_alive();
    assert_eq!(field.journal.those("begin").len(), 1, "nothing is taken from a worker that lives");
    assert!(field.journal.those("stopped").is_empty());
    let begun = Instant::now();
    first.kill();
    let bodies = field.wait_for("begin", 2);
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(5), "the takeover took {took:?} of a lease of 15 s");
    assert_eq!(bodies[1][4], second.id().to_string());
    touch(&field.folder.join("gate"));
    field.start(&["worker=no", "drain=yes"]).wait_end(Duration::from_secs(30));
    second.kill();
    let found = judge(&field, Leases::Kept);
    println!("crash: takeover after {:.0} ms; {found}", took.as_secs_f64() * 1000.0);
    assert_eq!((found.runs, found.takeovers, found.again), (1, 1, 1));
}

#[test]
fn those_who_sleep_past_their_lease_write_nothing() {
    sleep_and_go_on("sleepers on sqlite", &field(seed()));
}

#[test]
fn those_who_sleep_past_their_lease_write_nothing_on_a_server() {
    sleep_and_go_on("sleepers on postgres", &field_on_server(seed()));
}

fn sleep_and_go_on(what: &str, field: &Field) {
    let times = setting("EYRIE_TEST_SLEEPS").unwrap_or(2);
    let found = drill(what, field, Leases::Lost, |field| {
        let slept = sleepers(field, times);
        format!("{times} slept {:.1} s, ", slept.as_secs_f64())
    });
    assert_eq!(found.slept as u64, times);
}
