//! A deployment: its runs, and its settings with the level that each comes from.

use axum::{extract::State, response::Html};
use eyrie_core::{
    id::DeploymentId,
    model::RunKind,
    store::{DeployedServiceFilter, PageRequest, RunFilter},
};
use maud::html;

use super::{
    PageAnswer,
    layout::{badge, csrf, json, older, page, run_table},
    monitor, queue, schedule, source,
    time::moment,
};
use crate::{
    authentication::Visitor,
    portal::Portal,
    request::{Filter, Id},
    setup::random_text,
};

pub(super) async fn show(
    State(portal): State<Portal>,
    visitor: Visitor,
    Id(id): Id<DeploymentId>,
    mut filter: Filter,
) -> PageAnswer<Html<String>> {
    let asked = filter.page()?;
    let view = visitor.acting.deployment(id).await?;
    let runs = visitor.acting.runs(RunFilter { deployment: Some(id), ..RunFilter::default() }, asked).await?;
    let deployed = DeployedServiceFilter { deployment: Some(id), ..DeployedServiceFilter::default() };
    let deployed = visitor.acting.deployed_services(deployed, PageRequest::first(10)?).await?;
    let queue = queue::of_deployment(&visitor, id).await?;
    let key = random_text()?;
    let monitors = monitor::section(&visitor, id).await?;
    let schedules = visitor.acting.schedules(id, PageRequest::default()).await?;
    let deployment = &view.deployment;
    let sources = source::of(&visitor, deployment).await?;
    let body = html! {
        h1 { (deployment.name) }
        dl.facts {
            dt { "Project" } dd { a href={ "/projects/" (deployment.project_id) } { "its project" } }
            @if let Some(service) = deployment.service_id { dt { "Service" } dd { a href={ "/services/" (service) } { "its service" } } }
            dt { "Roles" } dd { a href={ "/deployments/" (id) "/members" } { "who differs here" } }
            dt { "Slug" } dd { (deployment.slug) }
            (source::facts(&sources, deployment))
            @for service in &deployed.items { dt { "Runs now" } dd { (badge(service.state.as_str())) " since " (moment(service.updated_at)) } }
        }
        details.start {
            summary { "Start a run" }
            form.stack method="post" action={ "/deployments/" (id) "/runs" } {
                (csrf(&visitor))
                input type="hidden" name="key" value=(key);
                label for="kind" { "What for" }
                select #kind name="kind" { @for kind in RunKind::ALL { option value=(kind) { (kind) } } }
                label for="env" { "Environment, one KEY=value a line" }
                textarea #env name="env" rows="3" spellcheck="false" {}
                button { "Start" }
            }
        }
        div #live data-live="/api/v1/events" {
            (queue)
            h2 { "Runs" }
            (run_table(runs.items.iter().map(|run| (run, None))))
            (older(&format!("/deployments/{id}"), runs.next))
        }
        (monitors)
        (schedule::section(&visitor, id, &schedules.items))
        h2 { "Settings" }
        @if view.effective_settings.iter().next().is_none() { p.empty { "No settings." } }
        @else { div.scroll { table {
            thead { tr { th { "Setting" } th { "Value" } th { "Set by" } th { "Instead of" } } }
            tbody { @for (key, field) in view.effective_settings.iter() { tr {
                td { code { (key) } }
                td { code { (json(&field.value)) } }
                td { span.level data-level=(field.level) { (field.level) } }
                td { @for hidden in &field.hides { div { code { (json(&hidden.value)) } " " span.level data-level=(hidden.level) { (hidden.level) } } } }
            } } }
        } } }
    };
    Ok(page(&portal, &visitor, deployment.name.as_str(), body))
}
