//! Reads the database in its own words and holds it against the journal.

mod bodies;
mod conditions;
mod pruned;
mod record;
mod run;
mod said;

use std::{collections::BTreeMap, fmt};

use rusqlite::Connection;

use super::field::Field;

/// What was found in order.
#[derive(Debug, Default, Clone)]
pub struct Found {
    /// How many processes were killed.
    pub kills: usize,
    /// How often one was stopped for longer than its lease.
    pub slept: usize,
    /// Bodies that began in a process that had not noticed yet that it had slept past its lease.
    pub zombies: usize,
    /// Runs.
    pub runs: usize,
    /// How many of them were cancelled, are undone, or could not be.
    pub by_state: BTreeMap<String, usize>,
    /// Planned steps.
    pub steps: usize,
    /// Steps that began by their conditions, and that were skipped by them.
    pub conditions: (usize, usize),
    /// Of all planned steps together.
    pub attempts: i64,
    /// Bodies of undos that began.
    pub undos: usize,
    /// Runs whose queuing was acknowledged.
    pub acknowledged: usize,
    /// Events that subscribers heard.
    pub heard: usize,
    /// Bodies begun again although the one before had not failed.
    pub again: usize,
    /// Bodies that had begun and not ended when their process was killed.
    pub in_flight: usize,
    /// Bodies that had ended, but whose process was killed (or lost its lease) before that was recorded.
    pub unrecorded: usize,
    /// Claims of runs that somebody had held.
    pub takeovers: i64,
    /// Runs whose events were pruned, and that are there.
    pub trimmed: usize,
    /// Runs that were forgotten.
    pub forgotten: usize,
    /// How often somebody who followed was told that something is gone.
    pub told: usize,
    /// Up to when whatever may go had time to go, in microseconds.
    pub pruned_until: Option<i64>,
    /// How many runs each process ended.
    pub by_process: BTreeMap<String, usize>,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kills, runs, by_state, steps, attempts, undos, acknowledged, heard, again, in_flight, unrecorded, takeovers, .. } = self;
        let (begun, skipped) = self.conditions;
        let states = by_state.iter().map(|(state, runs)| format!("{runs} {state}")).collect::<Vec<_>>().join(", ");
        write!(f, "{kills} killed, {runs} runs ({states}; {acknowledged} acknowledged), {steps} steps in {attempts} attempts, ")?;
        write!(f, "{begun} begun and {skipped} skipped by conditions, ")?;
        if self.forgotten > 0 {
            write!(f, "{} trimmed, {} forgotten, {} told of it, ", self.trimmed, self.forgotten, self.told)?;
        }
        write!(f, "{undos} undos, {heard} events heard, {takeovers} takeovers, ")?;
        write!(f, "{again} executed again ({in_flight} in flight, {unrecorded} ended but unrecorded)")
    }
}

/// Whether a process that lives may have lost its lease, so that a body which ended unrecorded is executed again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leases {
    /// Only the dead lose theirs.
    Kept,
    /// Anybody may.
    Lost,
}

/// Checks everything and panics with all that is wrong.
pub fn judge(field: &Field, leases: Leases) -> Found {
    let db = field.open();
    let (mut wrong, mut found) = (check_file(&db), Found::default());
    let runs = record::read(&db).expect("the tables can be read");
    let lines = field.journal.lines();
    let cancels = said::cancels(&lines);
    for (id, run) in &runs {
        let mut say = |what: String| wrong.push(format!("run {id}: {what}"));
        run::check_run(run, cancels.get(id.as_str()).copied().unwrap_or_default(), &mut say);
        conditions::check(run, &mut found.conditions, &mut say);
        found.steps += run.steps.len();
        found.attempts += run.steps.iter().map(|step| step.attempt).sum::<i64>();
        found.takeovers += (run.epoch - 1).max(0);
        *found.by_state.entry(run.state.clone()).or_default() += 1;
    }
    found.runs = runs.len();
    check_serial(&runs, &mut wrong);
    found.pruned_until = lines.iter().rfind(|line| line[0] == "drained").and_then(|line| line[1].parse().ok());
    if pruned::is_watched(&db) {
        pruned::check_pruned(&db, &runs, &mut found, &mut wrong);
    }
    said::check_acknowledged(&db, &lines, &runs, &mut found, &mut wrong);
    said::check_heard(&lines, &runs, &mut found, &mut wrong);
    bodies::check_bodies(&lines, &runs, leases, &mut found, &mut wrong);
    let shown = wrong.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
    assert!(wrong.is_empty(), "seed {}: {} things are wrong; {found}:\n{shown}", field.seed, wrong.len());
    found
}

/// What is missing in this database of what the journal says: runs that were acknowledged, events that were heard, starts of bodies.
pub fn missing(db: &Connection, lines: &[Vec<String>]) -> Vec<String> {
    let mut wrong = check_file(db);
    let Ok(runs) = record::read(db) else {
        wrong.extend((!lines.is_empty()).then(|| "there are no tables".to_owned()));
        return wrong;
    };
    for line in lines.iter().filter(|line| line[0] == "ack-enqueue" && !runs.contains_key(&line[2])) {
        wrong.push(format!("run {} was acknowledged and is not there", line[2]));
    }
    said::check_heard(lines, &runs, &mut Found::default(), &mut wrong);
    said::check_begun(lines, &runs, &mut wrong);
    wrong
}

fn check_file(db: &Connection) -> Vec<String> {
    let integrity: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("the database can be checked");
    if integrity == "ok" { Vec::new() } else { vec![format!("integrity: {integrity}")] }
}

/// Of each deployment at most one run is under way, by the order of all events.
fn check_serial(runs: &BTreeMap<String, record::Run>, wrong: &mut Vec<String>) {
    let mut spans: BTreeMap<&str, Vec<(i64, i64)>> = BTreeMap::new();
    for run in runs.values() {
        let first = run.events.iter().find(|event| event.is_run(|state| state == "running"));
        let last = run.events.iter().rfind(|event| event.is_run(run::is_end));
        if let (Some(first), Some(last)) = (first, last) {
            spans.entry(&run.deployment).or_default().push((first.position, last.position));
        }
    }
    for (deployment, mut spans) in spans {
        spans.sort_unstable();
        if spans.windows(2).any(|pair| pair[1].0 < pair[0].1) {
            wrong.push(format!("deployment {deployment} had two runs at the same time: {spans:?}"));
        }
    }
}
