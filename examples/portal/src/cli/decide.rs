//! What somebody decides about a run: resumed, run again, approved, rejected.

use std::process::ExitCode;

use eyrie_core::id::RunId;

use super::{CliResult, DecideArguments, Place, RerunArguments, ResumeArguments, backend::Backend, deploy::show, progress::printable, say};

/// `eyrie resume`.
pub(super) async fn resume(place: &Place, arguments: ResumeArguments) -> CliResult {
    let run: RunId = arguments.run.parse()?;
    let backend = Backend::open(place, arguments.follow).await?;
    let before = last_event(&backend, run).await?;
    let view = backend.resume(run, &arguments.reason).await?;
    say(format_args!("run {run} {}", view["state"].as_str().unwrap_or_default()));
    finish(backend, run, before, arguments.follow).await
}

/// `eyrie rerun`.
pub(super) async fn rerun(place: &Place, arguments: RerunArguments) -> CliResult {
    let run: RunId = arguments.run.parse()?;
    let backend = Backend::open(place, arguments.follow).await?;
    let new = backend.rerun(run, arguments.idempotency_key).await?;
    say(format_args!("run {new}"));
    finish(backend, new, 0, arguments.follow).await
}

/// `eyrie approve` and `eyrie reject`.
pub(super) async fn decide(place: &Place, arguments: DecideArguments, approved: bool) -> CliResult {
    let run: RunId = arguments.run.parse()?;
    let backend = Backend::open(place, arguments.follow).await?;
    let step = waiting(&backend, run, arguments.step.as_deref()).await?;
    let before = last_event(&backend, run).await?;
    let view = backend.decide(run, step, approved, &arguments.reason).await?;
    say(format_args!("run {run} {}", view["state"].as_str().unwrap_or_default()));
    finish(backend, run, before, arguments.follow).await
}

/// The place of the approval of that name, or of the only one that the run waits for.
async fn waiting(backend: &Backend, run: RunId, name: Option<&str>) -> CliResult<u32> {
    let open = backend.approvals(run).await?;
    let fitting: Vec<_> = open.iter().filter(|one| name.is_none_or(|name| one["name"] == name)).collect();
    match fitting.as_slice() {
        [one] => Ok(serde_json::from_value(one["step"].clone())?),
        [] if open.is_empty() => Err(format!("run {run} waits for no approval").into()),
        _ => {
            let names: Vec<_> = open.iter().map(|one| printable(one["name"].as_str().unwrap_or_default())).collect();
            Err(format!("run {run} waits for the approval of: {}; name one", names.join(", ")).into())
        }
    }
}

async fn last_event(backend: &Backend, run: RunId) -> CliResult<u64> {
    Ok(backend.run(run).await?["last_seq"].as_u64().unwrap_or_default())
}

async fn finish(backend: Backend, run: RunId, after: u64, follow: bool) -> CliResult {
    let succeeded = !follow || show(&backend, run, after).await?;
    backend.close().await;
    Ok(if succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
