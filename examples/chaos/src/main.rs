//! See for yourself that nothing is lost: processes that queue, execute, cancel and undo runs are killed, stopped and cut off for as
//! long as you like, and whatever they had acknowledged is compared with what the database holds.
//!
//! `cargo run -p chaos -- --store sqlite --minutes 1`, or `--store postgres`, which starts a server of its own on the loopback and needs
//! PostgreSQL's programs, no running server. Each phase prints a line: how many processes were killed, what became of the runs, how many
//! steps were executed again because their process died. The first thing that is wrong ends the program, with the seed to repeat it by
//! (`--seed`) and the folder in which everything is kept. The drills, the processes and the oracle are those of the project's own tests
//! (package `eyrie-tests`); the program is its own child.

use std::{
    path::PathBuf,
    process::{Command, ExitCode},
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use clap::{Parser, ValueEnum};
use eyrie_tests::{
    crash::{
        child, drill,
        field::{Field, Program},
        oracle::{Found, Leases, judge},
    },
    postgres::{self, Server},
};

/// What a process is told that is to be killed, before all else.
const CHILD: &str = "child";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Store {
    Sqlite,
    Postgres,
}

#[derive(Debug, Parser)]
#[command(about = "Kills, stops and cuts off processes that execute runs, and checks that nothing is lost.")]
struct Arguments {
    /// Where the runs are kept.
    #[arg(long, value_enum, default_value = "sqlite")]
    store: Store,
    /// When to stop: the phase that is under way then is the last.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=24 * 60))]
    minutes: u64,
    /// What the first phase begins with; each further one takes the next number.
    #[arg(long)]
    seed: Option<u64>,
}

/// One kind of adversity.
struct Phase {
    name: &'static str,
    leases: Leases,
    /// Why it cannot take place here, if so.
    missing: Option<&'static str>,
    drill: fn(&Field) -> String,
}

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    if words.next().as_deref() == Some(CHILD) {
        child::run(words);
        return ExitCode::SUCCESS;
    }
    let arguments = Arguments::parse();
    if arguments.store == Store::Postgres && postgres::programs().is_none() {
        eprintln!("chaos: PostgreSQL is not installed (apt-get install postgresql)");
        return ExitCode::FAILURE;
    }
    run(&arguments)
}

fn run(arguments: &Arguments) -> ExitCode {
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| u64::from(since.subsec_nanos()));
    let mut seed = arguments.seed.unwrap_or_else(clock);
    let until = Instant::now() + Duration::from_secs(arguments.minutes * 60);
    let phases = match arguments.store {
        Store::Sqlite => on_sqlite(),
        Store::Postgres => on_postgres(),
    };
    let mut sum = (0, 0, 0, 0);
    for phase in &phases {
        if let Some(missing) = phase.missing {
            println!("!!! SKIPPED: {} ({missing})", phase.name);
        }
    }
    let mut possible = phases.iter().filter(|phase| phase.missing.is_none()).cycle();
    while Instant::now() < until
        && let Some(phase) = possible.next()
    {
        let found = one(phase, arguments.store, seed);
        sum = (sum.0 + found.kills, sum.1 + found.runs, sum.2 + found.takeovers, sum.3 + found.again);
        seed += 1;
    }
    let (kills, runs, takeovers, again) = sum;
    println!("nothing was lost: {kills} killed, {runs} runs, {takeovers} takeovers, {again} executed again");
    ExitCode::SUCCESS
}

/// Panics with the seed and with all that is wrong.
fn one(phase: &Phase, store: Store, seed: u64) -> Found {
    let begun = Instant::now();
    let field = match store {
        Store::Sqlite => Field::new(itself(), seed),
        Store::Postgres => Field::on_server(itself(), seed, Arc::new(Server::start(&["max_connections=200"]))),
    };
    let done = (phase.drill)(&field);
    let found = judge(&field, phase.leases);
    println!("{} (seed {seed}, {:.0} s): {done}{found}", phase.name, begun.elapsed().as_secs_f64());
    found
}

/// This program as its own child.
fn itself() -> Program {
    Program { path: std::env::current_exe().unwrap_or_else(|_| PathBuf::from("/proc/self/exe")), arguments: vec![CHILD.to_owned()] }
}

fn on_sqlite() -> Vec<Phase> {
    let no_cc = has("cc").err();
    vec![
        Phase { name: "random kills", leases: Leases::Kept, missing: None, drill: kills },
        Phase { name: "deaths at named places", leases: Leases::Kept, missing: None, drill: points },
        Phase { name: "kills while pruning", leases: Leases::Lost, missing: None, drill: pruning },
        Phase { name: "workers that sleep past their lease", leases: Leases::Lost, missing: None, drill: sleepers },
        Phase { name: "power failure", leases: Leases::Kept, missing: no_cc, drill: power },
    ]
}

fn on_postgres() -> Vec<Phase> {
    let no_cc = has("cc").err();
    vec![
        Phase { name: "random kills", leases: Leases::Lost, missing: None, drill: kills },
        Phase { name: "deaths at named places", leases: Leases::Lost, missing: None, drill: points },
        Phase { name: "kills while pruning", leases: Leases::Lost, missing: None, drill: pruning },
        Phase { name: "broken connections", leases: Leases::Lost, missing: None, drill: connections },
        Phase { name: "a server that restarts", leases: Leases::Lost, missing: None, drill: restarts },
        Phase { name: "workers that sleep past their lease", leases: Leases::Lost, missing: None, drill: sleepers },
        Phase { name: "clocks that are hours off", leases: Leases::Lost, missing: no_cc, drill: clocks },
    ]
}

fn has(program: &str) -> Result<(), &'static str> {
    let there = Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
    if there { Ok(()) } else { Err("cc is not installed: apt-get install build-essential") }
}

fn kills(field: &Field) -> String {
    drill::random_kills(field, 20);
    String::new()
}

fn points(field: &Field) -> String {
    let died = drill::crash_points(field, 1);
    format!("{} places, ", died.len())
}

fn pruning(field: &Field) -> String {
    let died = drill::kills_while_pruning(field, 16);
    format!("{} at places of pruning, ", died.values().sum::<u64>())
}

fn sleepers(field: &Field) -> String {
    let slept = drill::sleepers(field, 3);
    format!("slept {:.1} s, ", slept.as_secs_f64())
}

fn restarts(field: &Field) -> String {
    drill::restarts(field, 3, 30);
    String::new()
}

fn connections(field: &Field) -> String {
    let (anywhere, unanswered) = drill::broken_connections(field, Duration::from_secs(6));
    format!("{anywhere} broke anywhere, {unanswered} between a commit and its answer, ")
}

fn clocks(field: &Field) -> String {
    drill::skewed_clocks(field, 6);
    String::new()
}

fn power(field: &Field) -> String {
    let before = Field::new(itself(), field.seed);
    let found = drill::power_failures(&before, 20, 40, &[]);
    assert!(found.lost.is_empty(), "seed {}: what was acknowledged is lost: {:#?}", field.seed, found.lost);
    drill::go_on_after_a_failure(field, 20);
    format!("{} failures over {} syncs, {} lines said before, none lost; after another one ", found.failures, found.syncs, found.said)
}
