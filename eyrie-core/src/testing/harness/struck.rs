//! An action that is struck as the case says: it fails, or its process dies behind it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::Notify;

use super::Case;
use crate::{
    engine::{Action, ActionContext, ActionError, Output, Probed, Reclaimed},
    name::StepName,
};

/// What happens to the bodies of a case, over all its processes.
#[derive(Debug)]
pub(super) struct Blow {
    case: Case,
    /// The step that fails for good so that the run is undone, in a case that is about its undo.
    failing: Option<StepName>,
    /// The process has died once already.
    is_spent: AtomicBool,
    pub(super) died: Notify,
}

impl Blow {
    pub(super) fn new(case: Case, failing: Option<StepName>) -> Self {
        Self { case, failing, is_spent: AtomicBool::new(false), died: Notify::new() }
    }

    /// The process dies here, if it has not yet.
    async fn die_once(&self) {
        if !self.is_spent.swap(true, Ordering::SeqCst) {
            self.died.notify_one();
            std::future::pending().await
        }
    }
}

/// The action, struck.
#[derive(Debug)]
pub(super) struct Struck {
    pub(super) inner: Arc<dyn Action>,
    pub(super) blow: Arc<Blow>,
}

impl Struck {
    async fn execute(&self, cx: ActionContext) -> Result<Option<Output>, ActionError> {
        let step = cx.step_name().clone();
        let is_undo = cx.undoing().is_some();
        let fails = || ActionError::permanent("made to fail by the test kit");
        let Blow { case, failing, .. } = &*self.blow;
        if *case == Case::FailInstead(step.clone()) && !is_undo {
            return Err(fails());
        }
        // An undo may be another action's body.
        let output = self.inner.run(cx).await?;
        match case {
            Case::Double(struck) if *struck == step && !is_undo => self.blow.die_once().await,
            Case::DoubleUndo(struck) if *struck == step && is_undo => self.blow.die_once().await,
            Case::FailAfter(struck) if *struck == step && !is_undo => return Err(fails()),
            _ => {}
        }
        if failing.as_ref() == Some(&step) && !is_undo { Err(fails()) } else { Ok(output) }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Action for Struck {
    async fn run(&self, cx: ActionContext) -> Result<Option<Output>, ActionError> {
        self.execute(cx).await
    }

    async fn undo(&self, cx: ActionContext) -> Result<(), ActionError> {
        let step = cx.step_name().clone();
        self.inner.undo(cx).await?;
        if self.blow.case == Case::DoubleUndo(step) {
            self.blow.die_once().await;
        }
        Ok(())
    }

    fn is_transactional(&self) -> bool {
        self.inner.is_transactional()
    }

    async fn probe(&self, cx: ActionContext) -> Probed {
        self.inner.probe(cx).await
    }

    async fn reclaim(&self, handle: &Value) -> Reclaimed {
        self.inner.reclaim(handle).await
    }
}
