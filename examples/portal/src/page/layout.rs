//! What every page has around it, and the small parts that several of them share.

use axum::response::Html;
use eyrie_core::model::{Run, RunState};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::time::{duration, moment};
use crate::{authentication::Visitor, portal::Portal, visible::visible};

/// A page for somebody signed in.
pub(super) fn page(portal: &Portal, visitor: &Visitor, title: &str, body: Markup) -> Html<String> {
    let site = &portal.options.title;
    document(
        &format!("{title} · {site}"),
        html! {
            header.top {
                a.brand href="/" { (site) }
                nav aria-label="Main" {
                    a href="/" { "Services" }
                    a href="/runs" { "Runs" }
                    a href="/tokens" { "Tokens" }
                    a href="/docs" { "API" }
                }
                form.leave method="post" action="/logout" {
                    (csrf(visitor))
                    span { (visitor.name) }
                    button.quiet { "Sign out" }
                }
            }
            main { (body) }
            p #announce .hidden role="status" aria-live="polite" {}
        },
    )
}

/// A page for whoever comes.
pub(super) fn bare(title: &str, body: Markup) -> Html<String> {
    document(title, html! { main.narrow { (body) } })
}

fn document(title: &str, body: Markup) -> Html<String> {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                link rel="icon" href="/assets/icon.svg" type="image/svg+xml";
                link rel="stylesheet" href="/assets/portal.css";
                script src="/assets/portal.js" defer {}
            }
            body { (body) }
        }
    };
    Html(page.into_string())
}

/// What a form must carry.
pub(super) fn csrf(visitor: &Visitor) -> Markup {
    html! { input type="hidden" name="csrf" value=(visitor.form_token); }
}

/// A state's word in its colour.
pub(super) fn badge(state: &str) -> Markup {
    html! { span.badge data-state=(state) { (state.replace('_', " ")) } }
}

/// Text from elsewhere.
pub(super) fn text(text: &str) -> String {
    visible(text)
}

/// JSON as people read it.
pub(super) fn json(value: &serde_json::Value) -> String {
    visible(&serde_json::to_string_pretty(value).unwrap_or_default())
}

/// A table of runs.
pub(super) fn run_table<'a>(runs: impl IntoIterator<Item = (&'a Run, Option<&'a str>)>) -> Markup {
    let rows: Vec<_> = runs.into_iter().collect();
    html! {
        @if rows.is_empty() { p.empty { "No runs yet." } }
        @else {
            div.scroll { table {
                thead { tr { th { "State" } th { "Run" } th { "Asked for" } th { "By" } th { "Took" } th { "Message" } } }
                tbody { @for (run, name) in rows { tr {
                    td { (badge(run.state.as_str())) }
                    td { a href={ "/runs/" (run.id) } { @if let Some(name) = name { (name) " " } (run.kind) } }
                    td { @if run.deferred { "not before " } (moment(run.queued_at)) }
                    td { (text(&run.requested_by.to_string())) }
                    td { (took(run)) }
                    td.message { (text(&run.message)) }
                } } }
            } }
        }
    }
}

/// How long a run has been at work.
pub(super) fn took(run: &Run) -> Markup {
    match run.state {
        RunState::Parked | RunState::Waiting => html! { "–" },
        _ => duration(run.started_at, run.finished_at),
    }
}

/// The link to the next page of a list.
pub(super) fn older(place: &str, next: Option<uuid::Uuid>) -> Markup {
    match next {
        Some(next) => html! { p { a href={ (place) "?after=" (next) } rel="next" { "Older" } } },
        None => PreEscaped(String::new()),
    }
}
