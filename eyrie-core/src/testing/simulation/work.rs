//! The one action of the simulated plans. Its parameters say how it behaves.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::outside::{BodyEnd, OpenBody, Outside, ProcessId};
use crate::{
    engine::{Action, ActionContext, ActionError, Output, Probed, Reclaimed, UndoOutcome},
    testing::CrashPoint,
};

/// The name under which it is registered.
pub(super) const WORK: &str = "work";

/// How a body behaves.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Behaviour {
    /// How long it takes.
    pub(super) millis: u64,
    /// So many of its attempts fail.
    pub(super) fails: u32,
    /// No further attempt would help.
    pub(super) for_good: bool,
    /// It does not listen to cancels.
    pub(super) is_deaf: bool,
    /// It keeps something for its undo.
    pub(super) saves: bool,
    /// How often it says something.
    pub(super) says: u32,
    /// A probe finds nothing out.
    pub(super) is_opaque: bool,
    /// So many attempts of its undo fail.
    pub(super) undo_fails: u32,
}

/// The action, in one process.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) outside: Arc<Outside>,
    pub(super) process: ProcessId,
}

impl Work {
    async fn execute(&self, cx: ActionContext) -> Result<Option<Output>, ActionError> {
        self.outside.at(self.process, CrashPoint::BeforeBody).await;
        let body = self.outside.begin(self.process, &cx);
        let result = self.attempt(&cx, &body).await;
        self.outside.at(self.process, CrashPoint::AfterBody).await;
        body.end(if result.is_ok() { BodyEnd::Succeeded } else { BodyEnd::Failed });
        result
    }

    async fn attempt(&self, cx: &ActionContext, body: &OpenBody) -> Result<Option<Output>, ActionError> {
        let behaviour: Behaviour = cx.parse_parameters()?;
        for n in 0..behaviour.says {
            cx.progress(format!("{n} of {}", behaviour.says));
        }
        if let Some(undoing) = cx.undoing() {
            if behaviour.saves && undoing.data.is_none() && undoing.outcome != UndoOutcome::Unknown {
                body.wrong("its undo is not given what was kept");
            }
        } else if behaviour.saves {
            cx.save_undo(json!(cx.attempt())).await?;
        }
        let work = tokio::time::sleep(Duration::from_millis(behaviour.millis));
        if behaviour.is_deaf {
            work.await;
        } else {
            tokio::select! {
                biased;
                () = cx.cancelled() => return Err(ActionError::new("stopped")),
                () = work => {}
            }
        }
        let (tries, fails) =
            if cx.undoing().is_some() { (body.undo_tries(), behaviour.undo_fails) } else { (cx.attempt(), behaviour.fails) };
        if tries > fails {
            body.affect(cx.undoing().is_none());
            Ok(Some(json!(cx.attempt())))
        } else if behaviour.for_good {
            Err(ActionError::permanent("failed for good"))
        } else {
            Err(ActionError::new("failed"))
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Action for Work {
    fn is_transactional(&self) -> bool {
        false
    }

    async fn run(&self, cx: ActionContext) -> Result<Option<Output>, ActionError> {
        self.execute(cx).await
    }

    async fn undo(&self, cx: ActionContext) -> Result<(), ActionError> {
        self.execute(cx).await.map(drop)
    }

    async fn probe(&self, cx: ActionContext) -> Probed {
        let state = self.outside.state();
        let is_there = state.effects.get(&(cx.run().id, cx.step())).is_some_and(|effect| effect.is_there);
        match cx.parse_parameters::<Behaviour>() {
            Ok(behaviour) if !behaviour.is_opaque && is_there => Probed::Happened(Some(json!(cx.attempt()))),
            Ok(behaviour) if !behaviour.is_opaque => Probed::NotHappened,
            _ => Probed::Unknown,
        }
    }

    async fn reclaim(&self, _handle: &Value) -> Reclaimed {
        Reclaimed::Dead
    }
}
