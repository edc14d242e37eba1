//! Those who follow runs, and what they must hear: every event that is kept, once, in order and as it was written; and of those that
//! are gone, once, where it goes on.

use std::collections::BTreeSet;

use super::{archive::Filed, outside::State};
use crate::{
    id::RunId,
    model::{EventCursor, RunEvent},
    store::FeedItem,
};

/// Somebody who follows one run, in one process after the other.
#[derive(Debug)]
pub(super) struct Follower {
    pub(super) run: RunId,
    /// The last event that it heard, or was told to be gone.
    pub(super) seq: u64,
    /// It heard that the run is no longer there.
    pub(super) gave_up: bool,
}

/// Somebody who follows all runs, in one process after the other.
#[derive(Debug, Default)]
pub(super) struct FeedFollower {
    pub(super) heard: BTreeSet<(RunId, u64)>,
    pub(super) cursor: EventCursor,
    /// How often the floor had risen when it was last told that something is gone.
    told: Option<usize>,
}

/// One stream of the feed.
#[derive(Debug, Clone, Copy)]
pub(super) struct FeedStream {
    /// Whose it is.
    place: usize,
    /// How often the floor had risen when it began.
    rises: usize,
    /// How often it has said that something is gone.
    told: usize,
    /// It has to, before it goes on.
    owes: bool,
}

impl State {
    /// Somebody else follows the run from behind that event. Answers with its place.
    pub(super) fn add_follower(&mut self, run: RunId, behind: u64) -> usize {
        self.followers.push(Follower { run, seq: behind, gave_up: false });
        self.followers.len() - 1
    }

    pub(super) fn hears(&mut self, place: usize, event: &RunEvent) {
        let Some(follower) = self.followers.get_mut(place) else { return };
        let (run, before) = (follower.run, follower.seq);
        follower.seq = event.seq;
        if event.seq != before + 1 {
            self.fault(format!("{run}: a follower heard {} after {before}", event.seq));
        }
        if self.archive.get(run).and_then(|filed| filed.event(event.seq)) != Some(event) {
            self.fault(format!("{run}: a follower heard {event:?}, which was not written"));
        }
    }

    /// Events before `first` are gone, it is said.
    pub(super) fn is_told(&mut self, place: usize, first: u64) {
        let Some(follower) = self.followers.get_mut(place) else { return };
        let (run, before) = (follower.run, follower.seq);
        follower.seq = first.saturating_sub(1);
        self.say(format!("{run}: a follower hears that {} to {} are gone", before + 1, first.saturating_sub(1)));
        if first <= before + 1 {
            self.fault(format!("{run}: a follower that had heard {before} was told that it goes on with {first}"));
        }
        if self.archive.get(run).is_none_or(|filed| filed.first < first) {
            self.fault(format!("{run}: a follower was told that what is before {first} is gone, and it is not"));
        }
    }

    /// The run is not there, it is said.
    pub(super) fn gives_up(&mut self, place: usize) {
        let Some(follower) = self.followers.get_mut(place) else { return };
        follower.gave_up = true;
        let (run, before) = (follower.run, follower.seq);
        self.say(format!("{run}: a follower that had heard {before} hears that the run is gone"));
        if !self.archive.is_forgotten(run) {
            self.fault(format!("{run}: a follower was told that the run is not there"));
        }
    }

    /// The follower of all runs at that place goes on from where it is.
    pub(super) fn begin_feed(&self, place: usize) -> (EventCursor, FeedStream) {
        let cursor = self.feeds.get(place).map_or_else(EventCursor::default, |feed| feed.cursor);
        (cursor, FeedStream { place, rises: self.archive.rises, told: 0, owes: cursor < self.archive.floor() })
    }

    pub(super) fn feed_hears(&mut self, stream: FeedStream, item: &FeedItem) {
        if let Some(feed) = self.feeds.get_mut(stream.place) {
            feed.heard.insert((item.event.run_id, item.event.seq));
            feed.cursor = item.cursor;
        }
        if stream.owes {
            self.fault("the follower of all runs was not told that something is gone".to_owned());
        }
    }

    /// Something behind the cursor is gone, it is said.
    pub(super) fn feed_is_told(&mut self, stream: &mut FeedStream) {
        stream.told += 1;
        stream.owes = false;
        let rises = self.archive.rises;
        self.say("the follower of all runs hears that something is gone");
        let Some(feed) = self.feeds.get_mut(stream.place) else { return };
        feed.told = Some(rises);
        if self.archive.floor() <= feed.cursor {
            self.fault("the follower of all runs was told that something is gone that it had heard".to_owned());
        }
        if stream.told > rises - stream.rises + 1 {
            self.fault("the follower of all runs was told twice of the same".to_owned());
        }
    }

    /// Whether everybody has heard all that they can.
    pub(super) fn is_everything_told(&self) -> bool {
        let is_told = |follower: &Follower| match self.archive.get(follower.run) {
            Some(filed) => follower.seq >= filed.last_seq() || (filed.forgotten.is_some() && follower.gave_up),
            None => false,
        };
        self.followers.iter().all(is_told) && self.feeds.iter().all(|feed| self.missed_by(feed).next().is_none())
    }

    /// Events that are kept, or went without a word, and were not heard by this follower of all runs.
    fn missed_by(&self, feed: &FeedFollower) -> impl Iterator<Item = (RunId, u64)> {
        let events = self.archive.all().flat_map(|filed| filed.record.events.iter().map(move |event| (filed, event)));
        events.filter_map(|(filed, event)| {
            let was_told = filed.went(event.seq).is_some_and(|rises| feed.told.is_some_and(|told| told >= rises));
            let key = (event.run_id, event.seq);
            (!was_told && !feed.heard.contains(&key)).then_some(key)
        })
    }

    /// What somebody did not hear.
    pub(super) fn unheard(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for Follower { run, seq, gave_up } in &self.followers {
            let last = self.archive.get(*run).map_or(0, Filed::last_seq);
            if !(*seq == last || (*gave_up && self.archive.is_forgotten(*run))) {
                faults.push(format!("{run}: a follower heard up to {seq} of {last}"));
            }
        }
        let missed = self.feeds.iter().flat_map(|feed| self.missed_by(feed));
        faults.extend(missed.map(|(run, seq)| format!("{run} at {seq}: missed by the feed")));
        faults
    }
}
