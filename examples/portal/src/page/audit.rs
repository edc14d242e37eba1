//! The audit: who did what to what, of a project for its admins, everything for operators.

use std::collections::BTreeMap;

use axum::{extract::State, response::Html};
use eyrie_core::{
    id::ProjectId,
    model::AuditEntry,
    store::{AuditFilter, Page},
};
use maud::{Markup, html};

use super::{
    PageAnswer,
    layout::{badge, page, text},
    time::moment,
};
use crate::{
    api::audit::{exported, wanted},
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

pub(super) async fn export_everything(State(portal): State<Portal>, visitor: Visitor, filter: Filter) -> PageAnswer {
    export(&portal, &visitor, None, filter).await
}

pub(super) async fn export_of_project(
    State(portal): State<Portal>,
    visitor: Visitor,
    Id(project): Id<ProjectId>,
    filter: Filter,
) -> PageAnswer {
    export(&portal, &visitor, Some(project), filter).await
}

async fn export(portal: &Portal, visitor: &Visitor, project: Option<ProjectId>, filter: Filter) -> PageAnswer {
    let mut filter = filter.without_blanks();
    let wanted = AuditFilter { project, ..wanted(&mut filter)? };
    filter.end()?;
    exported(portal, &visitor.acting, wanted).await
}

/// What can be asked for: name, label, and the most that fits.
const FIELDS: [(&str, &str, u16); 7] = [
    ("resource", "About, for instance run and its id", 200),
    ("user", "By the user with the id", 36),
    ("token_id", "With the token with the id", 36),
    ("action", "Asked for, for instance run.start", 64),
    ("verdict", "Allowed or refused", 7),
    ("since", "Since, for instance 2027-01-31T12:00:00Z", 40),
    ("until", "Until", 40),
];

async fn show(portal: &Portal, visitor: &Visitor, project: Option<ProjectId>, place: &str, filter: Filter) -> PageAnswer<Html<String>> {
    let mut filter = filter.without_blanks();
    let asked = filter.page()?;
    let said: BTreeMap<String, String> = filter.pairs().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let wanted = AuditFilter { project, ..wanted(&mut filter)? };
    filter.end()?;
    let Page { items, next } = visitor.acting.audit(wanted, asked).await?;
    let kept = html! { @for (name, value) in &said { input type="hidden" name=(name) value=(value); } };
    let body = html! {
        h1 { "Audit" }
        form.stack method="get" action=(place) {
            @for (name, label, most) in FIELDS {
                label for=(name) { (label) }
                input id=(name) name=(name) maxlength=(most) spellcheck="false" value=(said.get(name).map(String::as_str).unwrap_or_default());
            }
            button.quiet { "Show" }
        }
        @if items.is_empty() { p.empty { "No entries." } } @else { (table(&items)) }
        // The next page, and the file, are of the same entries.
        @if let Some(next) = next {
            form method="get" action=(place) { (kept) input type="hidden" name="after" value=(next); button.quiet { "Older" } }
        }
        form method="get" action={ (place) "/export" } { (kept) button.quiet { "All of these as JSON lines" } }
    };
    Ok(page(portal, visitor, "Audit", body))
}

fn table(entries: &[AuditEntry]) -> Markup {
    html! { div.scroll { table {
        thead { tr { th { "When" } th { "Who" } th { "Token" } th { "From" } th { "Request" } th { "Asked for" } th { "Of" } th { "" } th { "More" } } }
        tbody { @for entry in entries { tr {
            td { (moment(entry.at)) }
            td { (text(&entry.principal.to_string())) }
            td { @match entry.token_id { Some(token) => code { (token) }, None => "–" } }
            td { @match &entry.origin { Some(origin) => (text(origin.as_str())), None => "–" } }
            td { @match &entry.request_id { Some(request) => code { (text(request.as_str())) }, None => "–" } }
            td { code { (text(&entry.action)) } }
            td { code { (text(&entry.resource)) } }
            td { (badge(entry.verdict.as_str())) @if entry.count > 1 { " " (entry.count) " times" } }
            td.message { (text(&entry.reason)) }
        } } }
    } } }
}
