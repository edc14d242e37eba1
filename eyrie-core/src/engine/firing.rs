//! Firing schedules beside the worker's other work: planning runs may take its time, and must hold up neither lease nor claims.

use std::{sync::Arc, time::Duration};

use tokio::{task::JoinSet, time::Instant};

use crate::engine::driver::Shared;

/// The worker's firing: one at a time, and after one that came to nothing, not again at once.
pub(super) struct Firing {
    poll: Duration,
    not_before: Instant,
    under_way: JoinSet<bool>,
}

impl Firing {
    pub(super) fn new(poll: Duration) -> Self {
        Self { poll, not_before: Instant::now(), under_way: JoinSet::new() }
    }

    /// Has the host fire what is due. Answers how long until it is to be asked again, as far as that is known.
    pub(super) fn fire(&mut self, shared: &Shared, next_fire: Option<Duration>) -> Option<Duration> {
        let (host, time_left) = (shared.host.as_ref()?, next_fire?);
        if !self.under_way.is_empty() || !time_left.is_zero() {
            return Some(time_left).filter(|_| self.under_way.is_empty());
        }
        let pause = self.not_before.saturating_duration_since(Instant::now());
        if !pause.is_zero() {
            return Some(pause);
        }
        let host = Arc::clone(host);
        let fire = async move {
            let fired = host.fire_schedules().await;
            if let Err(error) = &fired {
                tracing::warn!(error = %crate::error::report(error), "firing schedules failed");
            }
            fired.is_ok_and(|fired| fired > 0)
        };
        self.under_way.spawn_on(fire, &shared.bodies);
        None
    }

    /// Waits for the end of what is under way; whether it fired something. Never ready when nothing is.
    pub(super) async fn ended(&mut self) -> bool {
        match self.under_way.join_next().await {
            None => std::future::pending().await,
            Some(ended) => {
                let fired = ended.unwrap_or(false);
                if !fired {
                    self.not_before = Instant::now() + self.poll;
                }
                fired
            }
        }
    }
}
