//! The harness finds what is wrong with an action, and nothing wrong with a good one.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use serde_json::json;

use crate::{
    EyrieBuilder,
    engine::{Action, ActionContext, ActionError, Output, Probed},
    model::{CrashPolicy, Plan, RetryPolicy, Role, RunState, StopPolicy},
    testing::{Case, Harness},
};

/// A folder of files by name: what the actions act on.
type Folder = Arc<Mutex<BTreeSet<String>>>;

/// Puts a file with the name of its step into the folder.
#[derive(Debug, Clone, Default)]
struct Put {
    folder: Folder,
    /// Does not take what is there already.
    is_picky: bool,
    /// Takes a file of another name away.
    is_clumsy: bool,
}

#[async_trait]
impl Action for Put {
    async fn run(&self, cx: ActionContext) -> Result<Option<Output>, ActionError> {
        cx.save_undo(json!(cx.step_name())).await?;
        tokio::select! {
            biased;
            () = cx.cancelled() => return Err(ActionError::new("stopped")),
            () = tokio::time::sleep(Duration::from_secs(2)) => {}
        }
        let is_new = self.folder.lock().unwrap().insert(cx.step_name().to_string());
        if self.is_picky && !is_new { Err(ActionError::permanent("it is there already")) } else { Ok(Some(json!(cx.attempt()))) }
    }

    async fn undo(&self, cx: ActionContext) -> Result<(), ActionError> {
        let name = if self.is_clumsy { "another".to_owned() } else { cx.step_name().to_string() };
        self.folder.lock().unwrap().remove(&name);
        Ok(())
    }

    async fn probe(&self, cx: ActionContext) -> Probed {
        if self.folder.lock().unwrap().contains(cx.step_name().as_str()) { Probed::Happened(None) } else { Probed::NotHappened }
    }
}

fn plan(on_crash: CrashPolicy) -> Plan {
    let retry = RetryPolicy::exponential(3, Duration::from_secs(1));
    Plan::builder()
        .step("build", "put", |step| step.undo().retry(retry).on_crash(on_crash))
        .step("lint", "put", |step| step.undo())
        .approval("release", Role::Developer, |step| step.needs(["build", "lint"]))
        .step("ship", "put", |step| step.needs(["release"]).undo().timeout_seconds(60))
        .on_failure(StopPolicy::Undo)
        .build()
        .unwrap()
}

/// A harness whose cases each begin with an empty folder, and end with one if the run was undone.
fn harness(plan: Plan, put: Put) -> Harness {
    let (folder, left) = (Arc::clone(&put.folder), Arc::clone(&put.folder));
    let actions = move |eyrie: EyrieBuilder| eyrie.action("put", put.clone());
    Harness::new(plan, actions).before_each(move |_| folder.lock().unwrap().clear()).after_each(move |ended| {
        let left = left.lock().unwrap();
        let expected = if ended.record.run.state == RunState::Undone { 0 } else { 3 };
        if left.len() == expected { Ok(()) } else { Err(format!("{left:?} is left")) }
    })
}

#[test]
fn a_good_action_passes_every_case() {
    for on_crash in [CrashPolicy::Rerun, CrashPolicy::Probe, CrashPolicy::NeedsOperator] {
        let tried = harness(plan(on_crash), Put::default()).run().unwrap();
        assert!(tried > 150, "{tried} cases");
    }
}

/// Takes its time outside of tokio.
#[derive(Debug)]
struct Slow;

#[async_trait]
impl Action for Slow {
    async fn run(&self, cx: ActionContext) -> Result<Option<Output>, ActionError> {
        let slept = tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_millis(5))).await;
        slept.map_err(|error| ActionError::new(error.to_string()))?;
        Ok(Some(json!(cx.attempt())))
    }
}

#[test]
fn real_things_take_real_time() {
    let plan = Plan::builder().step("slow", "slow", |step| step.timeout_seconds(20)).build().unwrap();
    let tried = Harness::new(plan, |eyrie| eyrie.action("slow", Slow)).real_time().run().unwrap();
    assert!(tried > 20, "{tried} cases");
}

#[tokio::test]
async fn it_is_not_to_be_called_on_a_runtime() {
    let plan = Plan::builder().step("slow", "slow", |step| step).build().unwrap();
    let failure = Harness::new(plan, |eyrie| eyrie.action("slow", Slow)).run().unwrap_err();
    assert!(failure.case().is_none() && failure.to_string().contains("#[test]"), "{failure}");
}

#[test]
fn an_action_that_cannot_be_repeated_is_found() {
    let failure = harness(plan(CrashPolicy::Rerun), Put { is_picky: true, ..Put::default() }).run().unwrap_err();
    assert_eq!(failure.case().map(ToString::to_string).as_deref(), Some("double:build"));
    assert!(
        failure.to_string().contains("EYRIE_TEST_CASE=\"double:build\"") && failure.to_string().contains("it is there already"),
        "{failure}"
    );
}

#[test]
fn an_undo_that_leaves_something_is_found() {
    let failure = harness(plan(CrashPolicy::Rerun), Put { is_clumsy: true, ..Put::default() }).run().unwrap_err();
    assert!(matches!(failure.case(), Some(Case::FailAfter(_))) && failure.to_string().contains("is left"), "{failure}");
}

#[test]
fn a_step_that_never_succeeds_is_found_at_once() {
    let plan = Plan::builder().step("a", "put", |step| step.timeout_seconds(1)).build().unwrap();
    let failure = harness(plan, Put::default()).run().unwrap_err();
    assert_eq!(failure.case(), Some(&Case::Well));
    assert!(failure.to_string().contains("timed out"), "{failure}");
}
