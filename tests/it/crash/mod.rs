//! Processes that are killed, stopped, cut off and starved of room; and an oracle outside of them.

mod disk;
mod kills;
mod power;
mod script;
mod server;
mod skew;
mod takeover;
mod two;

use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use eyrie_tests::{
    crash::{
        field::{Field, Program},
        oracle::{Found, Leases, judge},
    },
    postgres::Server,
};

fn program() -> Program {
    Program { path: env!("CARGO_BIN_EXE_crash-child").into(), arguments: Vec::new() }
}

/// A new file.
fn field(seed: u64) -> Field {
    Field::new(program(), seed)
}

/// A new database of the server that all tests share.
fn field_on_server(seed: u64) -> Field {
    field_on(seed, Server::shared_by_all())
}

fn field_on(seed: u64, server: Arc<Server>) -> Field {
    Field::on_server(program(), seed, server)
}

/// The seed of a randomised test: another one each time, unless the environment names it.
fn seed() -> u64 {
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| u64::from(since.subsec_nanos()));
    setting("EYRIE_TEST_SEED").unwrap_or_else(clock)
}

/// Says the seed, does it, judges it, and says what was found.
fn drill(what: &str, field: &Field, leases: Leases, work: impl FnOnce(&Field) -> String) -> Found {
    println!("crash: {what}, seed {}", field.seed);
    let begun = Instant::now();
    let done = work(field);
    let found = judge(field, leases);
    println!("crash: {what}, seed {}, {done}{found}, {:.1} s", field.seed, begun.elapsed().as_secs_f64());
    assert!(found.runs > 0 && found.heard > 0, "nothing was tested");
    found
}

fn touch(path: &Path) {
    fs::write(path, "").unwrap();
}

/// A number from the environment.
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name} must be a number")))
}
