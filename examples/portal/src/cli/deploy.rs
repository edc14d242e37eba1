//! `eyrie deploy`.

use std::process::ExitCode;

use eyrie_core::id::RunId;
use serde_json::{Map, Value};

use super::{
    CliResult, DeployArguments, Place,
    backend::{Backend, Deploy},
    progress::RunDisplay,
    say,
};

/// Deploys a service, and shows it if asked to.
pub(super) async fn deploy(place: &Place, arguments: DeployArguments) -> CliResult {
    let backend = Backend::open(place, arguments.follow).await?;
    let deploy = Deploy { env: environment(&arguments.env)?, not_before: arguments.not_before, key: arguments.idempotency_key };
    let run = backend.deploy(&arguments.service, deploy).await?;
    say(format_args!("run {run}"));
    let succeeded = !arguments.follow || show(&backend, run, 0).await? == "succeeded";
    backend.close().await;
    Ok(if succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What `--env` says.
pub(super) fn environment(pairs: &[String]) -> CliResult<Value> {
    let mut env = Map::new();
    for pair in pairs {
        let (key, value) = pair.split_once('=').ok_or_else(|| format!("--env {pair}: must be KEY=VALUE"))?;
        env.insert(key.to_owned(), Value::from(value));
    }
    Ok(Value::Object(env))
}

/// Shows the run from behind that event until it ends, and answers with the state in which it did.
pub(super) async fn show(backend: &Backend, run: RunId, after: u64) -> CliResult<String> {
    let mut display = RunDisplay::new();
    let mut events = backend.follow(run, after).await?;
    while let Some(event) = events.next().await? {
        display.show(&event);
    }
    Ok(display.finish())
}
