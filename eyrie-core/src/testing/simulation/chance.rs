//! What happens by chance: processes die, stand still and leave, the store goes away, and people want things.

use std::{sync::Arc, time::Duration};

use super::{
    archive::at_once,
    people::{self, Wish},
    world::{World, awake, runs},
};
use crate::{id::RunId, model::RunState, store::RunStore, testing::CrashPoint};

impl World {
    /// One thing happens.
    pub(super) fn something_happens(&mut self) {
        let now = self.now();
        let place = usize::try_from(self.rng.below(self.places.len() as u64)).unwrap_or(0);
        match self.rng.below(14) {
            0 => {
                if let Some(process) = &self.places[place].process {
                    self.outside.say(format!("p{} is killed", process.id));
                    self.bury(place);
                }
            }
            1..=4 => {
                let point = *self.rng.pick(CrashPoint::ALL).unwrap_or(&CrashPoint::AfterFinish);
                let times = u32::try_from(self.rng.between(1, 3)).unwrap_or(1);
                if let Some(process) = &self.places[place].process
                    && let Some(health) = self.outside.state().processes.get_mut(&process.id)
                {
                    health.armed = Some((point, times));
                }
            }
            5 => {
                let until = now + Duration::from_millis(self.rng.between(50, 5000));
                self.places[place].pause(now, until, &self.outside);
            }
            6 if self.rng.once_in(2) => {
                let until = now + Duration::from_millis(self.rng.between(50, 2000));
                let mut state = self.outside.state();
                state.say("the store is away");
                state.outage_until = until;
            }
            7 if self.rng.once_in(3) => self.leave(place),
            8 | 9 => self.follow_late(),
            _ => {
                if let Some((run, wish)) = self.wish()
                    && let Some(process) = awake(&self.places, &mut self.rng)
                {
                    people::act(&self.outside, process, run, wish);
                }
            }
        }
    }

    /// The process of that place is told to stop in an orderly way; it dies when it has.
    fn leave(&mut self, place: usize) {
        let Some(process) = &self.places[place].process else { return };
        let (outside, eyrie, id) = (Arc::clone(&self.outside), process.eyrie.clone(), process.id);
        let mut state = self.outside.state();
        state.say(format!("p{id} is told to stop"));
        if let Some(health) = state.processes.get_mut(&id) {
            health.is_leaving = true;
        }
        drop(state);
        process.spawn(async move {
            eyrie.shutdown().await;
            let mut state = outside.state();
            if let Some(health) = state.processes.get_mut(&id).filter(|health| !health.is_dead) {
                health.is_dead = true;
                health.died.notify_one();
                state.say(format!("p{id} has stopped"));
            }
        });
    }

    /// Somebody begins to follow some run, from somewhere.
    fn follow_late(&mut self) {
        let mut state = self.outside.state();
        let known: Vec<_> = state.archive.all().map(|filed| (filed.record.run.id, filed.last_seq())).collect();
        if let Some((run, last)) = self.rng.pick(&known).copied() {
            state.add_follower(run, if self.rng.once_in(2) { 0 } else { self.rng.below(last + 1) });
        }
    }

    /// Something that somebody could want of some run.
    fn wish(&mut self) -> Option<(RunId, Wish)> {
        let runs = runs(&self.store).ok()?;
        let run = self.rng.pick(&runs)?;
        let steps = at_once(self.store.steps(run.id)).ok()?;
        let step = self.rng.pick(&steps)?.index;
        let wish = match run.state {
            RunState::Waiting if !self.rng.once_in(4) => Wish::Decide(!self.rng.once_in(4)),
            RunState::Parked | RunState::Failed if !self.rng.once_in(3) => Wish::Resume,
            RunState::Failed => Wish::RetryStep(step),
            RunState::UndoFailed | RunState::Cancelled if self.rng.once_in(2) => Wish::RetryUndo,
            RunState::UndoFailed | RunState::Cancelled => Wish::SkipUndo(step),
            _ => Wish::Cancel,
        };
        Some((run.id, wish))
    }
}
