//! One case, played to its end over as many processes as it takes.

use std::{sync::Arc, time::Duration};

use tokio::runtime::Runtime;

use super::{
    Case, Harness,
    struck::{Blow, Struck},
};
use crate::{
    Acting, Eyrie, ManualClock, Timestamp,
    engine::WorkerOptions,
    error::{Error, ErrorKind, Result},
    id::{DeploymentId, RunId},
    memory::MemoryStore,
    model::{NewDeployment, NewGroup, NewProject, Principal, RunEvent, RunEventBody, RunState},
    platform::{RunRequest, StartRun},
    store::RunStore,
    testing::{
        Call, Fault, FaultPlan, FaultyStore,
        oracle::{Evidence, Record},
    },
};

/// Of the store's clock, which moves only when a process has died.
const LEASE: Duration = Duration::from_secs(15);
/// How often a run may be set aside, and resumed, in one case.
const PARKED: u32 = 10;

/// A case being played.
pub(super) struct Play<'a> {
    harness: &'a Harness,
    case: &'a Case,
    store: MemoryStore,
    clock: ManualClock,
    blow: Arc<Blow>,
    deployment: DeploymentId,
    /// The run, once its asker knows of it.
    run: Option<RunId>,
    /// What its follower heard, over all processes.
    heard: Vec<RunEvent>,
    /// How often it was set aside.
    parked: u32,
    calls: u64,
}

/// What came of it.
pub(super) struct Played {
    pub(super) record: Record,
    pub(super) faults: Vec<String>,
    pub(super) calls: u64,
}

/// How a process ended.
enum Process {
    Died,
    RunEnded,
}

/// The fault of the case, in the first process.
#[derive(Debug)]
struct CaseFault {
    fault: Option<(u64, Fault)>,
    blow: Arc<Blow>,
}

impl FaultPlan for CaseFault {
    fn fault(&self, call: &Call) -> Option<Fault> {
        let fault = self.fault.filter(|(number, _)| *number == call.number)?.1;
        if fault == Fault::Dead {
            self.blow.died.notify_one();
        }
        Some(fault)
    }

    fn took_effect(&self, call: &Call) {
        if self.fault == Some((call.number, Fault::DeadAfterwards)) {
            self.blow.died.notify_one();
        }
    }
}

impl<'a> Play<'a> {
    pub(super) fn new(harness: &'a Harness, case: &'a Case) -> Result<Self> {
        let clock = ManualClock::new(Timestamp::UNIX_EPOCH);
        let store = MemoryStore::with_clock(Arc::new(clock.clone()));
        let blow = Arc::new(Blow::new(case.clone(), harness.failing(case)));
        let deployment = runtime(harness)?.block_on(prepare(store.clone(), clock.clone()))?;
        Ok(Self { harness, case, store, clock, blow, deployment, run: None, heard: Vec::new(), parked: 0, calls: 0 })
    }

    pub(super) fn play(mut self) -> Result<Played> {
        let mut fault = self.case.store_fault();
        loop {
            let runtime = runtime(self.harness)?;
            let limit = self.harness.limit;
            let process = runtime.block_on(async { tokio::time::timeout(limit, self.process(fault.take())).await });
            // The process is gone, with everything that ran in it.
            runtime.shutdown_background();
            match process {
                Ok(Ok(Process::Died)) => self.clock.advance(LEASE + Duration::from_secs(1)),
                Ok(Ok(Process::RunEnded)) => break,
                Ok(Err(error)) => return Err(error),
                Err(_) => return Err(Error::new(ErrorKind::Internal, "test", format!("the run did not end within {limit:?}"))),
            }
        }
        let evidence = runtime(self.harness)?.block_on(Evidence::read(&self.store))?;
        let mut faults = evidence.faults();
        if evidence.records.len() != 1 {
            faults.push(format!("the run was queued {} times", evidence.records.len()));
        }
        let record = evidence.records.into_iter().next().ok_or_else(|| Error::not_found("run"))?;
        if self.heard != record.events {
            faults.push(format!("the run's follower heard {} events, and {} were written", self.heard.len(), record.events.len()));
        }
        if self.parked > 0 && !self.case.is_crash() {
            faults.push("the run was parked".to_owned());
        }
        Ok(Played { record, faults, calls: self.calls })
    }

    /// One process, until it dies or the run has ended.
    async fn process(&mut self, fault: Option<(u64, Fault)>) -> Result<Process> {
        let faults = Arc::new(CaseFault { fault, blow: Arc::clone(&self.blow) });
        let store = Arc::new(FaultyStore::new(self.store.clone(), faults));
        // Whoever waits for real should not wait for long.
        let poll = Duration::from_millis(if self.harness.real_time { 50 } else { 1000 });
        let options = WorkerOptions { lease: LEASE, poll, prune_every: None, ..WorkerOptions::default() };
        let builder = Eyrie::builder(store.clone()).worker(options).clock(Arc::new(self.clock.clone()));
        let blow = Arc::clone(&self.blow);
        let builder = (self.harness.actions)(builder).map_actions(|inner| Arc::new(Struck { inner, blow: Arc::clone(&blow) }));
        let eyrie = builder.start_here().await?;
        let me = eyrie.acting_as(Principal::local_operator());
        let ended = tokio::select! {
            biased;
            () = blow.died.notified() => Ok(Process::Died),
            ended = self.see_it_end(&me) => ended.map(|()| Process::RunEnded),
        };
        self.calls += store.calls();
        ended
    }

    /// Asks for the run as often as it takes, follows it, and decides what it waits for.
    async fn see_it_end(&mut self, me: &Acting) -> Result<()> {
        let run = match self.run {
            Some(run) => run,
            None => *self.run.insert(patiently(async || self.ask(me).await).await?),
        };
        // What an earlier process was about to decide when it died.
        self.decide(me, run, self.store.run(run).await?.state).await?;
        loop {
            let behind = self.heard.last().map_or(0, |event| event.seq);
            let mut events = patiently(async || me.follow_run(run, behind).await).await?;
            while let Ok(Some(event)) = events.next().await {
                self.heard.push(RunEvent::clone(&event));
                if let RunEventBody::Run { state, message } = &event.body {
                    self.parked += u32::from(*state == RunState::Parked);
                    if self.parked > PARKED {
                        return Err(Error::new(ErrorKind::Internal, "test", format!("the run was parked again and again: {message}")));
                    }
                    self.decide(me, run, *state).await?;
                }
            }
            let known = self.store.run(run).await?;
            if known.state.is_terminal() && self.heard.last().map(|event| event.seq) == Some(known.last_seq) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn ask(&self, me: &Acting) -> Result<RunId> {
        let start = StartRun { request_key: Some("the one".to_owned()), ..StartRun::default() };
        let run = me.run_plan_with(self.deployment, RunRequest { plan: self.harness.plan.clone(), start }).await?;
        Ok(run.id)
    }

    /// Somebody approves of what the run waits for, and has it go on when it was parked.
    async fn decide(&self, me: &Acting, run: RunId, state: RunState) -> Result<()> {
        match state {
            RunState::Waiting => {
                let open = patiently(async || me.open_approvals(run).await).await?;
                let Some(open) = open.first() else { return Ok(()) };
                decided(patiently(async || me.approve_step(run, open.step, "").await).await)
            }
            RunState::Parked => decided(patiently(async || me.resume_run(run, "").await).await),
            _ => Ok(()),
        }
    }
}

/// A decision that came too late was made already, by an earlier try of which nobody knew how it ended.
fn decided<T>(answer: Result<T>) -> Result<()> {
    match answer {
        Err(error) if error.kind() == ErrorKind::IllegalTransition => Ok(()),
        answer => answer.map(drop),
    }
}

/// Tries again while the store fails for now.
async fn patiently<T>(mut call: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    for _ in 0..20 {
        match call().await {
            Err(error) if error.is_retryable() => tokio::time::sleep(Duration::from_millis(20)).await,
            answer => return answer,
        }
    }
    call().await
}

fn runtime(harness: &Harness) -> Result<Runtime> {
    let failed = |error| Error::new(ErrorKind::Unavailable, "test", "no runtime could be made").with_source(error);
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(!harness.real_time).build().map_err(failed)
}

/// Somewhere for the run to belong to.
async fn prepare(store: MemoryStore, clock: ManualClock) -> Result<DeploymentId> {
    let eyrie = Eyrie::builder(Arc::new(store)).without_worker().clock(Arc::new(clock)).start_here().await?;
    let me = eyrie.acting_as(Principal::local_operator());
    let project = me.create_project(NewProject::new("test")?).await?;
    let group = me.create_group(project.id, NewGroup::new("test", "embedded")?).await?;
    Ok(me.create_deployment(group.id, NewDeployment::new("test")?).await?.id)
}
