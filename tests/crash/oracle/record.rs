//! What the database says, read without a word of the store's own code.

use std::collections::BTreeMap;

use rusqlite::{Connection, Row};
use serde_json::Value;
use uuid::Uuid;

use super::{
    super::{journal::words, plans::Manners},
    pruned::is_watched,
};

/// One row of the event log.
#[derive(Debug)]
pub(super) struct Event {
    pub position: i64,
    pub seq: u64,
    pub at: i64,
    pub epoch: u64,
    pub kind: String,
    pub state: String,
    pub step: Option<i64>,
    pub name: String,
    pub is_reported: bool,
    pub attempt: Option<i64>,
    pub message: String,
    /// When it was deleted.
    pub gone: Option<i64>,
}

impl Event {
    /// As a subscriber writes it down.
    pub fn words(&self) -> String {
        let Self { seq, at, epoch, kind, state, step, name, attempt, message, .. } = self;
        words(*seq, *at, *epoch, kind, state, *step, name, *attempt, message)
    }

    pub fn is_run(&self, fits: impl Fn(&str) -> bool) -> bool {
        self.kind == "run" && fits(&self.state)
    }
}

/// A planned step: its row, and what the plan says of it.
#[derive(Debug)]
pub(super) struct Step {
    pub index: i64,
    pub name: String,
    pub state: String,
    pub attempt: i64,
    pub action: String,
    /// The places of what it needs.
    pub needs: Vec<usize>,
    pub has_undo: bool,
    pub when: Option<Value>,
    pub output: Option<Value>,
    pub manners: Manners,
}

/// A run with all that belongs to it.
#[derive(Debug)]
pub(super) struct Run {
    pub deployment: String,
    pub state: String,
    pub epoch: i64,
    pub last_seq: i64,
    pub undoes_failures: bool,
    pub undoes_cancels: bool,
    /// How many steps the plan has.
    pub planned: usize,
    pub steps: Vec<Step>,
    pub events: Vec<Event>,
    /// When it was deleted.
    pub gone: Option<i64>,
}

impl Run {
    /// The events of a planned step in one of these states.
    pub fn of(&self, step: i64, fits: impl Fn(&str) -> bool) -> Vec<&Event> {
        let planned = |event: &&Event| event.kind == "step" && !event.is_reported && event.step == Some(step) && fits(&event.state);
        self.events.iter().filter(planned).collect()
    }

    /// Whether the step ever began.
    pub fn began(&self, step: &Step) -> bool {
        !self.of(step.index, |state| state == "running").is_empty()
    }

    /// The places of all that needs the step at this place, directly or through others.
    pub fn downstream(&self, place: usize) -> Vec<usize> {
        let mut found = vec![place];
        // A step stands behind all that it needs.
        for later in 0..self.steps.len() {
            if later != place && self.steps[later].needs.iter().any(|need| found.contains(need)) {
                found.push(later);
            }
        }
        found.remove(0);
        found
    }
}

pub(super) fn id(row: &Row<'_>, column: usize) -> rusqlite::Result<String> {
    let bytes: Vec<u8> = row.get(column)?;
    Ok(Uuid::from_slice(&bytes).expect("an id").to_string())
}

/// The rows of a table, with those that were deleted if a copy was kept; the last column says when.
fn all(db: &Connection, table: &str, columns: &str) -> String {
    let kept = format!("SELECT {columns}, NULL AS gone_at FROM {table}");
    if is_watched(db) { format!("({kept} UNION ALL SELECT {columns}, gone_at FROM gone_{table})") } else { format!("({kept})") }
}

/// All runs by their ids.
pub(super) fn read(db: &Connection) -> rusqlite::Result<BTreeMap<String, Run>> {
    let mut runs = BTreeMap::new();
    let mut plans: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let mut select = db.prepare(&format!(
        "SELECT r.id, r.deployment_id, r.state, r.epoch, r.last_seq, (SELECT p.json FROM {} p WHERE p.hash = r.plan_hash), r.gone_at FROM {} r",
        all(db, "plans", "hash, json"),
        all(db, "runs", "id, deployment_id, state, epoch, last_seq, plan_hash"),
    ))?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let plan: Value = serde_json::from_str(&row.get::<_, String>(5)?).expect("a plan in JSON");
        let steps = plan["steps"].as_array().expect("a plan has steps");
        let run = Run {
            deployment: id(row, 1)?,
            state: row.get(2)?,
            epoch: row.get(3)?,
            last_seq: row.get(4)?,
            undoes_failures: plan["on_failure"] == "undo",
            undoes_cancels: plan["on_cancel"] == "undo",
            planned: steps.len(),
            steps: vec![],
            events: vec![],
            gone: row.get(6)?,
        };
        plans.insert(id(row, 0)?, steps.clone());
        runs.insert(id(row, 0)?, run);
    }
    let steps = all(db, "run_steps", "run_id, idx, name, state, attempt, parent, output");
    let mut select =
        db.prepare(&format!("SELECT run_id, idx, name, state, attempt, output FROM {steps} WHERE parent IS NULL ORDER BY 1, 2"))?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let of = id(row, 0)?;
        let run = runs.get_mut(&of).expect("a step belongs to a run");
        let (plan, place) = (&plans[&of], run.steps.len());
        let place_of = |name: &Value| plan.iter().position(|step| step["name"] == *name).expect("a step of the plan");
        let planned = &plan[place];
        run.steps.push(Step {
            index: row.get(1)?,
            name: row.get(2)?,
            state: row.get(3)?,
            attempt: row.get(4)?,
            action: planned["action"].as_str().unwrap_or_default().to_owned(),
            needs: planned["needs"].as_array().into_iter().flatten().map(place_of).collect(),
            has_undo: planned.get("undo").is_some(),
            when: planned.get("when").cloned(),
            output: row.get::<_, Option<String>>(5)?.map(|json| serde_json::from_str(&json).expect("an output in JSON")),
            manners: serde_json::from_value(planned["parameters"].clone()).unwrap_or_default(),
        });
    }
    let columns = "run_id, position, seq, at, epoch, kind, state, step, name, parent, attempt, message";
    let mut select = db.prepare(&format!("SELECT {columns}, gone_at FROM {} ORDER BY run_id, seq", all(db, "run_events", columns)))?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
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
            gone: row.get(12)?,
        };
        runs.get_mut(&id(row, 0)?).expect("an event belongs to a run").events.push(event);
    }
    Ok(runs)
}
