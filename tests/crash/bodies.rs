//! What the steps of random plans do: nothing for a moment, said in the journal.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use eyrie_core::{
    engine::{Action, ActionContext, ActionError, Output, UndoOutcome},
    testing::{CrashPoint, Rng},
};
use serde_json::{Value, json};

use super::{
    journal::Journal,
    plans::Manners,
    points::{Fate, Place},
};

/// Does nothing for a moment, and says when it begins and ends.
#[derive(Debug)]
pub struct Work {
    journal: Journal,
    fate: Fate,
    salt: AtomicU64,
}

/// A body under way. Dropped before its end it says so.
struct Said<'a> {
    journal: &'a Journal,
    cx: &'a ActionContext,
    ended: bool,
}

impl<'a> Said<'a> {
    /// Says that the body begins; of an undo also what it knows of its step.
    fn begin(journal: &'a Journal, cx: &'a ActionContext) -> Self {
        let (run, key) = (cx.run(), cx.idempotency_key());
        let known = cx.undoing().map_or(String::new(), |undoing| {
            let outcome = match &undoing.outcome {
                UndoOutcome::Succeeded(output) => json!(output).to_string(),
                UndoOutcome::Unknown => "unknown".to_owned(),
            };
            format!("{outcome}\t{}", json!(undoing.data))
        });
        let said = Self { journal, cx, ended: false };
        journal.say(&[&said.word("begin"), &run.id, &cx.step_name(), &cx.attempt(), &std::process::id(), &run.deployment_id, &key, &known]);
        said
    }

    fn word(&self, word: &str) -> String {
        if self.cx.undoing().is_some() { format!("undo-{word}") } else { word.to_owned() }
    }

    fn say(&self, word: &str, how: &str) {
        let (cx, word) = (self.cx, self.word(word));
        self.journal.say(&[&word, &cx.run().id, &cx.step_name(), &cx.attempt(), &std::process::id(), &how]);
    }

    fn end(mut self, how: &str) {
        self.say("end", how);
        self.ended = true;
    }
}

impl Drop for Said<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.say("stopped", "");
        }
    }
}

impl Work {
    /// Said in this journal; the salt makes processes of the same id differ.
    pub fn new(journal: Journal, fate: Fate, salt: u64) -> Self {
        Self { journal, fate, salt: AtomicU64::new(salt) }
    }

    fn rng(&self) -> Rng {
        Rng::new(u64::from(std::process::id()) << 32 | self.salt.fetch_add(1, Ordering::Relaxed))
    }
}

#[async_trait]
impl Action for Work {
    async fn run(&self, cx: ActionContext) -> Result<Option<Output>, ActionError> {
        let mut rng = self.rng();
        let manners: Manners = cx.parse_parameters()?;
        self.fate.pass(CrashPoint::BeforeBody.into());
        let body = Said::begin(&self.journal, &cx);
        if rng.once_in(2) {
            cx.save_undo(json!(cx.attempt())).await.map_err(|error| ActionError::new(error.to_string()))?;
            body.say("kept", "");
        }
        tokio::time::sleep(Duration::from_millis(rng.below(8))).await;
        self.fate.pass(Place::IN_BODY);
        if rng.once_in(4) {
            cx.progress("half way");
        }
        if rng.once_in(4) {
            cx.log("half way\n").await;
        }
        // Some stop when they are told to, some go on to their end.
        let rest = tokio::time::sleep(Duration::from_millis(rng.below(8)));
        if rng.once_in(2) {
            rest.await;
        } else {
            tokio::select! {
                () = rest => {}
                () = cx.cancelled() => return Err(ActionError::new("stopped when asked")),
            }
        }
        if manners.broken {
            body.end("failed");
            return Err(ActionError::permanent("broken"));
        }
        if cx.attempt() <= manners.fails {
            body.end("failed");
            return Err(ActionError::new("not yet"));
        }
        body.end("ok");
        self.fate.pass(CrashPoint::AfterBody.into());
        Ok(Some(json!(cx.attempt())))
    }

    async fn undo(&self, cx: ActionContext) -> Result<(), ActionError> {
        let mut rng = self.rng();
        let manners: Manners = cx.parse_parameters()?;
        let body = Said::begin(&self.journal, &cx);
        tokio::time::sleep(Duration::from_millis(rng.below(8))).await;
        self.fate.pass(Place::IN_UNDO);
        tokio::time::sleep(Duration::from_millis(rng.below(8))).await;
        // The step's last attempt lies before the undo's first: an undo that knows of it can count its own.
        let kept = cx.saved_undo().as_ref().and_then(Value::as_u64).and_then(|kept| u32::try_from(kept).ok());
        if manners.undo_broken {
            body.end("failed");
            return Err(ActionError::permanent("broken"));
        }
        if kept.is_some_and(|kept| cx.attempt() - kept <= manners.undo_fails) {
            body.end("failed");
            return Err(ActionError::new("not yet"));
        }
        body.end("ok");
        Ok(())
    }
}

/// Waits until the file that its parameter names is there.
#[derive(Debug)]
pub struct Hold(pub Journal);

#[async_trait]
impl Action for Hold {
    async fn run(&self, cx: ActionContext) -> Result<Option<Output>, ActionError> {
        let file: PathBuf = cx.parse_parameters()?;
        let body = Said::begin(&self.0, &cx);
        while !file.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        body.end("ok");
        Ok(None)
    }
}
