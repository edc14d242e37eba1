//! The power fails under SQLite: what was acknowledged must be on the device.
//!
//! One process works while a library beneath it writes down every write and every sync, in their order, and every line that it adds to
//! its journal. From that the device is rebuilt as it was at many moments, without what had not been synced (or with a random, torn
//! part of it); SQLite opens it, and the oracle compares it with what the journal said at that moment.
//!
//! A file system that forgets (a kernel module, or one in user space) would show the same for one moment a run, and only to those who
//! may mount it. A trace needs no privilege, and one run has as many moments as it has writes.

use std::{fs, path::Path, time::Duration};

use eyrie_core::testing::Rng;
use rusqlite::Connection;

use super::super::{
    device::{Disk, Trace},
    field::Field,
    journal::words_in,
    oracle::missing,
    shim::traced_device,
};

/// What was found after all the power failures.
#[derive(Debug, Default)]
pub struct Failures {
    /// How often the power failed.
    pub failures: usize,
    /// How often the process waited for the device.
    pub syncs: usize,
    /// How many lines had been said before, over all failures.
    pub said: usize,
    /// What was said and not there, or not whole, after each failure at which anything was.
    pub lost: Vec<String>,
}

/// Lets a process do so many runs and then the power fail so many times. After the last failure the field is as it was left by it.
pub fn power_failures(field: &Field, runs: u64, failures: usize, arguments: &[&str]) -> Failures {
    let trace = field.folder.join("trace");
    let enqueue = format!("enqueue={runs}");
    let arguments: Vec<_> = arguments.iter().copied().chain([enqueue.as_str(), field.lease(), "drain=yes"]).collect();
    field.start_with(&traced_device(&field.folder, &trace), &arguments).wait_end(Duration::from_secs(120));
    let bytes = fs::read(&trace).expect("a trace");
    let trace = Trace::read(&bytes);
    let mut rng = Rng::new(field.seed);
    let below = |rng: &mut Rng, bound: usize| usize::try_from(rng.below(bound as u64)).expect("a place in memory");
    let words = trace.words();
    // Half of them just after something was said.
    let mut moments: Vec<_> =
        (0..failures).map(|n| if n % 2 == 0 { words[below(&mut rng, words.len())] } else { below(&mut rng, trace.len()) }).collect();
    moments.sort_unstable();
    let mut disk = Disk::new(&trace);
    let mut found = Failures { failures, syncs: trace.syncs(), ..Failures::default() };
    for (n, moment) in moments.into_iter().enumerate() {
        disk.go_to(moment);
        let folder = tempfile::tempdir().expect("a temporary folder");
        disk.fail(folder.path(), (n % 3 != 0).then_some(&mut rng));
        let lines = words_in(&disk.lines());
        found.said += lines.len();
        let lost = lost(&folder.path().join("eyrie.db"), &lines);
        if let Some(first) = lost.first() {
            found.lost.push(format!("at {moment} of {}: {} things, {first}", trace.len(), lost.len()));
        }
    }
    found
}

/// The power fails once, in the middle of the work, and another process goes on from there.
pub fn go_on_after_a_failure(field: &Field, runs: u64) {
    let trace = field.folder.join("trace");
    let mut process = field.start_with(&traced_device(&field.folder, &trace), &[&format!("enqueue={runs}"), field.lease()]);
    process.wait_ready();
    field.wait_for("end", usize::try_from(runs).expect("a small number"));
    process.kill();
    let bytes = fs::read(&trace).expect("a trace");
    let trace = Trace::read(&bytes);
    let mut disk = Disk::new(&trace);
    disk.go_to(trace.len());
    for file in ["eyrie.db", "eyrie.db-wal", "eyrie.db-shm"] {
        let _ = fs::remove_file(field.folder.join(file));
    }
    disk.fail(&field.folder, Some(&mut Rng::new(field.seed)));
    field.drain(&[field.lease()]);
}

fn lost(file: &Path, lines: &[Vec<String>]) -> Vec<String> {
    if !file.exists() {
        return lines.first().map(|line| format!("there is no database, and {line:?} was said")).into_iter().collect();
    }
    match Connection::open(file) {
        Ok(db) => missing(&db, lines),
        Err(error) => vec![format!("the database does not open: {error}")],
    }
}
