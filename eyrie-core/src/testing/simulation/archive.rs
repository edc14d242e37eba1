//! Everything that was ever written of runs, copied out of the store after each write. What is gone from the store since is held
//! against what may go.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures_util::FutureExt;

use super::process::LEASE;
use crate::{
    Clock, ManualClock,
    clock::earlier,
    error::{Error, ErrorKind, Result},
    id::{DeploymentId, RunId},
    memory::MemoryStore,
    model::{EventCursor, RetentionPolicy, Run, RunEvent, RunState},
    store::{DeployedServiceFilter, EventStore, PageRequest, ReleaseStore, RunStore},
    testing::{Evidence, Record},
};

/// How much is read at a time.
const READ: u32 = 500;

/// All that was written, and what of it is still kept.
#[derive(Debug)]
pub(super) struct Archive {
    store: MemoryStore,
    clock: ManualClock,
    /// What is kept of runs that have ended; of deployments that say nothing, everything.
    pub(super) policies: BTreeMap<DeploymentId, RetentionPolicy>,
    filed: BTreeMap<RunId, Filed>,
    /// All events in the order of the feed.
    feed: Vec<RunEvent>,
    cursor: EventCursor,
    floor: EventCursor,
    /// How often the floor of the feed has risen.
    pub(super) rises: usize,
}

/// All that was written of one run.
#[derive(Debug)]
pub(super) struct Filed {
    /// As it was after the last event.
    pub(super) record: Record,
    /// The first event that is still kept.
    pub(super) first: u64,
    /// How many events of all runs there were when it was forgotten.
    pub(super) forgotten: Option<usize>,
    /// The place of its first event among those of all runs.
    pub(super) begun: usize,
    /// Which of its events went when the floor of the feed had risen how often.
    gone: Vec<(u64, usize)>,
}

impl Filed {
    pub(super) fn event(&self, seq: u64) -> Option<&RunEvent> {
        self.record.events.get(usize::try_from(seq.checked_sub(1)?).ok()?)
    }

    pub(super) fn last_seq(&self) -> u64 {
        self.record.events.len() as u64
    }

    /// Whether the event is no longer kept; if so, how often the floor of the feed had risen when it went.
    pub(super) fn went(&self, seq: u64) -> Option<usize> {
        self.gone.iter().find(|(last, _)| seq <= *last).map(|(_, rises)| *rises)
    }
}

impl Archive {
    pub(super) fn new(store: MemoryStore, clock: ManualClock) -> Self {
        let (cursor, floor) = (EventCursor::default(), EventCursor::default());
        Self { store, clock, policies: BTreeMap::new(), filed: BTreeMap::new(), feed: Vec::new(), cursor, floor, rises: 0 }
    }

    pub(super) fn get(&self, run: RunId) -> Option<&Filed> {
        self.filed.get(&run)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Filed> {
        self.filed.values()
    }

    pub(super) fn is_forgotten(&self, run: RunId) -> bool {
        self.get(run).is_some_and(|filed| filed.forgotten.is_some())
    }

    /// Everything, as if nothing had ever gone.
    pub(super) fn evidence(&self) -> Evidence {
        Evidence { records: self.all().map(|filed| filed.record.clone()).collect(), feed: self.feed.clone() }
    }

    /// The floor of the feed, by the store.
    pub(super) fn floor(&self) -> EventCursor {
        self.floor
    }

    /// Copies what was written since the last time. Answers what is wrong with it.
    pub(super) fn file(&mut self) -> Result<Vec<String>> {
        let (mut wrong, mut changed) = (Vec::new(), BTreeSet::new());
        loop {
            let items = at_once(self.store.feed(self.cursor, READ))?.items;
            let Some(last) = items.last() else { break };
            self.cursor = last.cursor;
            for event in items.into_iter().map(|item| item.event) {
                changed.insert(event.run_id);
                self.feed.push(event.clone());
                match self.filed.get_mut(&event.run_id) {
                    Some(filed) if filed.forgotten.is_some() => wrong.push(format!("{} came back after it was forgotten", event.run_id)),
                    Some(filed) => filed.record.events.push(event),
                    None => self.open(event)?,
                }
            }
        }
        for run in changed.into_iter().filter(|run| !self.is_forgotten(*run)).collect::<Vec<_>>() {
            let (row, steps) = (at_once(self.store.run(run))?, at_once(self.store.steps(run))?);
            if let Some(filed) = self.filed.get_mut(&run) {
                (filed.record.run, filed.record.steps) = (row, steps);
            }
        }
        Ok(wrong)
    }

    fn open(&mut self, event: RunEvent) -> Result<()> {
        let run = at_once(self.store.run(event.run_id))?;
        let plan = at_once(self.store.plan(run.plan_hash))?;
        let begun = self.feed.len();
        let record = Record { steps: Vec::new(), events: vec![event], plan, run };
        self.filed.insert(record.run.id, Filed { record, first: 1, forgotten: None, begun, gone: Vec::new() });
        Ok(())
    }

    /// Looks for what is gone since the last write. Answers what has happened, and what of it must not have.
    pub(super) fn look_for_losses(&mut self) -> Result<(Vec<String>, Vec<String>)> {
        let (mut said, mut wrong) = (Vec::new(), Vec::new());
        let floor = at_once(self.store.feed(self.cursor, 1))?.floor;
        self.rises += usize::from(floor > self.floor);
        self.floor = floor;
        let mut losses = Vec::new();
        for (id, filed) in self.filed.iter().filter(|(_, filed)| filed.forgotten.is_none()) {
            let first = self.first_kept(*id)?;
            let (what, kept) = match first {
                Some(first) if first == filed.first => continue,
                Some(first) => ("trimmed", self.needs_history(filed, first)),
                None => ("forgotten", self.needs(filed)?),
            };
            said.push(format!("{id} was {what}"));
            wrong.extend(kept.map(|why| format!("{id} was {what} although {why}")));
            losses.push((*id, first));
        }
        for (id, first) in losses {
            let written = self.feed.len();
            if let Some(filed) = self.filed.get_mut(&id) {
                filed.forgotten = first.is_none().then_some(written);
                filed.first = first.unwrap_or(filed.last_seq() + 1);
                filed.gone.push((filed.first - 1, self.rises));
            }
        }
        Ok((said, wrong))
    }

    /// What is kept must be as it was written, with the plans and releases that belong to it; of what is forgotten nothing is left.
    pub(super) fn compare(&self, kept: &Evidence) -> Result<Vec<String>> {
        let records: BTreeMap<RunId, &Record> = kept.records.iter().map(|record| (record.run.id, record)).collect();
        let mut wrong = Vec::new();
        for (id, filed) in &self.filed {
            let written = &filed.record;
            let is_as_written = match records.get(id) {
                None => filed.forgotten.is_some(),
                Some(_) if filed.forgotten.is_some() => false,
                Some(record) => {
                    let behind = written.events.iter().filter(|event| event.seq >= filed.first);
                    (&record.run, &record.steps) == (&written.run, &written.steps) && record.events.iter().eq(behind)
                }
            };
            if !is_as_written {
                wrong.push(format!("{id} is not kept as it was written"));
            }
            if let Some(release) = written.run.release_id {
                let kept = at_once(self.store.release(release)).and_then(|release| at_once(self.store.plan(release.plan_hash)));
                wrong.extend(kept.err().map(|error| format!("the release of {id} is gone: {error}")));
            }
        }
        wrong.extend(records.keys().filter(|id| !self.filed.contains_key(id)).map(|id| format!("{id} was never written")));
        Ok(wrong)
    }

    /// Runs of which something should have gone by now.
    pub(super) fn overdue(&self) -> Result<Vec<RunId>> {
        let mut overdue = Vec::new();
        for (id, filed) in self.filed.iter().filter(|(_, filed)| filed.forgotten.is_none()) {
            let is_long = filed.first < filed.last_seq() && self.needs_history(filed, filed.last_seq()).is_none();
            if is_long || self.needs(filed)?.is_none() {
                overdue.push(*id);
            }
        }
        Ok(overdue)
    }

    /// The first event of the run that is still there; none when the run is gone.
    fn first_kept(&self, run: RunId) -> Result<Option<u64>> {
        if at_once(self.store.run(run)).is_err() {
            return Ok(None);
        }
        match at_once(self.store.run_events(run, 0, 1)) {
            Ok(events) => Ok(Some(events.first().map_or(u64::MAX, |event| event.seq))),
            Err(error) => error.pruned().map(|gone| Some(gone.first)).ok_or(error),
        }
    }

    /// Why the events before this one must not have gone.
    fn needs_history(&self, filed: &Filed, first: u64) -> Option<&'static str> {
        let age = self.policies.get(&filed.record.run.deployment_id).and_then(|policy| policy.history);
        if first > filed.last_seq() {
            return Some("its last event says how it ended");
        }
        self.needs_time(&filed.record.run, age)
    }

    /// Why the run must not have been forgotten.
    fn needs(&self, filed: &Filed) -> Result<Option<&'static str>> {
        let run = &filed.record.run;
        let policy = self.policies.get(&run.deployment_id);
        if let Some(why) = self.needs_time(run, policy.and_then(|policy| policy.runs)) {
            return Ok(Some(why));
        }
        let later = |other: &&Filed| {
            let other = &other.record.run;
            other.deployment_id == run.deployment_id && other.id > run.id
        };
        let later: Vec<&Run> = self.all().filter(|other| other.forgotten.is_none()).filter(later).map(|other| &other.record.run).collect();
        if later.len() < policy.map_or(usize::MAX, |policy| policy.newest as usize) {
            return Ok(Some("it is one of the newest"));
        }
        let is_success = |run: &Run| run.state == RunState::Succeeded;
        if is_success(run) && !later.iter().any(|other| is_success(other) && other.kind == run.kind) {
            return Ok(Some("it is the newest success of its kind"));
        }
        let filter = DeployedServiceFilter { deployment: Some(run.deployment_id), ..DeployedServiceFilter::default() };
        let deployed = at_once(self.store.deployed_services(filter, PageRequest::first(PageRequest::MAX)?))?.items;
        if deployed.iter().any(|service| service.run_id == run.id) {
            return Ok(Some("it last changed what is deployed"));
        }
        if deployed.iter().any(|service| Some(service.release_id) == run.release_id) {
            return Ok(Some("its release is deployed"));
        }
        Ok(None)
    }

    fn needs_time(&self, run: &Run, age: Option<Duration>) -> Option<&'static str> {
        let Some(ended) = run.finished_at.filter(|_| run.state.is_terminal()) else { return Some("it has not ended") };
        let Some(age) = age else { return Some("it is kept for ever") };
        if ended > earlier(self.clock.now(), LEASE) {
            return Some("it ended less than a lease ago");
        }
        (ended > earlier(self.clock.now(), age)).then_some("it ended later than its policy says")
    }
}

/// The answer of the store in memory, which never waits.
pub(super) fn at_once<T>(call: impl Future<Output = Result<T>>) -> Result<T> {
    let slow = || Error::new(ErrorKind::Internal, "simulate", "the store in memory did not answer at once");
    call.now_or_never().ok_or_else(slow)?
}
