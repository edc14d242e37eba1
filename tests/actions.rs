//! Actions for tests: each does one thing, well or badly.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use eyrie_core::engine::{Action, ActionContext, ActionError, Output, Probed};
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
