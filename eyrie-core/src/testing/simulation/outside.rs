//! What lies outside of the simulated processes: the time, what their bodies did, what their people were told, and who of them lives.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{Notify, watch};

use super::{
    archive::{Archive, at_once},
    follower::{FeedFollower, Follower},
};
use crate::{
    ManualClock,
    engine::ActionContext,
    error::ErrorKind,
    id::{DeploymentId, RunId},
    memory::MemoryStore,
    model::StepIndex,
    store::RunStore,
    testing::{CrashPoint, Rng},
};

/// One start of one process.
pub(super) type ProcessId = u32;

#[derive(Debug)]
pub(super) struct Outside {
    state: Mutex<State>,
    store: MemoryStore,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) now: Duration,
    /// What decides about faults.
    pub(super) rng: Rng,
    /// Nothing fails any more.
    pub(super) is_calm: bool,
    /// One call in so many fails; 0: none.
    pub(super) fault_rate: u64,
    /// A call takes up to so many milliseconds, once before and once after its effect.
    pub(super) latency: u64,
    pub(super) outage_until: Duration,
    pub(super) processes: BTreeMap<ProcessId, Health>,
    pub(super) bodies: Vec<Body>,
    pub(super) effects: BTreeMap<(RunId, StepIndex), Effect>,
    pub(super) acts: Vec<Act>,
    pub(super) askings: Vec<Asking>,
    /// Those who follow a run.
    pub(super) followers: Vec<Follower>,
    /// Those who follow all runs.
    pub(super) feeds: Vec<FeedFollower>,
    /// What was written.
    pub(super) archive: Archive,
    pub(super) trace: Vec<String>,
    /// What was found to be wrong on the way.
    pub(super) faults: Vec<String>,
}

/// How a process is.
#[derive(Debug, Default)]
pub(super) struct Health {
    pub(super) is_dead: bool,
    pub(super) is_paused: bool,
    /// It was told to stop in an orderly way.
    pub(super) is_leaving: bool,
    /// How many leases it has asked for.
    pub(super) leases: u32,
    /// It dies when it comes to this point for the n-th time.
    pub(super) armed: Option<(CrashPoint, u32)>,
    /// It dies at this point of the call that is under way.
    pub(super) dying: Option<CrashPoint>,
    pub(super) died: Arc<Notify>,
    pub(super) bells: Vec<watch::Sender<u64>>,
}

/// A body that was begun.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) run: RunId,
    pub(super) deployment: DeploymentId,
    pub(super) step: StepIndex,
    pub(super) attempt: u32,
    pub(super) process: ProcessId,
    /// The number of the lease that its process had.
    pub(super) lease: u32,
    pub(super) end: BodyEnd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyEnd {
    NotYet,
    Succeeded,
    Failed,
    /// It was killed.
    Dropped,
}

/// What the bodies of one step did to the world. It takes nothing from an attempt that is older than one it knows of.
#[derive(Debug, Default)]
pub(super) struct Effect {
    pub(super) attempt: u32,
    pub(super) is_there: bool,
    pub(super) undo_tries: u32,
}

/// Something that somebody wanted of a run.
#[derive(Debug)]
pub(super) struct Act {
    /// Found again in the reason.
    pub(super) tag: String,
    pub(super) run: RunId,
    pub(super) process: ProcessId,
    pub(super) answer: Option<Result<(), ErrorKind>>,
}

/// A run that somebody asks for.
#[derive(Debug)]
pub(super) struct Asking {
    /// Found again in the run's context.
    pub(super) tag: String,
    /// It is asked again and again under one key; else once.
    pub(super) is_keyed: bool,
    pub(super) process: Option<ProcessId>,
    pub(super) answer: Option<Result<RunId, ErrorKind>>,
}

impl Outside {
    pub(super) fn new(store: MemoryStore, clock: ManualClock, rng: Rng) -> Self {
        let state = State {
            now: Duration::ZERO,
            rng,
            is_calm: false,
            fault_rate: 0,
            latency: 0,
            outage_until: Duration::ZERO,
            processes: BTreeMap::new(),
            bodies: Vec::new(),
            effects: BTreeMap::new(),
            acts: Vec::new(),
            askings: Vec::new(),
            followers: Vec::new(),
            feeds: vec![FeedFollower::default()],
            archive: Archive::new(store.clone(), clock),
            trace: Vec::new(),
            faults: Vec::new(),
        };
        Self { state: Mutex::new(state), store }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn say(&self, what: impl AsRef<str>) {
        self.state().say(what);
    }

    /// The process comes to this point: it may end here, and nothing that comes after it happens.
    pub(super) async fn at(&self, process: ProcessId, point: CrashPoint) {
        let dies = {
            let mut state = self.state();
            state.is_dead(process) || (state.comes_to(process, point) && state.dies(process, point))
        };
        if dies {
            std::future::pending().await
        }
    }

    /// A body begins.
    pub(super) fn begin(self: &Arc<Self>, process: ProcessId, cx: &ActionContext) -> OpenBody {
        let (run, step, attempt) = (cx.run().id, cx.step(), cx.attempt());
        let steps = at_once(self.store.steps(run)).unwrap_or_default();
        let is_durable = steps.iter().any(|known| known.index == step && known.attempt >= attempt);
        let mut state = self.state();
        let lease = state.processes.get(&process).map_or(0, |health| health.leases);
        let body = Body { run, deployment: cx.run().deployment_id, step, attempt, process, lease, end: BodyEnd::NotYet };
        state.say(format!("p{process} begins {}", body.name()));
        if !is_durable {
            state.fault(format!("{} began before its start was durable", body.name()));
        }
        state.look_beside(&body);
        state.bodies.push(body);
        OpenBody { outside: Arc::clone(self), place: state.bodies.len() - 1 }
    }
}

impl State {
    pub(super) fn say(&mut self, what: impl AsRef<str>) {
        let line = format!("{:>8} ms  {}", self.now.as_millis(), what.as_ref());
        self.trace.push(line);
    }

    pub(super) fn fault(&mut self, what: String) {
        self.say(format!("WRONG: {what}"));
        self.faults.push(what);
    }

    pub(super) fn is_dead(&self, process: ProcessId) -> bool {
        self.processes.get(&process).is_none_or(|health| health.is_dead)
    }

    /// Something was written, or deleted.
    pub(super) fn look_at_the_store(&mut self, method: &str) {
        let looked = match method {
            "enqueue" | "claim" | "record" => self.archive.file().map(|wrong| (Vec::new(), wrong)),
            "trim_runs" | "forget_runs" | "sweep" => self.archive.look_for_losses(),
            _ => return,
        };
        let (said, wrong) = looked.unwrap_or_else(|error| (Vec::new(), vec![crate::error::report(&error)]));
        said.into_iter().for_each(|what| self.say(what));
        wrong.into_iter().for_each(|what| self.fault(what));
    }

    /// Whether the process is to die at this point.
    pub(super) fn comes_to(&mut self, process: ProcessId, point: CrashPoint) -> bool {
        let Some(Health { armed: Some((armed, times)), .. }) = self.processes.get_mut(&process) else { return false };
        if *armed != point {
            return false;
        }
        *times = times.saturating_sub(1);
        *times == 0
    }

    /// The process dies. Answers true.
    pub(super) fn dies(&mut self, process: ProcessId, point: CrashPoint) -> bool {
        self.say(format!("p{process} dies {point}"));
        if let Some(health) = self.processes.get_mut(&process) {
            health.is_dead = true;
            health.died.notify_one();
        }
        true
    }

    /// Whether whatever the process did under that lease counts: it lives, and has had no other since.
    pub(super) fn is_undisturbed(&self, process: ProcessId, lease: u32) -> bool {
        self.processes.get(&process).is_some_and(|health| !health.is_dead && !health.is_leaving && health.leases == lease)
    }

    /// No body may begin twice as the same attempt, nor while another process that has its wits about it executes one of its run or
    /// its deployment.
    fn look_beside(&mut self, body: &Body) {
        let mut wrong = Vec::new();
        for other in &self.bodies {
            if (other.run, other.step, other.attempt) == (body.run, body.step, body.attempt) {
                wrong.push(format!("{} was executed twice", body.name()));
            }
            let is_paused = self.processes.get(&other.process).is_none_or(|health| health.is_paused);
            let is_open = other.end == BodyEnd::NotYet && self.is_undisturbed(other.process, other.lease) && !is_paused;
            let is_beside = other.deployment == body.deployment && (other.run != body.run || other.process != body.process);
            if is_open && is_beside {
                wrong.push(format!("{} began in p{} while {} was executed in p{}", body.name(), body.process, other.name(), other.process));
            }
        }
        wrong.into_iter().for_each(|what| self.fault(what));
    }
}

impl Body {
    pub(super) fn name(&self) -> String {
        format!("{}/{} attempt {}", self.run, self.step, self.attempt)
    }
}

/// A body that executes. Dropped without having ended, it was killed.
#[derive(Debug)]
pub(super) struct OpenBody {
    outside: Arc<Outside>,
    place: usize,
}

impl OpenBody {
    /// The body changes the world, or takes its change back.
    pub(super) fn affect(&self, is_there: bool) {
        let mut state = self.outside.state();
        let Some((key, attempt, process)) = state.bodies.get(self.place).map(|body| ((body.run, body.step), body.attempt, body.process))
        else {
            return;
        };
        let is_dead = state.is_dead(process);
        let effect = state.effects.entry(key).or_default();
        if !is_dead && attempt >= effect.attempt {
            *effect = Effect { attempt, is_there, ..*effect };
        }
    }

    /// How often the step's undo was tried, this time included.
    pub(super) fn undo_tries(&self) -> u32 {
        let mut state = self.outside.state();
        let Some(key) = state.bodies.get(self.place).map(|body| (body.run, body.step)) else { return 0 };
        let effect = state.effects.entry(key).or_default();
        effect.undo_tries += 1;
        effect.undo_tries
    }

    pub(super) fn wrong(&self, what: &str) {
        let mut state = self.outside.state();
        let name = state.bodies.get(self.place).map(Body::name).unwrap_or_default();
        state.fault(format!("{name}: {what}"));
    }

    pub(super) fn end(self, end: BodyEnd) {
        self.ends(end);
    }

    fn ends(&self, end: BodyEnd) {
        let mut state = self.outside.state();
        let is_dead = state.bodies.get(self.place).is_none_or(|body| state.is_dead(body.process));
        if let Some(body) = state.bodies.get_mut(self.place).filter(|body| !is_dead && body.end == BodyEnd::NotYet) {
            body.end = end;
            let said = format!("p{} ends {}: {end:?}", body.process, body.name());
            state.say(said);
        }
    }
}

impl Drop for OpenBody {
    fn drop(&mut self) {
        self.ends(BodyEnd::Dropped);
    }
}
