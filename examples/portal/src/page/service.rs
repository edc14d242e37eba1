//! A service: its config, its deployments, its runs.

use axum::{extract::State, response::Html};
use eyrie_core::{
    id::ServiceId,
    store::{DeploymentFilter, PageRequest, RunFilter},
};
use maud::html;

use super::{
    PageAnswer,
    layout::{json, older, page, run_table, text},
    overview::deploy_button,
    time::moment,
};
use crate::{
    authentication::Visitor,
    portal::Portal,
    request::{Filter, Id},
};

pub(super) async fn show(
    State(portal): State<Portal>,
    visitor: Visitor,
    Id(id): Id<ServiceId>,
    mut filter: Filter,
) -> PageAnswer<Html<String>> {
    let asked = filter.page()?;
    let service = visitor.acting.service(id).await?;
    let wanted = DeploymentFilter { service: Some(id), ..DeploymentFilter::default() };
    let deployments = visitor.acting.deployments(wanted, PageRequest::default()).await?;
    let runs = visitor.acting.runs(RunFilter { service: Some(id), ..RunFilter::default() }, asked).await?;
    let mut buttons = Vec::new();
    for deployment in &deployments.items {
        buttons.push((deployment, deploy_button(&visitor, deployment.id)?));
    }
    let body = html! {
        h1 { (service.name) }
        @if let Some(about) = service.config.get("description").and_then(|about| about.as_str()) { p.lead { (text(about)) } }
        dl.facts {
            dt { "Comes from" } dd { (service.source) }
            dt { "Made" } dd { (moment(service.created_at)) }
            dt { "Version" } dd { (service.version) }
        }
        h2 { "Deployments" }
        ul.cards { @for (deployment, button) in buttons {
            li.card { div.what { h3 { a href={ "/deployments/" (deployment.id) } { (deployment.name) } } } (button) }
        } }
        h2 { "Runs" }
        div #live data-live="/api/v1/events" { (run_table(runs.items.iter().map(|run| (run, None)))) (older(&format!("/services/{id}"), runs.next)) }
        h2 { "Config" }
        pre tabindex="0" { (json(&service.config)) }
    };
    Ok(page(&portal, &visitor, service.name.as_str(), body))
}
