//! Reads the database in its own words and holds it against the journal.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fmt,
};

use eyrie_tests::crash::journal::words;
use rusqlite::Connection;
use serde_json::Value;
use uuid::Uuid;

use super::Field;

/// What was found in order.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) runs: usize,
    pub(super) steps: usize,
    /// Of all planned steps together.
    pub(super) attempts: i64,
    pub(super) acknowledged: usize,
    pub(super) heard: usize,
    /// Bodies begun again although the one before had not failed.
    pub(super) again: usize,
    /// Bodies that had begun and not ended when their process was killed.
    pub(super) in_flight: usize,
    /// Bodies that had ended, but whose process was killed (or lost its lease) before that was recorded.
    pub(super) unrecorded: usize,
    pub(super) takeovers: i64,
    /// How many runs each process ended.
    pub(super) by_process: BTreeMap<String, usize>,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { runs, steps, attempts, acknowledged, heard, again, in_flight, unrecorded, takeovers, .. } = self;
        write!(
            f,
            "{runs} runs ({acknowledged} acknowledged), {steps} steps in {attempts} attempts, {heard} events heard, {takeovers} takeovers, "
        )?;
        write!(f, "{again} executed again ({in_flight} in flight, {unrecorded} ended but unrecorded)")
    }
}

struct Event {
    position: i64,
    seq: u64,
    at: i64,
    epoch: u64,
    kind: String,
    state: String,
    step: Option<i64>,
    name: String,
    is_reported: bool,
    attempt: Option<i64>,
    message: String,
}

struct Step {
    index: i64,
    name: String,
    state: String,
    attempt: i64,
}

struct Run {
    deployment: String,
    state: String,
    epoch: i64,
    last_seq: i64,
    /// Per planned step: its action and the places of what it needs.
    plan: Vec<(String, Vec<i64>)>,
    steps: Vec<Step>,
    events: Vec<Event>,
}

/// Checks everything and panics with all that is wrong.
pub(super) fn judge(field: &Field) -> Found {
    judge_with(field, Leases::Kept)
}

/// Whether a process that lives may have lost its lease, so that a body which ended unrecorded is executed again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leases {
    Kept,
    Lost,
}

/// Like [`judge`], where leases may have been lost.
pub(super) fn judge_with(field: &Field, leases: Leases) -> Found {
    let db = field.open();
    let (mut wrong, mut found) = (Vec::new(), Found::default());
    let integrity: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    if integrity != "ok" {
        wrong.push(format!("integrity: {integrity}"));
    }
    let runs = read(&db);
    for (id, run) in &runs {
        let mut say = |what: String| wrong.push(format!("run {id}: {what}"));
        check_run(run, &mut say);
        found.steps += run.steps.len();
        found.attempts += run.steps.iter().map(|step| step.attempt).sum::<i64>();
        found.takeovers += run.epoch - 1;
    }
    found.runs = runs.len();
    check_serial(&runs, &mut wrong);
    let lines = field.journal.lines();
    check_acknowledged(&db, &lines, &runs, &mut found, &mut wrong);
    check_heard(&lines, &runs, &mut found, &mut wrong);
    check_bodies(&lines, &runs, leases, &mut found, &mut wrong);
    let shown = wrong.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
    assert!(wrong.is_empty(), "seed {}: {} things are wrong; {found}:\n{shown}", field.seed, wrong.len());
    found
}

fn id(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<String> {
    let bytes: Vec<u8> = row.get(column)?;
    Ok(Uuid::from_slice(&bytes).unwrap().to_string())
}

fn read(db: &Connection) -> BTreeMap<String, Run> {
    let mut runs = BTreeMap::new();
    let mut select = db
        .prepare("SELECT r.id, r.deployment_id, r.state, r.epoch, r.last_seq, p.json FROM runs r JOIN plans p ON p.hash = r.plan_hash")
        .unwrap();
    let rows = select.query_map([], |row| {
        let (deployment, plan) = (id(row, 1)?, read_plan(&row.get::<_, String>(5)?));
        let run = Run { deployment, state: row.get(2)?, epoch: row.get(3)?, last_seq: row.get(4)?, plan, steps: vec![], events: vec![] };
        Ok((id(row, 0)?, run))
    });
    runs.extend(rows.unwrap().map(Result::unwrap));
    let mut select =
        db.prepare("SELECT run_id, idx, name, state, attempt FROM run_steps WHERE parent IS NULL ORDER BY run_id, idx").unwrap();
    let rows = select
        .query_map([], |row| Ok((id(row, 0)?, Step { index: row.get(1)?, name: row.get(2)?, state: row.get(3)?, attempt: row.get(4)? })));
    for (run, step) in rows.unwrap().map(Result::unwrap) {
        runs.get_mut(&run).expect("a step belongs to a run").steps.push(step);
    }
    let mut select = db
        .prepare(
            "SELECT run_id, position, seq, at, epoch, kind, state, step, name, parent, attempt, message FROM run_events ORDER BY position",
        )
        .unwrap();
    let rows = select.query_map([], |row| {
        let event = Event {
            position: row.get(1)?,
            seq: row.get::<_, i64>(2)?.cast_unsigned(),
            at: row.get(3)?,
            epoch: row.get::<_, i64>(4)?.cast_unsigned(),
            kind: row.get(5)?,
            state: row.get::<_, Option<String>>(6)?.unwrap_or_default(),
            step: row.get(7)?,
            name: row.get::<_, Option<String>>(8)?.unwrap_or_default(),
            is_reported: row.get::<_, Option<i64>>(9)?.is_some(),
            attempt: row.get(10)?,
            message: row.get(11)?,
        };
        Ok((id(row, 0)?, event))
    });
    for (run, event) in rows.unwrap().map(Result::unwrap) {
        runs.get_mut(&run).expect("an event belongs to a run").events.push(event);
    }
    runs
}

fn read_plan(json: &str) -> Vec<(String, Vec<i64>)> {
    let plan: Value = serde_json::from_str(json).unwrap();
    let steps = plan["steps"].as_array().unwrap();
    let place = |name: &Value| steps.iter().position(|step| step["name"] == *name).and_then(|place| i64::try_from(place).ok()).unwrap();
    let needs = |step: &Value| step["needs"].as_array().into_iter().flatten().map(place).collect();
    steps.iter().map(|step| (step["action"].as_str().unwrap().to_owned(), needs(step))).collect()
}

fn is_terminal(state: &str) -> bool {
    matches!(state, "succeeded" | "failed" | "skipped" | "cancelled" | "undone")
}

/// What a run's own record must be.
fn check_run(run: &Run, say: &mut impl FnMut(String)) {
    if run.state != "succeeded" {
        say(format!("is {}", run.state));
    }
    let seqs: Vec<_> = run.events.iter().map(|event| event.seq).collect();
    if seqs != (1..=run.last_seq.cast_unsigned()).collect::<Vec<_>>() {
        say(format!("its events are {seqs:?}, its last is {}", run.last_seq));
    }
    if run.events.windows(2).any(|pair| pair[1].epoch < pair[0].epoch)
        || run.events.last().map(|event| event.epoch) != Some(run.epoch.cast_unsigned())
    {
        say("its epochs go back".to_owned());
    }
    let ends: Vec<_> = run.events.iter().filter(|event| event.kind == "run" && is_terminal(&event.state)).map(|event| event.seq).collect();
    if ends != [run.last_seq.cast_unsigned()] {
        say(format!("ends at {ends:?}"));
    }
    if run.steps.len() != run.plan.len() {
        say(format!("has {} planned steps of {}", run.steps.len(), run.plan.len()));
    }
    let of = |step: i64, state: &str| -> Vec<&Event> {
        let planned = |event: &&Event| event.kind == "step" && !event.is_reported && event.step == Some(step) && event.state == state;
        run.events.iter().filter(planned).collect()
    };
    for (step, (_, needs)) in run.steps.iter().zip(&run.plan) {
        let (begun, done) = (of(step.index, "running"), of(step.index, "succeeded"));
        if step.state != "succeeded" || done.len() != 1 {
            say(format!("step {} is {} and succeeded {} times", step.name, step.state, done.len()));
        }
        let terminal = run
            .events
            .iter()
            .filter(|event| event.kind == "step" && !event.is_reported && event.step == Some(step.index) && is_terminal(&event.state));
        if terminal.count() != 1 {
            say(format!("step {} ended more than once", step.name));
        }
        let attempts: Vec<_> = begun.iter().filter_map(|event| event.attempt).collect();
        if attempts != (1..=step.attempt).collect::<Vec<_>>() {
            say(format!("step {} began {attempts:?} and counts {}", step.name, step.attempt));
        }
        let first = begun.first().map_or(0, |event| event.seq);
        if done.iter().any(|done| begun.iter().any(|begun| begun.seq > done.seq)) {
            say(format!("step {} began again after it had succeeded", step.name));
        }
        for need in needs {
            if of(*need, "succeeded").first().is_none_or(|need| need.seq >= first) {
                say(format!("step {} began before step {need} had succeeded", step.name));
            }
        }
    }
}

/// Of each deployment at most one run is under way, by the order of all events.
fn check_serial(runs: &BTreeMap<String, Run>, wrong: &mut Vec<String>) {
    let mut spans: BTreeMap<&str, Vec<(i64, i64)>> = BTreeMap::new();
    for run in runs.values() {
        let first = run.events.iter().find(|event| event.kind == "run" && event.state == "running");
        let last = run.events.iter().rfind(|event| event.kind == "run" && is_terminal(&event.state));
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

/// Whatever was acknowledged as queued is there, once.
fn check_acknowledged(db: &Connection, lines: &[Vec<String>], runs: &BTreeMap<String, Run>, found: &mut Found, wrong: &mut Vec<String>) {
    let mut by_key: HashMap<&str, &str> = HashMap::new();
    for line in lines.iter().filter(|line| line[0] == "ack-enqueue") {
        let (key, run) = (line[1].as_str(), line[2].as_str());
        if !runs.contains_key(run) {
            wrong.push(format!("run {run} was acknowledged and is not there"));
        }
        if by_key.insert(key, run).is_some_and(|before| before != run) {
            wrong.push(format!("key {key} made two runs"));
        }
    }
    found.acknowledged = by_key.len();
    let keys: i64 = db.query_row("SELECT count(*) FROM request_keys", [], |row| row.get(0)).unwrap();
    if usize::try_from(keys).ok() != Some(runs.len()) {
        wrong.push(format!("{keys} keys made {} runs", runs.len()));
    }
}

/// Whatever a subscriber heard is in the record, word for word.
fn check_heard(lines: &[Vec<String>], runs: &BTreeMap<String, Run>, found: &mut Found, wrong: &mut Vec<String>) {
    let mut recorded = HashSet::new();
    for (id, run) in runs {
        for event in &run.events {
            let Event { seq, at, epoch, kind, state, step, name, attempt, message, .. } = event;
            recorded.insert(format!("{id}\t{}", words(*seq, *at, *epoch, kind, state, *step, name, *attempt, message)));
        }
    }
    for line in lines.iter().filter(|line| line[0] == "heard") {
        found.heard += 1;
        let said = line[1..].join("\t");
        if !recorded.contains(&said) {
            wrong.push(format!("was heard and is not recorded: {said}"));
        }
    }
}

/// A body that has begun and not ended, or whose end may not be recorded.
#[derive(Debug, Clone)]
struct Body<'a> {
    process: &'a str,
    run: &'a str,
    deployment: &'a str,
    how: &'a str,
}

/// Bodies: each attempt at most once, after a durable start, after what it needs; again only after a failure or a kill; and never
/// two of a run in two processes, nor of a deployment in two runs.
fn check_bodies<'a>(lines: &'a [Vec<String>], runs: &BTreeMap<String, Run>, leases: Leases, found: &mut Found, wrong: &mut Vec<String>) {
    let mut attempts: BTreeSet<(&str, &str, i64)> = BTreeSet::new();
    let mut latest: HashMap<(&str, &str), Body<'a>> = HashMap::new();
    let mut done: HashSet<(&str, &str)> = HashSet::new();
    let mut killing: HashSet<&str> = HashSet::new();
    let mut last: HashMap<&str, &str> = HashMap::new();
    for line in lines {
        let words: Vec<&str> = line.iter().map(String::as_str).collect();
        match words[..] {
            ["killing", process] => {
                killing.insert(process);
            }
            ["begin", run, step, attempt, process, deployment, ..] => {
                let attempt: i64 = attempt.parse().unwrap();
                let mut say = |what: String| wrong.push(format!("run {run} step {step} attempt {attempt} in {process}: {what}"));
                last.insert(run, process);
                if !attempts.insert((run, step, attempt)) {
                    say("was executed twice".to_owned());
                }
                match latest.get(&(run, step)) {
                    Some(before) if killing.contains(before.process) && before.how != "failed" => {
                        found.again += 1;
                        if before.how == "ok" { found.unrecorded += 1 } else { found.in_flight += 1 }
                    }
                    Some(before) if matches!(before.how, "failed" | "stopped") => {}
                    Some(before) if leases == Leases::Lost && before.how == "ok" => {
                        found.again += 1;
                        found.unrecorded += 1;
                    }
                    Some(before) => say(format!("although {before:?} was alive")),
                    None => {}
                }
                for other in latest.values().filter(|other| other.how.is_empty() && !killing.contains(other.process)) {
                    if other.run == run && other.process != process {
                        say(format!("while {other:?}"));
                    }
                    if other.deployment == deployment && other.run != run {
                        say(format!("the deployment was in use: {other:?}"));
                    }
                }
                if let Some(known) = runs.get(run)
                    && let Some(place) = known.steps.iter().position(|known| known.name == step)
                {
                    let needs = known.plan[place].1.iter().map(|need| &known.steps[usize::try_from(*need).unwrap()].name);
                    for need in needs.filter(|need| !done.contains(&(run, need.as_str()))) {
                        say(format!("began before {need} had ended"));
                    }
                }
                latest.insert((run, step), Body { process, run, deployment, how: "" });
            }
            ["end", run, step, _, process, how] => {
                if let Some(body) = latest.get_mut(&(run, step)).filter(|body| body.process == process) {
                    body.how = how;
                }
                if how == "ok" {
                    done.insert((run, step));
                }
            }
            ["stopped", run, step, _, process] => {
                if let Some(body) = latest.get_mut(&(run, step)).filter(|body| body.process == process) {
                    body.how = "stopped";
                }
            }
            _ => {}
        }
    }
    for process in last.values() {
        *found.by_process.entry((*process).to_owned()).or_default() += 1;
    }
    for (id, run) in runs {
        for (step, (action, _)) in run.steps.iter().zip(&run.plan).filter(|(_, (action, _))| matches!(action.as_str(), "work" | "hold")) {
            let begun: Vec<_> =
                attempts.range((id.as_str(), step.name.as_str(), i64::MIN)..=(id, &step.name, i64::MAX)).map(|body| body.2).collect();
            if begun.iter().any(|attempt| *attempt > step.attempt)
                || begun.last() != Some(&step.attempt)
                || !done.contains(&(id.as_str(), step.name.as_str()))
            {
                wrong.push(format!("run {id} step {} ({action}): bodies {begun:?}, recorded attempt {}", step.name, step.attempt));
            }
        }
    }
}
