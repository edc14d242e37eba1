//! The audit: who did what to what, of a project for its admins, everything for operators.

use axum::{extract::State, response::Html};
use eyrie_core::{
    id::ProjectId,
    model::AuditEntry,
    store::{AuditFilter, Page},
};
use maud::{Markup, html};

use super::{
    PageAnswer,
    layout::{badge, older, page, text},
    time::moment,
};
use crate::{
    authentication::Visitor,
    portal::Portal,
    request::{Filter, Id},
};

pub(super) async fn everything(State(portal): State<Portal>, visitor: Visitor, filter: Filter) -> PageAnswer<Html<String>> {
    show(&portal, &visitor, None, "/audit", filter).await
}

pub(super) async fn of_project(
    State(portal): State<Portal>,
    visitor: Visitor,
    Id(project): Id<ProjectId>,
    filter: Filter,
) -> PageAnswer<Html<String>> {
    show(&portal, &visitor, Some(project), &format!("/projects/{project}/audit"), filter).await
}

async fn show(portal: &Portal, visitor: &Visitor, project: Option<ProjectId>, place: &str, mut filter: Filter) -> PageAnswer<Html<String>> {
    let asked = filter.page()?;
    let resource = filter.take_text("resource").map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    filter.end()?;
    let Page { items, next } = visitor.acting.audit(AuditFilter { project, resource: resource.clone() }, asked).await?;
    let body = html! {
        h1 { "Audit" }
        form.stack method="get" action=(place) {
            label for="resource" { "About, for instance run and its id" }
            input #resource name="resource" maxlength="200" spellcheck="false" value=(resource.as_deref().unwrap_or_default());
            button.quiet { "Show" }
        }
        @if items.is_empty() { p.empty { "No entries." } } @else { (table(&items)) }
        @match &resource {
            // The next page is of the same resource.
            Some(resource) => @if let Some(next) = next {
                form method="get" action=(place) {
                    input type="hidden" name="resource" value=(resource);
                    input type="hidden" name="after" value=(next);
                    button.quiet { "Older" }
                }
            },
            None => (older(place, next)),
        }
    };
    Ok(page(portal, visitor, "Audit", body))
}

fn table(entries: &[AuditEntry]) -> Markup {
    html! { div.scroll { table {
        thead { tr { th { "When" } th { "Who" } th { "From" } th { "Asked for" } th { "Of" } th { "" } th { "More" } } }
        tbody { @for entry in entries { tr {
            td { (moment(entry.at)) }
            td { (text(&entry.principal.to_string())) }
            td { @match &entry.origin { Some(origin) => (text(origin.as_str())), None => "–" } }
            td { code { (text(&entry.action)) } }
            td { code { (text(&entry.resource)) } }
            td { (badge(entry.verdict.as_str())) @if entry.count > 1 { " " (entry.count) " times" } }
            td.message { (text(&entry.reason)) }
        } } }
    } } }
}
