//! A database server that goes away, and machines that lose sight of each other.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use eyrie_tests::{
    crash::{
        drill::{broken_connections, restarts},
        oracle::{Leases, judge},
    },
    postgres::Server,
};

use super::{drill, field_on, field_on_server, seed, setting, touch};

/// The server is stopped as if its machine had lost power, again and again, while three processes queue and execute runs.
#[test]
fn a_server_that_restarts_loses_and_repeats_nothing() {
    let (times, runs) = (setting("EYRIE_TEST_RESTARTS").unwrap_or(4), setting("EYRIE_TEST_RESTART_RUNS").unwrap_or(50));
    let field = field_on(seed(), Arc::new(Server::start(&["max_connections=100"])));
    let found = drill("restarts of the server", &field, Leases::Lost, |field| {
        restarts(field, times, usize::try_from(runs).unwrap());
        String::new()
    });
    assert!(found.runs as u64 >= runs);
}

#[test]
fn connections_that_break_lose_and_repeat_nothing_on_a_server() {
    let time = Duration::from_secs(setting("EYRIE_TEST_BREAKING_SECONDS").unwrap_or(5));
    drill("broken connections", &field_on_server(seed()), Leases::Lost, |field| {
        let (anywhere, unanswered) = broken_connections(field, time);
        assert!(anywhere > 0 && unanswered > 0, "{anywhere} and {unanswered} connections broke");
        format!("{anywhere} anywhere, {unanswered} between a commit and its answer, ")
    });
}

/// A worker that sleeps past its lease has lost its runs, and writes nothing when it wakes up.
#[test]
fn a_zombie_writes_nothing() {
    let field = field_on_server(7);
    let mut first = field.start(&["enqueue=hold", "lease=1000"]);
    field.wait_for("begin", 1);
    let mut second = field.start(&["lease=1000"]);
    second.wait_ready();
    // From here on it counts as dead.
    field.journal.say(&[&"killing", &first.id()]);
    first.signal("STOP");
    let begun = Instant::now();
    let bodies = field.wait_for("begin", 2);
    let took = begun.elapsed();
    assert_eq!(bodies[1][4], second.id().to_string(), "the other takes over");
    // The lease, and a second.
    assert!(took < Duration::from_millis(2000 + 200), "the takeover took {took:?}");
    first.signal("CONT");
    field.wait_for("stopped", 1);
    first.assert_alive();
    touch(&field.folder.join("gate"));
    field.start(&["worker=no", "drain=yes"]).wait_end(Duration::from_secs(30));
    second.assert_alive();
    first.kill();
    second.kill();
    let found = judge(&field, Leases::Lost);
    println!("crash: takeover from a sleeper after {:.0} ms; {found}", took.as_secs_f64() * 1000.0);
    assert_eq!((found.runs, found.takeovers), (1, 1));
}

#[test]
fn two_processes_share_the_work_on_a_server() {
    let field = field_on_server(8);
    let mut first = field.start(&["max_runs=3", "lease=15000"]);
    first.wait_ready();
    let second = field.start(&["enqueue=40", "max_runs=3", "drain=yes", "lease=15000"]);
    second.wait_end(Duration::from_secs(60));
    first.kill();
    let found = judge(&field, Leases::Kept);
    assert_eq!((found.runs, found.again, found.takeovers), (40, 0, 0), "each is executed by one of them");
    assert_eq!(found.by_process.len(), 2, "both do some: {:?}", found.by_process);
}
