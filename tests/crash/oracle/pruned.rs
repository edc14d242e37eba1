//! What was pruned, held against what may be: by the policies of the deployments, and never what somebody still needs.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;
use serde_json::Value;

use super::{
    Found,
    record::{Run, id},
    run::is_end,
};

/// A lease of whoever prunes, in microseconds: what ended less long ago stays.
const LEASE: i64 = 1_000_000;

/// What a deployment's settings say; what they do not say is kept for ever.
#[derive(Debug, Default)]
struct Policy {
    /// In microseconds.
    runs: Option<i64>,
    newest: usize,
    history: Option<i64>,
}

/// Whether rows that go are copied.
pub(super) fn is_watched(db: &Connection) -> bool {
    db.prepare("SELECT 1 FROM gone_runs").is_ok()
}

pub(super) fn check_pruned(db: &Connection, runs: &BTreeMap<String, Run>, found: &mut Found, wrong: &mut Vec<String>) {
    let policies = policies(db);
    let (by_run, by_release) = deployed(db);
    let none = Policy::default();
    for (id, run) in runs {
        let policy = policies.get(&run.deployment).unwrap_or(&none);
        let mut say = |what: String| wrong.push(format!("run {id}: {what}"));
        let is_deployed = by_run.contains(id) || by_release.contains(id);
        let why = |at: i64| needed(runs, id, policy, at).or_else(|| is_deployed.then_some("is deployed, or was the last to change that"));
        found.trimmed += usize::from(run.events.iter().any(|event| event.gone.is_some()) && run.gone.is_none());
        found.forgotten += usize::from(run.gone.is_some());
        if let Some(why) = run.gone.and_then(why) {
            say(format!("was forgotten although it {why}"));
        }
        check_history(run, policy, &mut say);
        // It ended at least as long ago as everything is kept, and had time to be pruned since.
        if run.gone.is_none() && found.pruned_until.is_some_and(|until| why(until).is_none()) {
            say("is still there".to_owned());
        }
    }
    for (what, left) in left_behind(db) {
        wrong.push(format!("{left} {what} belong to nothing that is there"));
    }
}

/// What goes of the events of a run that is there: all but the last one, long enough after its end.
fn check_history(run: &Run, policy: &Policy, say: &mut impl FnMut(String)) {
    let Some(end) = run.events.last().filter(|event| event.is_run(is_end)) else {
        return if run.events.iter().any(|event| event.gone.is_some()) {
            say("lost events, and has not ended".to_owned());
        };
    };
    for event in &run.events {
        let Some(gone) = event.gone.filter(|gone| run.gone.is_none_or(|run| *gone < run)) else { continue };
        if event.seq == end.seq {
            say(format!("lost its last event {}", event.seq));
        }
        if policy.history.is_none_or(|age| end.at + age.max(LEASE) > gone) {
            say(format!("lost event {} {} us after its end", event.seq, gone - end.at));
        }
    }
    let kept: Vec<_> = run.events.iter().filter(|event| event.gone.is_none()).map(|event| event.seq).collect();
    if run.gone.is_none() && kept.windows(2).any(|pair| pair[1] != pair[0] + 1) {
        say(format!("keeps {kept:?}"));
    }
}

/// Why the run is kept at that time.
fn needed(runs: &BTreeMap<String, Run>, id: &str, policy: &Policy, at: i64) -> Option<&'static str> {
    let run = &runs[id];
    let Some(end) = run.events.last().filter(|event| event.is_run(is_end)) else { return Some("has not ended") };
    if policy.runs.is_none_or(|age| end.at + age.max(LEASE) > at) {
        return Some("has not ended long ago");
    }
    let is_there = |other: &Run| other.events.first().is_some_and(|first| first.at <= at) && other.gone.is_none_or(|gone| gone >= at);
    let later = || {
        runs.range(id.to_owned()..).skip(1).map(|(_, other)| other).filter(|other| other.deployment == run.deployment && is_there(other))
    };
    if later().count() < policy.newest {
        return Some("is one of the newest");
    }
    let has_succeeded = |other: &Run| other.state == "succeeded" && other.events.last().is_some_and(|end| end.at <= at);
    (run.state == "succeeded" && !later().any(has_succeeded)).then_some("is the newest success")
}

fn policies(db: &Connection) -> BTreeMap<String, Policy> {
    let mut select = db.prepare("SELECT id, settings FROM deployments").expect("deployments");
    let read = select.query_map([], |row| {
        let settings: Value = serde_json::from_str(&row.get::<_, String>(1)?).expect("settings in JSON");
        let micros = |key: &str| settings[key].as_i64().map(|seconds| seconds * 1_000_000);
        let newest = settings["run_keep_newest"].as_u64().map_or(usize::MAX, |newest| usize::try_from(newest).expect("a small number"));
        let policy = Policy { runs: micros("run_delete_after_seconds"), newest, history: micros("run_history_delete_after_seconds") };
        Ok((id(row, 0)?, policy))
    });
    read.and_then(Iterator::collect).expect("deployments can be read")
}

/// The runs that last changed what is deployed, and those whose releases are.
fn deployed(db: &Connection) -> (BTreeSet<String>, BTreeSet<String>) {
    let read = |query: &str| -> BTreeSet<String> {
        let mut select = db.prepare(query).expect("deployed services");
        select.query_map([], |row| id(row, 0)).and_then(Iterator::collect).expect("deployed services can be read")
    };
    (read("SELECT run_id FROM deployed_services"), read("SELECT r.run_id FROM deployed_services d JOIN releases r ON r.id = d.release_id"))
}

/// Rows that nothing leads to, and that nobody will ever sweep; and what is missing of what is kept.
fn left_behind(db: &Connection) -> Vec<(&'static str, i64)> {
    let of_nothing = "run_id NOT IN (SELECT id FROM runs) AND run_id NOT IN (SELECT run_id FROM forgotten_runs)";
    let queries = [
        ("steps", format!("SELECT count(*) FROM run_steps WHERE {of_nothing}")),
        ("events", format!("SELECT count(*) FROM run_events WHERE {of_nothing}")),
        ("chunks of logs", format!("SELECT count(*) FROM log_chunks WHERE {of_nothing}")),
        ("request keys", "SELECT count(*) FROM request_keys WHERE run_id NOT IN (SELECT id FROM runs)".to_owned()),
        (
            "plans",
            "SELECT count(*) FROM plans WHERE hash NOT IN (SELECT plan_hash FROM runs UNION SELECT plan_hash FROM releases \
                UNION SELECT plan_hash FROM forgotten_runs)"
                .to_owned(),
        ),
        ("runs without their plan", "SELECT count(*) FROM runs WHERE plan_hash NOT IN (SELECT hash FROM plans)".to_owned()),
        ("releases without their plan", "SELECT count(*) FROM releases WHERE plan_hash NOT IN (SELECT hash FROM plans)".to_owned()),
    ];
    let count = |query: &str| db.query_row(query, [], |row| row.get::<_, i64>(0)).expect("rows can be counted");
    queries.into_iter().map(|(what, query)| (what, count(&query))).filter(|(_, left)| *left > 0).collect()
}
