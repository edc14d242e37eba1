//! What was said to somebody outside, held against what is recorded.

use std::collections::{BTreeMap, HashMap, HashSet};

use rusqlite::Connection;

use super::{
    Found,
    record::{Event, Run},
    run::{Cancel, is_end},
};

/// Whatever was acknowledged as queued is there, or was there; once, but that a key is good again when its run is forgotten.
pub(super) fn check_acknowledged(
    db: &Connection,
    lines: &[Vec<String>],
    runs: &BTreeMap<String, Run>,
    found: &mut Found,
    wrong: &mut Vec<String>,
) {
    let mut by_key: HashMap<&str, &str> = HashMap::new();
    for line in lines.iter().filter(|line| line[0] == "ack-enqueue") {
        let (key, run) = (line[1].as_str(), line[2].as_str());
        if !runs.contains_key(run) {
            wrong.push(format!("run {run} was acknowledged and is not there"));
        }
        // On a server the second one takes its time and then waits for whoever forgets the first, so that its first event may be older
        // than that. What comes next is not.
        let events = runs.get(run).map_or(&[][..], |run| &run.events[..]);
        let next = events.get(1).or(events.first()).map_or(0, |event| event.at);
        let gone = |before: &str| runs.get(before).and_then(|run| run.gone);
        if let Some(before) = by_key.insert(key, run).filter(|before| *before != run)
            && gone(before).is_none_or(|gone| gone > next)
        {
            wrong.push(format!("key {key} made two runs: {before}, gone {:?}, and {run}, next {next}", gone(before)));
        }
    }
    found.acknowledged = by_key.len();
    let keys: i64 = db.query_row("SELECT count(*) FROM request_keys", [], |row| row.get(0)).expect("keys can be counted");
    let there = runs.values().filter(|run| run.gone.is_none()).count();
    if usize::try_from(keys).ok() != Some(there) {
        wrong.push(format!("{keys} keys made {there} runs"));
    }
}

/// Who asked for which cancel, and was answered.
pub(super) fn cancels(lines: &[Vec<String>]) -> HashMap<&str, Cancel> {
    let mut cancels: HashMap<&str, Cancel> = HashMap::new();
    for line in lines {
        match line[0].as_str() {
            "ask-cancel" => cancels.entry(&line[1]).or_default().asked = true,
            "ack-cancel" => cancels.entry(&line[1]).or_default().acknowledged = true,
            _ => {}
        }
    }
    cancels
}

/// Whatever a subscriber heard is in the record, word for word; and whoever follows one run hears all of it, once, in order, but for
/// what was pruned before, of which it hears where it goes on.
pub(super) fn check_heard(lines: &[Vec<String>], runs: &BTreeMap<String, Run>, found: &mut Found, wrong: &mut Vec<String>) {
    let recorded: HashMap<&str, Vec<String>> =
        runs.iter().map(|(id, run)| (id.as_str(), run.events.iter().map(Event::words).collect())).collect();
    let known: HashSet<(&str, &str)> = recorded.iter().flat_map(|(id, events)| events.iter().map(|words| (*id, words.as_str()))).collect();
    let mut streams: HashMap<(&str, &str), u64> = HashMap::new();
    for line in lines {
        match line[0].as_str() {
            "heard" => {}
            "told" => {
                let (stream, run, first): (_, _, u64) = (line[1].as_str(), line[2].as_str(), line[3].parse().expect("a number"));
                found.told += 1;
                let before = streams.insert((stream, run), first - 1).unwrap_or(0);
                let is_gone = |event: &Event| event.seq <= before || event.seq >= first || event.gone.is_some();
                if first <= before + 1 || !runs.get(run).is_some_and(|run| run.events.iter().all(is_gone)) {
                    wrong.push(format!("{stream} was told that run {run} goes on with {first} after {before}"));
                }
                continue;
            }
            "gone" => {
                if runs.get(&line[2]).is_none_or(|run| run.gone.is_none()) {
                    wrong.push(format!("{} was told that run {} is gone", line[1], line[2]));
                }
                continue;
            }
            _ => continue,
        }
        found.heard += 1;
        let (stream, run, said) = (line[1].as_str(), line[2].as_str(), line[3..].join("\t"));
        if !known.contains(&(run, said.as_str())) {
            wrong.push(format!("was heard and is not recorded: {run} {said}"));
        }
        if stream == "among all" {
            continue;
        }
        let seq: u64 = line[3].parse().expect("a number");
        let before = streams.insert((stream, run), seq).unwrap_or(0);
        if seq != before + 1 {
            wrong.push(format!("{stream} heard {seq} of run {run} after {before}"));
        }
        let is_last = recorded.get(run).is_some_and(|events| events.len() as u64 == seq);
        if line[6] == "run" && is_end(&line[7]) && !is_last {
            wrong.push(format!("{stream} heard {said} of run {run}, which goes on"));
        }
    }
}

/// The start of every body that began is recorded.
pub(super) fn check_begun(lines: &[Vec<String>], runs: &BTreeMap<String, Run>, wrong: &mut Vec<String>) {
    for line in lines {
        let begun = match line[0].as_str() {
            "begin" => "running",
            "undo-begin" => "undoing",
            _ => continue,
        };
        let is_recorded = runs.get(&line[1]).is_some_and(|run| {
            let step = run.steps.iter().find(|step| step.name == line[2]);
            let attempts = step.map(|step| run.of(step.index, |state| state == begun)).unwrap_or_default();
            attempts.iter().any(|event| event.attempt.is_some_and(|attempt| attempt.to_string() == line[3]))
        });
        if !is_recorded {
            wrong.push(format!("{begun} attempt {} of step {} of run {} began and is not recorded", line[3], line[2], line[1]));
        }
    }
}
