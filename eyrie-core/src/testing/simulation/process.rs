//! A simulated process: a runtime of its own, whose time moves only when the world lets it.

use std::{sync::Arc, time::Duration};

use tokio::{runtime::Runtime, sync::watch};

use super::{
    outside::{Health, Outside, ProcessId},
    work::{WORK, Work},
};
use crate::{
    Eyrie,
    clock::{Clock, ManualClock, Timestamp, from_micros},
    engine::WorkerOptions,
    error::{Error, ErrorKind, Result},
    memory::MemoryStore,
    testing::{Call, CrashPoint, Fault, FaultPlan, FaultyStore, Rng},
};

/// How long a lease of a simulated worker lasts.
pub(super) const LEASE: Duration = Duration::from_secs(1);

/// A process that was started.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) id: ProcessId,
    runtime: Runtime,
    pub(super) eyrie: Eyrie,
    died: Arc<tokio::sync::Notify>,
    /// How fast its clock goes, in parts of 1000.
    rate: u64,
    /// Time, in microseconds, that has gone by and that it has not seen yet.
    owed: u64,
}

/// A clock that is wrong by hours.
#[derive(Debug)]
struct SkewedClock {
    clock: ManualClock,
    micros: i64,
}

impl Clock for SkewedClock {
    fn now(&self) -> Timestamp {
        from_micros(self.clock.now().as_microsecond().saturating_add(self.micros))
    }
}

/// What the world does to the calls of one process.
#[derive(Debug)]
struct Weather {
    outside: Arc<Outside>,
    process: ProcessId,
}

impl FaultPlan for Weather {
    fn fault(&self, call: &Call) -> Option<Fault> {
        let mut state = self.outside.state();
        if state.is_dead(self.process) {
            return Some(Fault::Dead);
        }
        if let Some(point) = call.points_before().find(|point| state.comes_to(self.process, *point)) {
            state.dies(self.process, point);
            return Some(Fault::Dead);
        }
        if call.method == "register_worker"
            && let Some(health) = state.processes.get_mut(&self.process)
        {
            health.leases += 1;
        }
        if let Some(point) = call.points_after().find(|point| state.comes_to(self.process, *point)) {
            if let Some(health) = state.processes.get_mut(&self.process) {
                health.dying = Some(point);
            }
            return Some(Fault::DeadAfterwards);
        }
        if state.is_calm {
            return None;
        }
        let is_out = state.now < state.outage_until;
        let rate = state.fault_rate;
        let fault = match is_out || (rate > 0 && state.rng.once_in(rate)) {
            false => return None,
            true if !is_out && call.writes && state.rng.once_in(2) => Fault::Unanswered,
            true => Fault::Refused,
        };
        if call.writes {
            state.say(format!("p{} {}: {fault:?}", self.process, call.method));
        }
        Some(fault)
    }

    fn latency(&self, _call: &Call) -> (Duration, Duration) {
        let mut state = self.outside.state();
        let most = state.latency;
        if most == 0 || state.rng.once_in(2) {
            return (Duration::ZERO, Duration::ZERO);
        }
        let mut some = || Duration::from_millis(state.rng.between(0, most));
        (some(), some())
    }

    fn took_effect(&self, call: &Call) {
        let mut state = self.outside.state();
        state.look_at_the_store(call.method);
        let dying = state.processes.get_mut(&self.process).and_then(|health| health.dying.take());
        let is_heard = dying.is_none_or(|point| point == CrashPoint::AfterNotify);
        if call.writes && is_heard {
            for (_, health) in state.processes.iter().filter(|(id, _)| **id != self.process) {
                health.bells.iter().for_each(|bell| bell.send_modify(|count| *count += 1));
            }
        }
        if let Some(point) = dying {
            state.dies(self.process, point);
        }
    }

    fn changes(&self, _inner: watch::Receiver<u64>) -> watch::Receiver<u64> {
        let bell = watch::Sender::new(0);
        let heard = bell.subscribe();
        if let Some(health) = self.outside.state().processes.get_mut(&self.process) {
            health.bells.push(bell);
        }
        heard
    }
}

impl Process {
    /// Starts a process over the store.
    pub(super) fn start(id: ProcessId, outside: &Arc<Outside>, store: &MemoryStore, clock: &ManualClock, rng: &mut Rng) -> Result<Self> {
        let health = Health::default();
        let died = Arc::clone(&health.died);
        outside.state().processes.insert(id, health);
        outside.say(format!("p{id} starts"));
        let hours = i64::try_from(rng.below(5)).unwrap_or(0) - 2;
        let clock = SkewedClock { clock: clock.clone(), micros: hours * 3_600_000_000 };
        let options = WorkerOptions {
            lease: LEASE,
            max_runs: usize::try_from(rng.between(1, 6)).unwrap_or(1),
            poll: Duration::from_millis(rng.between(30, 300)),
            cancel_grace: Duration::from_millis(200),
            shutdown_grace: Duration::from_millis(rng.between(0, 400)),
            prune_every: Some(Duration::from_millis(rng.between(100, 1000))),
            ..WorkerOptions::default()
        };
        let weather = Weather { outside: Arc::clone(outside), process: id };
        let store = FaultyStore::new(store.clone(), Arc::new(weather));
        let builder = Eyrie::builder(Arc::new(store)).clock(Arc::new(clock)).worker(options);
        let builder = builder.action(WORK, Work { outside: Arc::clone(outside), process: id });
        let runtime = paused_runtime()?;
        let eyrie = runtime.block_on(builder.start_here())?;
        Ok(Self { id, runtime, eyrie, died, rate: rng.between(970, 1030), owed: 0 })
    }

    /// Lets that much time go by in the process, unless it dies before.
    pub(super) fn live(&mut self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.owed = self.owed.saturating_add(micros.saturating_mul(self.rate) / 1000);
        let millis = self.owed / 1000;
        self.owed %= 1000;
        let died = &self.died;
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                () = died.notified() => {}
                () = tokio::time::sleep(Duration::from_millis(millis)) => {}
            }
        });
    }

    /// Goes on after a pause of which it has noticed nothing: for its clock, that time is over at once.
    pub(super) fn wake(&mut self, missed: Duration) {
        self.runtime.block_on(tokio::time::advance(Duration::from_millis(u64::try_from(missed.as_millis()).unwrap_or(u64::MAX))));
    }

    /// Has something done in the process.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(work);
    }
}

/// A runtime of this thread whose time moves only when nothing else can happen.
pub(super) fn paused_runtime() -> Result<Runtime> {
    let failed = |error| Error::new(ErrorKind::Unavailable, "simulate", "no runtime could be made").with_source(error);
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().map_err(failed)
}
