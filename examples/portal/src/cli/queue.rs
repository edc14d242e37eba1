//! `eyrie queue`.

use std::process::ExitCode;

use eyrie_core::{id::RunId, model::QueuePlace};

use super::{CliResult, Place, QueueArguments, backend::Backend, progress::printable, say};

/// Says where a run stands, or lists what has not ended of a service's runs.
pub(super) async fn queue(place: &Place, arguments: QueueArguments) -> CliResult {
    let backend = Backend::open(place, false).await?;
    match (arguments.run, arguments.service) {
        (Some(run), _) => {
            let run: RunId = run.parse()?;
            let place: QueuePlace = serde_json::from_value(backend.queue_place(run).await?)?;
            say(place);
        }
        (None, service) => {
            let page = backend.queue(&service.unwrap_or_default(), arguments.limit).await?;
            say(format_args!("{:<36}  {:<8}  {:<10}  place", "run", "kind", "state"));
            for run in page["items"].as_array().into_iter().flatten() {
                let text = |key: &str| printable(run[key].as_str().unwrap_or("-"));
                let place: QueuePlace = serde_json::from_value(run["queue"].clone())?;
                say(format_args!("{:<36}  {:<8}  {:<10}  {place}", text("id"), text("kind"), text("state")));
            }
        }
    }
    backend.close().await;
    Ok(ExitCode::SUCCESS)
}
