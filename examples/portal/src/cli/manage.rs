//! The commands that look at things and manage them.

use std::{
    collections::HashMap,
    io::{BufRead, IsTerminal, Write},
    process::ExitCode,
    time::Duration,
};

use eyrie_core::id::RunId;
use eyrie_portal::Decision;
use serde_json::Value;

use super::{CliResult, Place, backend::Backend, deploy::show, local::check_services, progress::printable, remote::is_final, say};

/// `eyrie runs`.
pub(super) async fn runs(place: &Place, service: Option<&str>, limit: u32) -> CliResult {
    let backend = Backend::open(place, false).await?;
    let page = backend.runs(service, limit).await?;
    let text = |run: &Value, key: &str| printable(run[key].as_str().unwrap_or("-"));
    say(format_args!("{:<36}  {:<20}  {:<8}  {:<10}  {:<20}  message", "run", "deployment", "kind", "state", "queued"));
    let mut names = HashMap::new();
    for run in page["items"].as_array().into_iter().flatten() {
        let (id, kind, state, message) = (text(run, "id"), text(run, "kind"), text(run, "state"), text(run, "message"));
        let deployment = text(run, "deployment_id");
        if !names.contains_key(&deployment) {
            let name = backend.deployment_name(&deployment).await;
            names.insert(deployment.clone(), name.as_deref().map_or_else(|| deployment.clone(), printable));
        }
        // To the second: "2026-01-31T12:00:00" of a time in UTC.
        let queued = format!("{:.19}Z", text(run, "queued_at"));
        say(format_args!("{id:<36}  {:<20}  {kind:<8}  {state:<10}  {queued:<20}  {message}", names[&deployment]));
    }
    backend.close().await;
    Ok(ExitCode::SUCCESS)
}

/// `eyrie logs`.
pub(super) async fn logs(place: &Place, run: &str, follow: bool) -> CliResult {
    let run: RunId = run.parse()?;
    let backend = Backend::open(place, false).await?;
    let mut offset = 0;
    loop {
        // The state is read first: what was logged before a run ended is there once it has.
        let ended = is_final(backend.run(run).await?["state"].as_str().unwrap_or_default());
        loop {
            let (text, end) = backend.log(run, offset).await?;
            if text.is_empty() {
                break;
            }
            offset = end;
            let clean: String = text.chars().map(|c| if c.is_control() && !matches!(c, '\n' | '\t') { '\u{fffd}' } else { c }).collect();
            let mut out = std::io::stdout().lock();
            out.write_all(clean.as_bytes())?;
            out.flush()?;
        }
        if ended || !follow {
            break;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    backend.close().await;
    Ok(ExitCode::SUCCESS)
}

/// `eyrie cancel`.
pub(super) async fn cancel(place: &Place, run: &str, reason: &str) -> CliResult {
    let run: RunId = run.parse()?;
    let backend = Backend::open(place, false).await?;
    backend.decide(run, Decision::Cancel, reason).await?;
    // What it did may have been undone: then that is how its cancel ends.
    let cancelled = matches!(show(&backend, run, 0).await?.as_str(), "cancelled" | "undone");
    backend.close().await;
    Ok(if cancelled { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// `eyrie sync`.
pub(super) async fn sync(place: &Place) -> CliResult {
    if place.server.is_none() {
        check_services(&place.services)?;
    }
    let backend = Backend::open(place, false).await?;
    let report = backend.sync().await?;
    backend.close().await;
    Ok(if say_sync(&report) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints what a sync did, and says whether everything could be taken.
pub(super) fn say_sync(report: &Value) -> bool {
    for synced in report["synced"].as_array().into_iter().flatten() {
        say(format_args!("{:<10} {}", synced["change"].as_str().unwrap_or_default(), synced["name"].as_str().unwrap_or_default()));
    }
    for missing in report["missing"].as_array().into_iter().flatten() {
        say(format_args!("{:<10} {} (kept)", "missing", missing.as_str().unwrap_or_default()));
    }
    let refused = report["refused"].as_array().cloned().unwrap_or_default();
    for one in &refused {
        say(format_args!("{:<10} {}: {}", "refused", one[0].as_str().unwrap_or_default(), one[1].as_str().unwrap_or_default()));
    }
    refused.is_empty()
}

/// `eyrie user add`.
pub(super) async fn add_user(place: &Place, name: &str, operator: bool) -> CliResult {
    let password = if std::io::stdin().is_terminal() {
        rpassword::prompt_password(format!("Password for {name}: "))?
    } else {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line)?;
        line.trim_end_matches(['\r', '\n']).to_owned()
    };
    let backend = Backend::open(place, false).await?;
    backend.add_user(name, password, operator).await?;
    backend.close().await;
    say(format_args!("added {name}"));
    Ok(ExitCode::SUCCESS)
}
