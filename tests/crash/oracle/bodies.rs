//! What was really executed, held against what is recorded.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::{Found, Leases, record::Run, run::is_end};

/// A body that has begun: a step's own, or that of its undo.
#[derive(Debug, Clone)]
struct Body<'a> {
    attempt: i64,
    process: &'a str,
    deployment: &'a str,
    key: &'a str,
    /// Empty while it goes on, or when its process was killed.
    how: &'a str,
}

/// A step of a run, and whether it is its undo that is meant.
type Of<'a> = (&'a str, &'a str, bool);

/// What the journal says, line by line.
pub(super) struct Bodies<'a> {
    runs: &'a BTreeMap<String, Run>,
    leases: Leases,
    attempts: BTreeSet<(Of<'a>, i64)>,
    latest: HashMap<Of<'a>, Body<'a>>,
    /// Which attempts ended how.
    ended: HashSet<(Of<'a>, i64, &'a str)>,
    /// The last attempt that has kept something for its undo.
    kept: HashMap<(&'a str, &'a str), i64>,
    killing: HashSet<&'a str>,
    /// Processes that were stopped for longer than their lease, and may not have noticed yet.
    asleep: HashSet<&'a str>,
    last: HashMap<&'a str, &'a str>,
    /// Runs that somebody heard the end of.
    over: HashSet<&'a str>,
}

/// Each attempt at most once, after a durable start, after what it needs; again only after a failure or a kill; never two of a run in
/// two processes, nor of a deployment in two runs; no undo beside a body, and nothing behind the end of a run.
pub(super) fn check_bodies(
    lines: &[Vec<String>],
    runs: &BTreeMap<String, Run>,
    leases: Leases,
    found: &mut Found,
    wrong: &mut Vec<String>,
) {
    let mut bodies = Bodies {
        runs,
        leases,
        attempts: BTreeSet::new(),
        latest: HashMap::new(),
        ended: HashSet::new(),
        kept: HashMap::new(),
        killing: HashSet::new(),
        asleep: HashSet::new(),
        last: HashMap::new(),
        over: HashSet::new(),
    };
    for line in lines {
        let words: Vec<&str> = line.iter().map(String::as_str).collect();
        bodies.take(&words, found, wrong);
    }
    for process in bodies.last.values() {
        *found.by_process.entry((*process).to_owned()).or_default() += 1;
    }
    bodies.compare(wrong);
}

impl<'a> Bodies<'a> {
    fn take(&mut self, words: &[&'a str], found: &mut Found, wrong: &mut Vec<String>) {
        match *words {
            ["killing", process, ..] => {
                self.killing.insert(process);
            }
            ["asleep", process] => {
                found.slept += 1;
                self.asleep.insert(process);
                self.latest.values_mut().filter(|body| body.process == process && body.how.is_empty()).for_each(|body| body.how = "asleep");
            }
            ["awake", process] => {
                self.asleep.remove(process);
            }
            ["killed", ..] => found.kills += 1,
            ["heard", _, run, _, _, _, "run", state, ..] if is_end(state) => {
                self.over.insert(run);
            }
            ["begin", run, step, attempt, process, deployment, key, ..] => {
                let body = Body { attempt: number(attempt), process, deployment, key, how: "" };
                self.begin((run, step, false), body, found, wrong);
            }
            ["undo-begin", run, step, attempt, process, deployment, key, outcome, kept] => {
                found.undos += 1;
                let body = Body { attempt: number(attempt), process, deployment, key, how: "" };
                self.begin((run, step, true), body, found, wrong);
                self.check_known((run, step), number(attempt), outcome, kept, wrong);
            }
            ["kept", run, step, attempt, ..] => {
                self.kept.insert((run, step), number(attempt));
            }
            ["end", run, step, attempt, process, how] => self.end((run, step, false), number(attempt), process, how, wrong),
            ["undo-end", run, step, attempt, process, how] => self.end((run, step, true), number(attempt), process, how, wrong),
            ["stopped", run, step, attempt, process, ..] => self.end((run, step, false), number(attempt), process, "stopped", wrong),
            ["undo-stopped", run, step, attempt, process, ..] => self.end((run, step, true), number(attempt), process, "stopped", wrong),
            _ => {}
        }
    }

    fn begin(&mut self, of: Of<'a>, body: Body<'a>, found: &mut Found, wrong: &mut Vec<String>) {
        let ((run, step, is_undo), attempt) = (of, body.attempt);
        let what = if is_undo { "undo" } else { "attempt" };
        let body = if self.asleep.contains(body.process) { Body { how: "asleep", ..body } } else { body };
        let mut say = |fault: String| wrong.push(format!("run {run} step {step} {what} {attempt} in {}: {fault}", body.process));
        self.last.insert(run, body.process);
        if !self.attempts.insert((of, attempt)) {
            say("was executed twice".to_owned());
        }
        if body.how == "asleep" {
            // If another has begun it since, it is stopped as soon as its process notices.
            if self.latest.get(&of).is_some_and(|before| before.attempt > attempt) {
                found.zombies += 1;
            } else {
                self.latest.insert(of, body);
            }
            return;
        }
        if self.over.contains(run) && !self.killing.contains(body.process) {
            say("began after the end of its run".to_owned());
        }
        if let Some(before) = self.latest.get(&of) {
            if before.key != body.key {
                say(format!("has the key {}, before it was {}", body.key, before.key));
            }
            let was_killed = self.killing.contains(before.process);
            match before.how {
                "failed" => {}
                "asleep" => {
                    found.again += 1;
                    found.in_flight += 1;
                }
                // A process that loses its lease stops its bodies.
                "stopped" if !was_killed => {}
                "ok" if was_killed || self.leases == Leases::Lost => {
                    found.again += 1;
                    found.unrecorded += 1;
                }
                _ if was_killed => {
                    found.again += 1;
                    found.in_flight += 1;
                }
                _ => say(format!("although {before:?} was alive")),
            }
        }
        for ((other_run, other_step, other_undo), other) in &self.latest {
            if !other.how.is_empty() || self.killing.contains(other.process) {
                continue;
            }
            if *other_run == run && other.process != body.process {
                say(format!("while {other_step} ran in {}", other.process));
            }
            if *other_run == run && *other_undo != is_undo {
                say(format!("while the {} of {other_step} ran", if *other_undo { "undo" } else { "body" }));
            }
            if other.deployment == body.deployment && *other_run != run {
                say(format!("the deployment was in use by run {other_run}"));
            }
        }
        self.check_before(of, &mut say);
        self.latest.insert(of, body);
    }

    /// What a body needs has succeeded or was skipped; what needs a step that is undone has been undone.
    fn check_before(&self, (run, step, is_undo): Of<'a>, say: &mut impl FnMut(String)) {
        let Some(known) = self.runs.get(run) else { return say("is of a run that is not recorded".to_owned()) };
        let Some(place) = known.steps.iter().position(|known| known.name == step) else { return };
        let is_done = |other: &str, undo: bool| self.latest.get(&(run, other, undo)).is_some_and(|body| body.how == "ok");
        if is_undo {
            for later in known.downstream(place).into_iter().map(|later| &known.steps[later]) {
                if later.has_undo && known.began(later) && !is_done(&later.name, true) {
                    say(format!("before {} was undone", later.name));
                }
            }
        } else {
            for need in known.steps[place].needs.iter().map(|need| &known.steps[*need]) {
                if need.state != "skipped" && !is_done(&need.name, false) {
                    say(format!("before {} had ended", need.name));
                }
            }
        }
    }

    /// An undo is told how its step ended, and what that has kept.
    fn check_known(&self, (run, step): (&'a str, &'a str), attempt: i64, outcome: &str, kept: &str, wrong: &mut Vec<String>) {
        let Some(known) = self.runs.get(run) else { return };
        let Some(of) = known.steps.iter().find(|known| known.name == step) else { return };
        let recorded = known.of(of.index, |state| state == "succeeded").first().and_then(|event| event.attempt);
        let expected = recorded.map_or("unknown".to_owned(), |attempt| attempt.to_string());
        if outcome != expected {
            wrong.push(format!("run {run} step {step} undo {attempt}: was told {outcome}, recorded is {expected}"));
        }
        let told = kept.parse().unwrap_or(0);
        let least = self.kept.get(&(run, step)).copied().unwrap_or(0);
        if told < least || told >= attempt {
            wrong.push(format!("run {run} step {step} undo {attempt}: {least} was kept, it was told {kept}"));
        }
    }

    fn end(&mut self, of: Of<'a>, attempt: i64, process: &'a str, how: &'a str, wrong: &mut Vec<String>) {
        let (run, step, _) = of;
        if self.over.contains(run) && !self.killing.contains(process) && !self.asleep.contains(process) {
            wrong.push(format!("run {run} step {step} attempt {attempt} in {process}: {how} after the end of its run"));
        }
        self.ended.insert((of, attempt, how));
        if let Some(body) = self.latest.get_mut(&of).filter(|body| body.process == process && body.attempt == attempt) {
            body.how = how;
        }
    }

    /// Nothing was executed that is not recorded, and what is recorded as done was.
    fn compare(&self, wrong: &mut Vec<String>) {
        for (id, run) in self.runs {
            for step in run.steps.iter().filter(|step| matches!(step.action.as_str(), "work" | "hold")) {
                for (is_undo, begun, ends) in
                    [(false, "running", [("succeeded", "ok"), ("failed", "failed")]), (true, "undoing", [("undone", "ok"), ("", "")])]
                {
                    let of = (id.as_str(), step.name.as_str(), is_undo);
                    let recorded: BTreeSet<_> =
                        run.of(step.index, |state| state == begun).iter().filter_map(|event| event.attempt).collect();
                    let bodies = self.attempts.range((of, i64::MIN)..=(of, i64::MAX));
                    for (_, attempt) in bodies.filter(|(_, attempt)| !recorded.contains(attempt)) {
                        wrong.push(format!("run {id} step {} attempt {attempt} (undo: {is_undo}) began without a record", step.name));
                    }
                    for (state, how) in ends {
                        for attempt in run.of(step.index, |other| other == state).iter().filter_map(|event| event.attempt) {
                            if !self.ended.contains(&(of, attempt, how)) {
                                wrong.push(format!(
                                    "run {id} step {} is {state} in attempt {attempt}, whose body did not end so",
                                    step.name
                                ));
                            }
                        }
                    }
                }
            }
        }
    }
}

fn number(text: &str) -> i64 {
    text.parse().expect("a number")
}
