//! The world: it lets time go by, and makes things happen.

use std::{sync::Arc, time::Duration};

use super::{
    archive::at_once,
    follower::FeedFollower,
    outside::{Asking, Outside, ProcessId},
    people::{self, Wish},
    plans,
    process::{LEASE, Process, paused_runtime},
};
use crate::{
    Eyrie, ManualClock, Timestamp,
    clock::later,
    error::{Error, ErrorKind, Result},
    id::DeploymentId,
    memory::MemoryStore,
    model::{EventCursor, NewDeployment, NewGroup, NewProject, Plan, Principal, RetentionPolicy, Run, RunKind, RunState, Settings},
    store::{PageRequest, RunFilter, RunStore},
    testing::Rng,
};

/// How much time goes by at once, at most: less than the part of a lease that a worker keeps back.
const MOST_AT_ONCE: u64 = 40;
/// How long everything may take to come to its end once nothing fails any more.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long those who followed anew might still hear something that they must not.
const AFTERWARDS: Duration = Duration::from_millis(2500);

/// A place where a process is, or will be again.
#[derive(Debug, Default)]
pub(super) struct Place {
    pub(super) process: Option<Process>,
    /// When the next process starts here.
    start_at: Duration,
    paused: Option<Pause>,
}

#[derive(Debug, Clone, Copy)]
struct Pause {
    since: Duration,
    until: Duration,
}

/// A run that is to be asked for.
#[derive(Debug)]
pub(super) struct Wanted {
    at: Duration,
    pub(super) deployment: DeploymentId,
    pub(super) kind: RunKind,
    pub(super) plan: Plan,
    pub(super) not_before: Option<Timestamp>,
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) rng: Rng,
    pub(super) outside: Arc<Outside>,
    pub(super) store: MemoryStore,
    clock: ManualClock,
    pub(super) places: Vec<Place>,
    next_process: ProcessId,
    wanted: Vec<Wanted>,
    /// In which process each of those is who follow a run.
    followers: Vec<Option<ProcessId>>,
    /// The same of those who follow all.
    feed_followers: Vec<Option<ProcessId>>,
    /// When everything was done, and everybody began to follow everything anew.
    done_at: Option<Duration>,
    /// When things cease to fail.
    calm_at: Duration,
    /// Something happens once in so many turns.
    rarity: u64,
}

impl World {
    pub(super) fn new(seed: u64) -> Result<Self> {
        let mut rng = Rng::new(seed);
        let clock = ManualClock::new(Timestamp::UNIX_EPOCH);
        let store = MemoryStore::with_clock(Arc::new(clock.clone()));
        let outside = Arc::new(Outside::new(store.clone(), clock.clone(), rng.fork()));
        {
            let mut state = outside.state();
            state.fault_rate = *rng.pick(&[0, 0, 200, 50, 15]).unwrap_or(&0);
            state.latency = *rng.pick(&[0, 1, 5, 30]).unwrap_or(&0);
        }
        // In most worlds little is kept of what has ended.
        let prunes = !rng.once_in(4);
        let policies: Vec<_> = (0..rng.between(1, 5)).map(|_| (prunes && !rng.once_in(4)).then(|| short(&mut rng))).collect();
        let deployments = paused_runtime()?.block_on(prepare(store.clone(), clock.clone(), &policies))?;
        outside.state().archive.policies =
            deployments.iter().zip(policies).filter_map(|(deployment, policy)| Some((*deployment, policy?))).collect();
        let calm_at = Duration::from_millis(rng.between(3000, 9000));
        let mut wanted = Vec::new();
        for _ in 0..rng.between(2, 10) {
            let at = Duration::from_millis(rng.below(4000));
            let deployment = *rng.pick(&deployments).ok_or_else(|| Error::not_found("deployment"))?;
            let ahead = Duration::from_millis(rng.between(0, 4000));
            let not_before = rng.once_in(5).then(|| later(Timestamp::UNIX_EPOCH, at + ahead));
            let kind = if rng.once_in(3) { *rng.pick(RunKind::ALL).unwrap_or(&RunKind::Stop) } else { RunKind::Deploy };
            wanted.push(Wanted { at, deployment, kind, plan: plans::random(&mut rng)?, not_before });
        }
        let places = (0..rng.between(1, 4)).map(|_| Place::default()).collect();
        let rarity = rng.between(8, 60);
        Ok(Self {
            rng,
            outside,
            store,
            clock,
            places,
            next_process: 1,
            wanted,
            followers: Vec::new(),
            feed_followers: Vec::new(),
            done_at: None,
            calm_at,
            rarity,
        })
    }

    /// What happened.
    pub(super) fn take_trace(&self) -> Vec<String> {
        std::mem::take(&mut self.outside.state().trace)
    }

    pub(super) fn now(&self) -> Duration {
        self.outside.state().now
    }

    /// Lets everything happen.
    pub(super) fn run_to_end(&mut self) -> Result<()> {
        while self.now() < self.calm_at {
            self.turn()?;
            if self.rng.once_in(self.rarity) {
                self.something_happens();
            }
        }
        self.calm_down();
        let end = self.now() + PATIENCE;
        let mut look_at = self.now();
        loop {
            self.turn()?;
            if self.now() < look_at {
                continue;
            }
            look_at = self.now() + Duration::from_millis(200);
            if self.is_everything_done()? {
                match self.done_at {
                    None => self.follow_anew(),
                    Some(at) if self.now() < at + AFTERWARDS => {}
                    Some(_) => return Ok(()),
                }
            }
            if self.now() > end {
                return Err(Error::new(ErrorKind::Internal, "simulate", format!("not at its end after {PATIENCE:?} without faults")));
            }
            self.put_in_order()?;
        }
    }

    /// Lets some time go by, for each process in turn.
    fn turn(&mut self) -> Result<()> {
        let time = Duration::from_millis(self.rng.between(1, MOST_AT_ONCE));
        self.clock.advance(time);
        let now = {
            let mut state = self.outside.state();
            state.now += time;
            state.now
        };
        self.start_processes(now)?;
        let mut order: Vec<usize> = (0..self.places.len()).collect();
        for place in (1..order.len()).rev() {
            let other = usize::try_from(self.rng.below(place as u64 + 1)).unwrap_or(0);
            order.swap(place, other);
        }
        for place in order {
            self.places[place].live(now, time, &self.outside);
        }
        for place in 0..self.places.len() {
            let is_dead = self.places[place].process.as_ref().is_some_and(|process| self.outside.state().is_dead(process.id));
            if is_dead {
                self.bury(place);
            }
        }
        self.ask_and_follow(now);
        Ok(())
    }

    fn start_processes(&mut self, now: Duration) -> Result<()> {
        for place in &mut self.places {
            if place.process.is_none() && place.start_at <= now {
                let id = self.next_process;
                self.next_process += 1;
                place.process = Some(Process::start(id, &self.outside, &self.store, &self.clock, &mut self.rng)?);
            }
        }
        Ok(())
    }

    /// The process of that place is gone, with everything that ran in it; another one starts there later.
    pub(super) fn bury(&mut self, place: usize) {
        let wait = Duration::from_millis(self.rng.between(20, 1500));
        let start_at = self.now() + wait;
        let place = std::mem::replace(&mut self.places[place], Place { start_at, ..Place::default() });
        let Some(process) = place.process else { return };
        if let Some(health) = self.outside.state().processes.get_mut(&process.id) {
            health.is_dead = true;
            health.bells.clear();
        }
        // Its bodies end with it, and look whether it is dead.
        drop(process);
    }

    /// Somebody asks for what is wanted by now, and every run that somebody knows of is followed.
    fn ask_and_follow(&mut self, now: Duration) {
        for (place, wanted) in self.wanted.iter().enumerate() {
            let waits = {
                let mut state = self.outside.state();
                if wanted.at <= now && state.askings.len() == place {
                    let is_keyed = !state.rng.once_in(4);
                    state.askings.push(Asking { tag: format!("wish-{place}"), is_keyed, process: None, answer: None });
                }
                // Whoever asked once, in a process that died, never hears.
                let is_free = |asking: &Asking| asking.process.is_none_or(|process| asking.is_keyed && state.is_dead(process));
                state.askings.get(place).is_some_and(|asking| asking.answer.is_none() && is_free(asking))
            };
            if waits && let Some(process) = awake(&self.places, &mut self.rng) {
                people::ask(&self.outside, process, place, wanted);
            }
        }
        let known: Vec<_> = self.outside.state().askings.iter().filter_map(|asking| asking.answer?.ok()).collect();
        for run in known {
            let mut state = self.outside.state();
            if !state.followers.iter().any(|follower| follower.run == run) {
                state.add_follower(run, 0);
            }
        }
        let count = self.outside.state().followers.len();
        self.followers.resize(count, None);
        for (place, follower) in self.followers.iter_mut().enumerate() {
            let is_alone = follower.is_none_or(|process| self.outside.state().is_dead(process));
            if is_alone && let Some(process) = awake(&self.places, &mut self.rng) {
                *follower = Some(process.id);
                people::follow(&self.outside, process, place);
            }
        }
        let count = self.outside.state().feeds.len();
        self.feed_followers.resize(count, None);
        for (place, follower) in self.feed_followers.iter_mut().enumerate() {
            let is_alone = follower.is_none_or(|process| self.outside.state().is_dead(process));
            if is_alone && let Some(process) = awake(&self.places, &mut self.rng) {
                *follower = Some(process.id);
                if self.rng.once_in(2) {
                    // It has forgotten where it was.
                    self.outside.state().feeds[place].cursor = EventCursor::default();
                }
                people::follow_all(&self.outside, process, place);
            }
        }
    }

    /// Somebody follows each run, and all of them, from the beginning.
    fn follow_anew(&mut self) {
        self.done_at = Some(self.now());
        let mut state = self.outside.state();
        let all: Vec<_> = state.archive.all().map(|filed| filed.record.run.id).collect();
        for run in all {
            state.add_follower(run, 0);
        }
        state.feeds.push(FeedFollower::default());
    }

    /// From now on nothing fails, and everybody is there.
    fn calm_down(&mut self) {
        let now = self.now();
        let mut state = self.outside.state();
        state.is_calm = true;
        state.say("nothing fails any more");
        for health in state.processes.values_mut() {
            health.armed = None;
        }
        drop(state);
        for place in &mut self.places {
            place.start_at = place.start_at.min(now);
            if let Some(pause) = &mut place.paused {
                pause.until = now;
            }
        }
    }

    /// Somebody decides about every run that would stay as it is.
    fn put_in_order(&mut self) -> Result<()> {
        for run in runs(&self.store)? {
            let wish = match run.state {
                RunState::Waiting => Wish::Decide(!self.rng.once_in(3)),
                RunState::Parked => Wish::Resume,
                _ => continue,
            };
            let is_wanted = {
                let state = self.outside.state();
                state.acts.iter().any(|act| act.run == run.id && act.answer.is_none() && !state.is_dead(act.process))
            };
            if !is_wanted && let Some(process) = awake(&self.places, &mut self.rng) {
                people::act(&self.outside, process, run.id, wish);
            }
        }
        Ok(())
    }

    fn is_everything_done(&self) -> Result<bool> {
        let runs = runs(&self.store)?;
        let state = self.outside.state();
        let answered =
            |asking: &Asking| asking.answer.is_some() || (!asking.is_keyed && asking.process.is_some_and(|id| state.is_dead(id)));
        Ok(state.askings.len() == self.wanted.len()
            && state.askings.iter().all(answered)
            && runs.iter().all(|run| run.state.is_terminal())
            && state.is_everything_told()
            && state.archive.overdue()?.is_empty())
    }
}

impl Place {
    /// Lets time go by for the process, unless it is paused.
    fn live(&mut self, now: Duration, time: Duration, outside: &Outside) {
        let Some(process) = &mut self.process else { return };
        match self.paused {
            Some(pause) if now < pause.until => return,
            Some(pause) => {
                outside.say(format!("p{} goes on", process.id));
                process.wake(now - time - pause.since);
                self.paused = None;
                process.live(time);
                if let Some(health) = outside.state().processes.get_mut(&process.id) {
                    health.is_paused = false;
                }
                return;
            }
            None => {}
        }
        process.live(time);
    }

    pub(super) fn pause(&mut self, now: Duration, until: Duration, outside: &Outside) {
        let Some(process) = self.process.as_ref().filter(|_| self.paused.is_none()) else { return };
        self.paused = Some(Pause { since: now, until });
        let mut state = outside.state();
        let past = if until - now > LEASE { ", past its lease" } else { "" };
        state.say(format!("p{} stands still for {:?}{past}", process.id, until - now));
        if let Some(health) = state.processes.get_mut(&process.id) {
            health.is_paused = true;
        }
    }
}

/// Some process that is neither paused nor about to leave.
pub(super) fn awake<'a>(places: &'a [Place], rng: &mut Rng) -> Option<&'a Process> {
    let awake: Vec<_> = places.iter().filter(|place| place.paused.is_none()).filter_map(|place| place.process.as_ref()).collect();
    rng.pick(&awake).copied()
}

/// All runs.
pub(super) fn runs(store: &MemoryStore) -> Result<Vec<Run>> {
    let page = PageRequest::first(PageRequest::MAX)?;
    Ok(at_once(store.runs(RunFilter::default(), page))?.items)
}

/// A policy that keeps little.
fn short(rng: &mut Rng) -> RetentionPolicy {
    let mut seconds = |most| (!rng.once_in(4)).then(|| Duration::from_secs(rng.below(most)));
    let (runs, history) = (seconds(4), seconds(3));
    RetentionPolicy { runs, newest: *rng.pick(&[0, 0, 1, 3]).unwrap_or(&0), history, ..RetentionPolicy::default() }
}

/// The settings that say so.
fn settings(policy: RetentionPolicy) -> Result<Settings> {
    let seconds = |time: Option<Duration>| time.map(|time| time.as_secs());
    let settings = Settings::default().with("run_delete_after_seconds", seconds(policy.runs))?;
    Ok(settings.with("run_keep_newest", policy.newest)?.with("run_history_delete_after_seconds", seconds(policy.history))?)
}

/// Deployments in two projects.
async fn prepare(store: MemoryStore, clock: ManualClock, policies: &[Option<RetentionPolicy>]) -> Result<Vec<DeploymentId>> {
    let eyrie = Eyrie::builder(Arc::new(store)).without_worker().clock(Arc::new(clock)).start_here().await?;
    let me = eyrie.acting_as(Principal::local_operator());
    let mut groups = Vec::new();
    for slug in ["one", "two"] {
        let project = me.create_project(NewProject::new(slug)?).await?;
        groups.push(me.create_group(project.id, NewGroup::new("group", "embedded")?).await?.id);
    }
    let mut deployments = Vec::new();
    for ((n, policy), group) in policies.iter().enumerate().zip(groups.into_iter().cycle()) {
        let mut new = NewDeployment::new(format!("d{n}"))?;
        if let Some(policy) = policy {
            new.settings = settings(*policy)?;
        }
        deployments.push(me.create_deployment(group, new).await?.id);
    }
    Ok(deployments)
}
