//! Actions for tests: each does one thing, well or badly.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use eyrie_core::engine::{Action, ActionContext, ActionError, Output, Probed, UndoOutcome};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

/// Succeeds at once, with its parameters as output.
#[derive(Debug)]
pub struct Echo;

#[async_trait]
impl Action for Echo {
    async fn run(&self, cx: ActionContext) -> Result<Option<Output>, ActionError> {
        Ok(Some(cx.parameters().clone()))
    }
}

/// Adds up the outputs of the steps it needs.
#[derive(Debug)]
pub struct Sum;

#[async_trait]
impl Action for Sum {
    async fn run(&self, cx: ActionContext) -> Result<Option<Output>, ActionError> {
        let names: Vec<String> = cx.parse_parameters()?;
        let sum: i64 = names.iter().filter_map(|name| cx.output_of(name).and_then(Value::as_i64)).sum();
        Ok(Some(json!(sum)))
    }
}

/// Fails until its n-th attempt (the parameter).
#[derive(Debug)]
pub struct Flaky;

#[async_trait]
impl Action for Flaky {
    async fn run(&self, cx: ActionContext) -> Result<Option<Output>, ActionError> {
        let succeeds_at: u32 = cx.parse_parameters()?;
        if cx.attempt() >= succeeds_at {
            Ok(Some(json!(cx.attempt())))
        } else {
            Err(ActionError::new(format!("attempt {} fails", cx.attempt())))
        }
    }
}

/// Waits for a permit, or for the cancel.
#[derive(Debug, Clone)]
pub struct Gate {
    /// Permits let bodies through.
    pub permits: Arc<Semaphore>,
    /// How many bodies have begun.
    pub begun: Arc<AtomicU32>,
}

impl Default for Gate {
    fn default() -> Self {
        Self { permits: Arc::new(Semaphore::new(0)), begun: Arc::default() }
    }
}

impl Gate {
    /// Waits until `count` bodies have begun.
    pub async fn wait_begun(&self, count: u32) {
        let all = async {
            while self.begun.load(Ordering::SeqCst) < count {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), all).await.expect("bodies never began");
    }
}

#[async_trait]
impl Action for Gate {
    async fn run(&self, cx: ActionContext) -> Result<Option<Output>, ActionError> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        tokio::select! {
            permit = self.permits.acquire() => {
                permit.map_err(|error| ActionError::new(error.to_string()))?.forget();
                Ok(None)
            }
            () = cx.cancelled() => Err(ActionError::new("stopped when asked")),
        }
    }

    async fn probe(&self, _cx: ActionContext) -> Probed {
        Probed::Happened(Some(json!("probed")))
    }
}

/// Ignores the cancel and waits for ever at an await point.
#[derive(Debug)]
pub struct Deaf;

#[async_trait]
impl Action for Deaf {
    async fn run(&self, _cx: ActionContext) -> Result<Option<Output>, ActionError> {
        std::future::pending().await
    }
}

/// Blocks its thread for as many milliseconds as its parameter says, without ever yielding.
#[derive(Debug)]
pub struct Blocking;

#[async_trait]
impl Action for Blocking {
    async fn run(&self, cx: ActionContext) -> Result<Option<Output>, ActionError> {
        std::thread::sleep(Duration::from_millis(cx.parse_parameters()?));
        Ok(None)
    }
}

/// Panics.
#[derive(Debug)]
pub struct Panicking;

#[async_trait]
impl Action for Panicking {
    async fn run(&self, _cx: ActionContext) -> Result<Option<Output>, ActionError> {
        panic!("on purpose");
    }
}

/// Says as many progress messages as its parameter says, and as many log lines.
#[derive(Debug)]
pub struct Chatty;

#[async_trait]
impl Action for Chatty {
    async fn run(&self, cx: ActionContext) -> Result<Option<Output>, ActionError> {
        let count: u32 = cx.parse_parameters()?;
        for n in 1..=count {
            cx.progress(format!("{n} of {count}"));
            cx.log(format!("line {n}\n")).await;
        }
        Ok(None)
    }
}

/// Does and undoes, as its parameters say, and keeps a list of what it did.
#[derive(Debug, Clone)]
pub struct Ledger {
    /// What was done, in order.
    pub lines: Arc<Mutex<Vec<String>>>,
    /// Permits let bodies that hold through.
    pub permits: Arc<Semaphore>,
    /// From now on, what is broken goes well.
    pub mended: Arc<AtomicBool>,
}

/// How a step of the ledger behaves.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Behaviour {
    /// The body fails until the ledger is mended.
    broken: bool,
    /// The body waits for a permit.
    holds: bool,
    /// The undo fails until the ledger is mended.
    undo_broken: bool,
    /// The undo waits for a permit.
    undo_holds: bool,
    /// The undo fails until this attempt.
    undo_succeeds_at: u32,
}

impl Default for Ledger {
    fn default() -> Self {
        Self { lines: Arc::default(), permits: Arc::new(Semaphore::new(0)), mended: Arc::default() }
    }
}

impl Ledger {
    /// What was done so far.
    pub fn read(&self) -> Vec<String> {
        self.lines.lock().expect("the ledger").clone()
    }

    /// Waits until there are that many lines.
    pub async fn wait_lines(&self, count: usize) {
        let all = async {
            while self.read().len() < count {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), all).await.unwrap_or_else(|_| panic!("only {:?}", self.read()));
    }

    fn write(&self, line: String) {
        self.lines.lock().expect("the ledger").push(line);
    }

    async fn hold(&self, cx: &ActionContext, holds: bool) -> Result<(), ActionError> {
        if !holds {
            return Ok(());
        }
        tokio::select! {
            permit = self.permits.acquire() => permit.map(|permit| permit.forget()).map_err(|error| ActionError::new(error.to_string())),
            () = cx.cancelled() => Err(ActionError::new("stopped when asked")),
        }
    }
}

#[async_trait]
impl Action for Ledger {
    async fn run(&self, cx: ActionContext) -> Result<Option<Output>, ActionError> {
        if cx.undoing().is_some() {
            return self.undo(cx).await.map(|()| None);
        }
        let behaviour = cx.parse_parameters::<Option<Behaviour>>()?.unwrap_or_default();
        cx.save_undo(json!(format!("was {}", cx.step_name()))).await?;
        self.write(format!("do {}", cx.step_name()));
        self.hold(&cx, behaviour.holds).await?;
        if behaviour.broken && !self.mended.load(Ordering::SeqCst) {
            return Err(ActionError::new("broken"));
        }
        Ok(Some(json!(cx.step_name())))
    }

    async fn undo(&self, cx: ActionContext) -> Result<(), ActionError> {
        let behaviour = cx.parse_parameters::<Option<Behaviour>>()?.unwrap_or_default();
        let undoing = cx.undoing().ok_or_else(|| ActionError::permanent("not told what to undo"))?;
        let outcome = match &undoing.outcome {
            UndoOutcome::Succeeded(output) => format!("succeeded {}", output.clone().unwrap_or_default()),
            UndoOutcome::Unknown => "unknown".to_owned(),
        };
        let data = undoing.data.as_ref().and_then(Value::as_str).unwrap_or("nothing kept");
        self.write(format!("undo {}: {outcome}, {data}", cx.step_name()));
        self.hold(&cx, behaviour.undo_holds).await?;
        let mended = self.mended.load(Ordering::SeqCst);
        if (behaviour.undo_broken && !mended) || cx.attempt() < behaviour.undo_succeeds_at {
            return Err(ActionError::new("cannot be undone now"));
        }
        Ok(())
    }
}
