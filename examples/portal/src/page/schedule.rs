//! A deployment's schedules: a table with its buttons, and the form for another one.

use axum::{
    extract::{Request, State},
    response::{IntoResponse, Redirect, Response},
    routing::{MethodRouter, post},
};
use eyrie_core::{
    id::{DeploymentId, ScheduleId},
    model::{CronExpression, MissedPolicy, NewSchedule, RunKind, Schedule, SchedulePatch, TimeZoneName},
    name::Slug,
};
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    PageAnswer,
    action::{checked, context, fields},
    layout::{badge, csrf, text},
    time::moment,
};
use crate::{authentication::Visitor, portal::Portal, request::Id};

/// What a deployment's page says of its schedules.
pub(super) fn section(visitor: &Visitor, deployment: DeploymentId, schedules: &[Schedule]) -> Markup {
    html! {
        h2 { "Schedules" }
        @if schedules.is_empty() { p.empty { "No schedules." } }
        @else {
            div.scroll { table {
                thead { tr { th { "Schedule" } th { "Times" } th { "For" } th { "Next" } th { "Last" } th { "" } } }
                tbody { @for schedule in schedules { (row(visitor, schedule)) } }
            } }
        }
        details {
            summary { "Add a schedule" }
            form.stack method="post" action={ "/deployments/" (deployment) "/schedules" } {
                (csrf(visitor))
                label for="slug" { "Name" }
                input #slug name="slug" required pattern="[a-z0-9]([a-z0-9-]*[a-z0-9])?" maxlength="63" placeholder="nightly";
                label for="cron" { "Times: minute, hour, day, month and weekday, or for instance @daily" }
                input #cron name="cron" required maxlength="200" placeholder="0 3 * * MON-FRI" spellcheck="false";
                label for="time_zone" { "Time zone" }
                input #time_zone name="time_zone" required value="UTC" placeholder="Europe/Berlin" spellcheck="false";
                label for="schedule-kind" { "What for" }
                select #schedule-kind name="kind" { @for kind in RunKind::ALL { option value=(kind) { (kind) } } }
                label for="missed" { "Times at which no worker was there" }
                select #missed name="missed" {
                    @for (policy, said) in [
                        (MissedPolicy::Skip, "Skip them"),
                        (MissedPolicy::RunOnce, "One run for all of them"),
                        (MissedPolicy::RunAll, "One run for each, ten at most"),
                    ] { option value=(policy) { (said) } }
                }
                label for="schedule-env" { "Environment, one KEY=value a line" }
                textarea #schedule-env name="env" rows="2" spellcheck="false" {}
                button { "Add" }
            }
        }
    }
}

fn row(visitor: &Visitor, schedule: &Schedule) -> Markup {
    let place = format!("/schedules/{}", schedule.id);
    html! { tr {
        td { (schedule.slug) @if !schedule.enabled { " " (badge("paused")) } }
        td { code { (text(schedule.cron.as_str())) } " " (schedule.time_zone) }
        td { (schedule.kind) }
        td { @match schedule.next_fire_at { Some(at) => (moment(at)), None => "–" } }
        td.message {
            @match &schedule.last_fire {
                None => "–",
                Some(last) => {
                    @match last.run_id {
                        Some(run) => a href={ "/runs/" (run) } { (moment(last.at)) },
                        None => (moment(last.at)),
                    }
                    @if !last.message.is_empty() { br; (text(&last.message)) }
                }
            }
        }
        td { div.buttons {
            form method="post" action={ (place) "/" (if schedule.enabled { "pause" } else { "enable" }) } {
                (csrf(visitor))
                button.quiet { @if schedule.enabled { "Pause" } @else { "Enable" } }
            }
            form method="post" action={ (place) "/delete" } { (csrf(visitor)) button.danger { "Delete" } }
        } }
    } }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Add {
    csrf: String,
    slug: String,
    cron: String,
    time_zone: String,
    kind: RunKind,
    missed: MissedPolicy,
    #[serde(default)]
    env: String,
}

/// What a button does to a schedule.
#[derive(Debug, Clone, Copy)]
pub(super) enum Button {
    SetEnabled(bool),
    Delete,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pressed {
    csrf: String,
}

pub(super) async fn add(
    State(portal): State<Portal>,
    visitor: Visitor,
    Id(id): Id<DeploymentId>,
    request: Request,
) -> PageAnswer<Response> {
    let headers = request.headers().clone();
    let form: Add = fields(request, &portal).await?;
    checked(&headers, &form.csrf)?;
    let new = NewSchedule {
        time_zone: TimeZoneName::new(form.time_zone.trim())?,
        kind: form.kind,
        context: context(&form.env)?,
        missed: form.missed,
        ..NewSchedule::new(Slug::new(form.slug)?, CronExpression::new(form.cron)?)
    };
    visitor.acting.create_schedule(id, new).await?;
    Ok(to_deployment(id))
}

/// The route of a button.
pub(super) fn press(button: Button) -> MethodRouter<Portal> {
    post(async move |State(portal): State<Portal>, visitor: Visitor, Id(id): Id<ScheduleId>, request: Request| {
        pressed(&portal, &visitor, id, button, request).await
    })
}

async fn pressed(portal: &Portal, visitor: &Visitor, id: ScheduleId, button: Button, request: Request) -> PageAnswer {
    let headers = request.headers().clone();
    let form: Pressed = fields(request, portal).await?;
    checked(&headers, &form.csrf)?;
    let schedule = visitor.acting.schedule(id).await?;
    match button {
        Button::SetEnabled(enabled) => {
            let patch = SchedulePatch { enabled: Some(enabled), ..SchedulePatch::default() };
            visitor.acting.update_schedule(id, schedule.version, patch).await?;
        }
        Button::Delete => visitor.acting.delete_schedule(id).await?,
    }
    Ok(to_deployment(schedule.deployment_id))
}

fn to_deployment(id: DeploymentId) -> Response {
    Redirect::to(&format!("/deployments/{id}")).into_response()
}
