//! `eyrie schedule`: runs of a service at recurring times.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use eyrie_core::{
    model::{CronExpression, MissedPolicy, RunKind, SchedulePatch, TimeZoneName},
    name::{ServiceName, Slug},
    store::PageRequest,
};
use serde_json::{Value, json};

use super::{CliResult, Place, backend::Backend, deploy::environment, progress::printable, say};

#[derive(Debug, Subcommand)]
pub(super) enum ScheduleCommand {
    /// Start runs of a service at recurring times.
    Add(AddArguments),
    /// List a service's schedules.
    List {
        /// The service's name.
        service: String,
    },
    /// Have a schedule fire again, within your rights; what it would have done meanwhile was not missed.
    Enable(Named),
    /// Keep a schedule that does not fire until it is enabled; what it started goes on.
    Disable(Named),
    /// Delete a schedule; what it started goes on.
    Remove(Named),
}

/// Which schedule.
#[derive(Debug, Clone, Args)]
pub(super) struct Named {
    /// The service's name.
    service: String,
    /// The schedule's name.
    name: Slug,
}

#[derive(Debug, Clone, Args)]
pub(super) struct AddArguments {
    /// The service's name.
    service: String,
    /// The schedule's name: letters, digits and '-'.
    name: Slug,
    /// When: minute, hour, day, month and weekday, for instance "0 3 * * MON-FRI", or one of @hourly, @daily, @weekly, @monthly, @yearly.
    cron: CronExpression,
    /// Where those times are read, by its name in the IANA database, for instance Europe/Berlin.
    #[arg(long, default_value = "UTC")]
    time_zone: TimeZoneName,
    /// What its runs are for.
    #[arg(long, default_value = "deploy")]
    kind: RunKind,
    /// What becomes of times at which no worker was there: skip, run_once or run_all.
    #[arg(long, default_value = "skip")]
    missed: MissedPolicy,
    /// Pass `KEY=VALUE` to the script, in its context file under `context.env`.
    #[arg(long = "env", value_name = "KEY=VALUE")]
    env: Vec<String>,
}

/// `eyrie schedule …`.
pub(super) async fn schedule(place: &Place, command: ScheduleCommand) -> CliResult {
    let backend = Backend::open(place, false).await?;
    match command {
        ScheduleCommand::Add(arguments) => add(&backend, arguments).await?,
        ScheduleCommand::List { service } => list(&backend, &service).await?,
        ScheduleCommand::Enable(named) => set_enabled(&backend, &named, true).await?,
        ScheduleCommand::Disable(named) => set_enabled(&backend, &named, false).await?,
        ScheduleCommand::Remove(named) => remove(&backend, &named).await?,
    }
    backend.close().await;
    Ok(ExitCode::SUCCESS)
}

async fn add(backend: &Backend, arguments: AddArguments) -> CliResult<()> {
    let new = json!({
        "slug": arguments.name,
        "cron": arguments.cron,
        "time_zone": arguments.time_zone,
        "kind": arguments.kind,
        "context": { "env": environment(&arguments.env)? },
        "missed": arguments.missed,
    });
    let schedule = match backend {
        Backend::Local { me, .. } => {
            let deployment = me.service_deployment(&ServiceName::new(arguments.service)?).await?;
            serde_json::to_value(me.create_schedule(deployment.id, serde_json::from_value(new)?).await?)?
        }
        Backend::Remote(remote) => {
            let deployment = remote.get(&format!("services/{}/deployment", arguments.service)).await?;
            remote.post(&format!("deployments/{}/schedules", text(&deployment, "id")), &new, None).await?
        }
    };
    say(format_args!("added {}, first at {}", text(&schedule, "slug"), text(&schedule, "next_fire_at")));
    Ok(())
}

async fn list(backend: &Backend, service: &str) -> CliResult<()> {
    say(format_args!("{:<20}  {:<20}  {:<20}  {:<8}  {:<20}  last", "schedule", "times", "zone", "kind", "next"));
    for one in schedules(backend, service).await? {
        let last = match one["last_fire"].as_object() {
            None => "-".to_owned(),
            Some(_) => {
                let last = &one["last_fire"];
                let came = if last["run_id"].is_string() { format!("run {}", text(last, "run_id")) } else { String::new() };
                format!("{} {came} {}", text(last, "at"), text(last, "message"))
            }
        };
        let [slug, cron, zone, kind, next] = ["slug", "cron", "time_zone", "kind", "next_fire_at"].map(|key| text(&one, key));
        let next = if one["enabled"] == false { "disabled".to_owned() } else { next };
        say(format_args!("{slug:<20}  {cron:<20}  {zone:<20}  {kind:<8}  {next:<20}  {}", last.trim_end()));
    }
    Ok(())
}

async fn set_enabled(backend: &Backend, named: &Named, enabled: bool) -> CliResult<()> {
    let found = find(backend, named).await?;
    let (id, version) = (text(&found, "id"), found["version"].as_u64().unwrap_or_default());
    let schedule = match backend {
        Backend::Local { me, .. } => {
            let patch = SchedulePatch { enabled: Some(enabled), ..SchedulePatch::default() };
            serde_json::to_value(me.update_schedule(id.parse()?, version, patch).await?)?
        }
        Backend::Remote(remote) => remote.patch(&format!("schedules/{id}"), version, &json!({ "enabled": enabled })).await?,
    };
    match enabled {
        true => say(format_args!("enabled {}, next at {}", named.name, text(&schedule, "next_fire_at"))),
        false => say(format_args!("disabled {}", named.name)),
    }
    Ok(())
}

async fn remove(backend: &Backend, named: &Named) -> CliResult<()> {
    let id = text(&find(backend, named).await?, "id");
    match backend {
        Backend::Local { me, .. } => me.delete_schedule(id.parse()?).await?,
        Backend::Remote(remote) => remote.delete(&format!("schedules/{id}")).await?,
    }
    say(format_args!("removed {}", named.name));
    Ok(())
}

async fn find(backend: &Backend, Named { service, name }: &Named) -> CliResult<Value> {
    let found = schedules(backend, service).await?.into_iter().find(|one| one["slug"] == name.as_str());
    found.ok_or_else(|| format!("{} has no schedule {name}", printable(service)).into())
}

/// The service's schedules, as JSON. There are few.
async fn schedules(backend: &Backend, service: &str) -> CliResult<Vec<Value>> {
    let mut page = match backend {
        Backend::Local { me, .. } => {
            let deployment = me.service_deployment(&ServiceName::new(service)?).await?;
            serde_json::to_value(me.schedules(deployment.id, PageRequest::default()).await?)?
        }
        Backend::Remote(remote) => {
            let deployment = remote.get(&format!("services/{service}/deployment")).await?;
            remote.get(&format!("deployments/{}/schedules", text(&deployment, "id"))).await?
        }
    };
    Ok(serde_json::from_value(page["items"].take())?)
}

fn text(value: &Value, key: &str) -> String {
    printable(value[key].as_str().unwrap_or("-"))
}
