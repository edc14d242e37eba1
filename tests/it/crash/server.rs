//! A database server that goes away, and machines that lose sight of each other.

use std::{
    sync::Arc,
    thread::sleep,
    time::{Duration, Instant},
};

use eyrie_tests::postgres::Server;

use super::{
    Field, Process,
    oracle::{Leases, judge, judge_with},
    setting, touch,
};

/// The server is stopped as if its machine had lost power, again and again, while three processes queue and execute runs.
#[test]
fn a_server_that_restarts_loses_and_repeats_nothing() {
    let restarts = setting("EYRIE_TEST_RESTARTS").unwrap_or(4);
    let begun = Instant::now();
    let field = Field::on_server(6, Arc::new(Server::start(&["max_connections=100"])));
    let mut living: Vec<Process> = (0..3).map(|_| field.start(&["enqueue=patient", "lease=4000"])).collect();
    living.iter_mut().for_each(Process::wait_ready);
    for _ in 0..restarts {
        sleep(Duration::from_millis(1500));
        field.server().restart();
    }
    sleep(Duration::from_millis(500));
    living.iter_mut().for_each(Process::assert_alive);
    living.into_iter().for_each(Process::kill);
    field.start(&["drain=yes", "lease=4000"]).wait_end(Duration::from_secs(120));
    let found = judge_with(&field, Leases::Lost);
    println!("crash: {restarts} restarts of the server, {found}, {:.1} s", begun.elapsed().as_secs_f64());
    assert!(found.runs > 0 && found.heard > 0, "nothing was tested");
}

/// A worker that sleeps past its lease has lost its runs, and writes nothing when it wakes up.
#[test]
fn a_zombie_writes_nothing() {
    let field = Field::on_server(7, Server::shared_by_all());
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
    let found = judge_with(&field, Leases::Lost);
    println!("crash: takeover from a sleeper after {:.0} ms; {found}", took.as_secs_f64() * 1000.0);
    assert_eq!((found.runs, found.takeovers), (1, 1));
}

#[test]
fn two_processes_share_the_work_on_a_server() {
    let field = Field::on_server(8, Server::shared_by_all());
    let mut first = field.start(&["max_runs=3", "lease=15000"]);
    first.wait_ready();
    let second = field.start(&["enqueue=40", "max_runs=3", "drain=yes", "lease=15000"]);
    second.wait_end(Duration::from_secs(60));
    first.kill();
    let found = judge(&field);
    assert_eq!((found.runs, found.again, found.takeovers), (40, 0, 0), "each is executed by one of them");
    assert_eq!(found.by_process.len(), 2, "both do some: {:?}", found.by_process);
}
