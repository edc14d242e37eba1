//! What somebody decides about a run: resumed, run again, and what becomes of one of its steps.

use std::process::ExitCode;

use eyrie_core::{
    id::RunId,
    model::{StepIndex, StepState},
};
use eyrie_portal::{Decision, StepDecision};
use serde_json::Value;

use super::{CliResult, Place, RerunArguments, RunArguments, StepArguments, backend::Backend, deploy::show, progress::printable, say};

/// `eyrie resume` and `eyrie retry-undo`.
pub(super) async fn decide(place: &Place, arguments: RunArguments, decision: Decision) -> CliResult {
    let run: RunId = arguments.run.parse()?;
    let backend = Backend::open(place, arguments.follow).await?;
    carry_out(backend, run, decision, &arguments.reason, arguments.follow).await
}

/// `eyrie approve`, `reject`, `retry-step` and `skip-undo`.
pub(super) async fn decide_step(place: &Place, arguments: StepArguments, decision: StepDecision) -> CliResult {
    let run: RunId = arguments.run.parse()?;
    let backend = Backend::open(place, arguments.follow).await?;
    let step = Question::of(decision).answered(&backend, run, arguments.step.as_deref()).await?;
    carry_out(backend, run, Decision::Step(decision, step), &arguments.reason, arguments.follow).await
}

/// `eyrie rerun`.
pub(super) async fn rerun(place: &Place, arguments: RerunArguments) -> CliResult {
    let run: RunId = arguments.run.parse()?;
    let backend = Backend::open(place, arguments.follow).await?;
    let new = backend.rerun(run, arguments.idempotency_key).await?;
    say(format_args!("run {new}"));
    finish(backend, new, 0, arguments.follow, "succeeded").await
}

/// Which of a run's steps may be meant.
#[derive(Clone, Copy)]
enum Question {
    Approval,
    Ended(StepState),
}

impl Question {
    const fn of(decision: StepDecision) -> Self {
        match decision {
            StepDecision::Approve | StepDecision::Reject => Self::Approval,
            StepDecision::Retry => Self::Ended(StepState::Failed),
            StepDecision::SkipUndo => Self::Ended(StepState::UndoFailed),
        }
    }

    /// The place of the step of that name, or of the only one that may be meant.
    async fn answered(self, backend: &Backend, run: RunId, name: Option<&str>) -> CliResult<StepIndex> {
        let (open, what) = match self {
            Self::Approval => (backend.approvals(run).await?, "waits for no approval".to_owned()),
            Self::Ended(state) => (ended(&backend.run(run).await?, state), format!("has no step that is {state}")),
        };
        let fitting: Vec<_> = open.iter().filter(|one| name.is_none_or(|name| one["name"] == name)).collect();
        match fitting.as_slice() {
            [one] => Ok(serde_json::from_value(one["step"].clone())?),
            [] if open.is_empty() => Err(format!("run {run} {what}").into()),
            _ => {
                let names: Vec<_> = open.iter().map(|one| printable(one["name"].as_str().unwrap_or_default())).collect();
                Err(format!("the steps to decide on are: {}; name one", names.join(", ")).into())
            }
        }
    }
}

/// The run's planned steps in that state.
fn ended(view: &Value, state: StepState) -> Vec<Value> {
    let steps = view["steps"].as_array().into_iter().flatten();
    let planned = steps.filter(|step| step["parent"].is_null() && step["state"] == state.as_str());
    planned.map(|step| serde_json::json!({ "step": step["index"], "name": step["name"] })).collect()
}

async fn carry_out(backend: Backend, run: RunId, decision: Decision, reason: &str, follow: bool) -> CliResult {
    let before = backend.run(run).await?["last_seq"].as_u64().unwrap_or_default();
    let view = backend.decide(run, decision, reason).await?;
    say(format_args!("run {run} {}", view["state"].as_str().unwrap_or_default()));
    let is_undo = matches!(decision, Decision::RetryUndo | Decision::Step(StepDecision::SkipUndo, _));
    finish(backend, run, before, follow, if is_undo { "undone" } else { "succeeded" }).await
}

/// Follows the run to its end if asked to, which should be in the `wanted` state.
async fn finish(backend: Backend, run: RunId, after: u64, follow: bool, wanted: &str) -> CliResult {
    let went_well = !follow || show(&backend, run, after).await? == wanted;
    backend.close().await;
    Ok(if went_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
