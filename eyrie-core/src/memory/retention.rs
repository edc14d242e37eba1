//! Pruning. Nobody waits here, so that what is forgotten goes at once as a whole.

use std::{collections::BTreeSet, time::Duration};

use async_trait::async_trait;

use super::{MemoryStore, state::State};
use crate::{
    clock::{Timestamp, earlier},
    error::Result,
    id::{DeploymentId, MonitorLogId, RunId},
    model::{MonitorLog, PlanHash, Run, RunState, Token},
    store::{ForgetRule, Pruning, RetentionStore},
};

impl State {
    /// Runs of the deployment that ended by then, those that ended first before others.
    fn ended_by(&self, deployment: DeploymentId, before: Timestamp) -> Vec<RunId> {
        let of_deployment = self.runs.values().map(|record| &record.run).filter(|run| run.deployment_id == deployment);
        let mut ended: Vec<_> = of_deployment.filter_map(|run| Some((run.finished_at.filter(|at| *at <= before)?, run.id))).collect();
        ended.sort_unstable();
        ended.into_iter().map(|(_, run)| run).collect()
    }

    /// Lets the run's oldest events go, but for the last `kept`, and at most `limit`. Answers how many.
    fn drop_events(&mut self, run: RunId, kept: usize, limit: usize) -> usize {
        let Some(record) = self.runs.get_mut(&run) else { return 0 };
        let gone = record.events.len().saturating_sub(kept).min(limit);
        for (place, event) in record.events.drain(..gone) {
            self.feed.remove(&place);
            self.feed_floor = self.feed_floor.max(place);
            record.commands.retain(|_, events| events.iter().all(|kept| kept.seq != event.seq));
        }
        gone
    }

    /// Runs that are kept however old they are.
    fn kept(&self, deployment: DeploymentId, newest: u32) -> BTreeSet<RunId> {
        let runs: Vec<&Run> = self.runs.values().map(|record| &record.run).filter(|run| run.deployment_id == deployment).rev().collect();
        let mut kept: BTreeSet<_> = runs.iter().take(newest as usize).map(|run| run.id).collect();
        let mut kinds = Vec::new();
        for run in runs.iter().filter(|run| run.state == RunState::Succeeded) {
            if !kinds.contains(&run.kind) {
                kinds.push(run.kind);
                kept.insert(run.id);
            }
        }
        for service in self.deployed.values().filter(|service| service.deployment_id == deployment) {
            kept.insert(service.run_id);
            kept.extend(self.releases.get(&service.release_id).map(|release| release.run_id));
        }
        kept
    }

    /// Forgets the run with everything below it.
    fn forget(&mut self, run: RunId, pruning: &mut Pruning) {
        pruning.events += self.drop_events(run, 0, usize::MAX) as u64;
        let Some(record) = self.runs.remove(&run) else { return };
        pruning.runs += 1;
        pruning.steps += record.steps.len() as u64;
        pruning.chunks += record.log.len() as u64;
        self.request_keys.retain(|_, (_, made)| *made != run);
        let hash = record.run.plan_hash;
        if !self.needs_plan(hash) && self.plans.remove(&hash).is_some() {
            self.plan_secrets.remove(&hash);
            pruning.plans += 1;
        }
    }

    /// Lets these lines of monitors' logs go, at most `limit`.
    fn drop_lines(&mut self, lines: Vec<MonitorLogId>, limit: u32) -> Pruning {
        let limit = limit as usize;
        let more = lines.len() > limit;
        let mut dropped = 0;
        for line in lines.into_iter().take(limit) {
            dropped += u64::from(self.monitor_logs.remove(&line).is_some());
        }
        Pruning { monitor_logs: dropped, more, ..Pruning::default() }
    }

    fn needs_plan(&self, hash: PlanHash) -> bool {
        self.runs.values().any(|record| record.run.plan_hash == hash) || self.releases.values().any(|release| release.plan_hash == hash)
    }
}

#[async_trait]
impl RetentionStore for MemoryStore {
    async fn trim_runs(&self, deployment: DeploymentId, age: Duration, limit: u32) -> Result<Pruning> {
        let mut state = self.state();
        let mut pruning = Pruning::default();
        let mut left = limit as usize;
        for run in state.ended_by(deployment, earlier(self.now(), age)) {
            let Some(record) = state.runs.get_mut(&run) else { continue };
            let chunks = std::mem::take(&mut record.log).len();
            let to_go = record.events.len().saturating_sub(1);
            let events = state.drop_events(run, 1, left);
            left -= events;
            pruning.chunks += chunks as u64;
            pruning.events += events as u64;
            pruning.runs += u64::from(events == to_go && events + chunks > 0);
            if left == 0 {
                pruning.more = true;
                break;
            }
        }
        Ok(pruning)
    }

    async fn forget_runs(&self, deployment: DeploymentId, rule: ForgetRule, limit: u32) -> Result<Pruning> {
        let mut state = self.state();
        let kept = state.kept(deployment, rule.newest);
        let mut pruning = Pruning::default();
        for run in state.ended_by(deployment, earlier(self.now(), rule.age)) {
            if kept.contains(&run) {
                continue;
            }
            state.forget(run, &mut pruning);
            if pruning.runs >= u64::from(limit) {
                pruning.more = true;
                break;
            }
        }
        Ok(pruning)
    }

    async fn sweep(&self, limit: u32) -> Result<Pruning> {
        let mut state = self.state();
        let left = state.monitor_logs.values().filter(|line| !state.monitors.contains_key(&line.monitor_id));
        let left = left.map(|line| line.id).collect();
        Ok(state.drop_lines(left, limit))
    }

    async fn prune_monitor_logs(&self, deployment: DeploymentId, age: Duration, limit: u32) -> Result<Pruning> {
        let mut state = self.state();
        let before = earlier(self.now(), age);
        let is_of_it = |line: &MonitorLog| state.monitors.get(&line.monitor_id).is_some_and(|one| one.deployment_id == deployment);
        let old = state.monitor_logs.values().filter(|line| line.at <= before && is_of_it(line)).map(|line| line.id).collect();
        Ok(state.drop_lines(old, limit))
    }

    async fn prune_tokens(&self, age: Duration, limit: u32) -> Result<Pruning> {
        let mut state = self.state();
        let before = earlier(self.now(), age);
        let ended = |token: &Token| token.expires_at <= before || token.revoked_at.is_some_and(|at| at <= before);
        let mut old: Vec<_> = state.tokens.values().filter(|token| ended(token)).map(|token| token.id).collect();
        let more = old.len() > limit as usize;
        old.truncate(limit as usize);
        for id in &old {
            state.tokens.remove(id);
        }
        Ok(Pruning { tokens: old.len() as u64, more, ..Pruning::default() })
    }
}
