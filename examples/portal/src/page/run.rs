//! A run, live: its state, its steps, its log.

use std::collections::BTreeMap;

use axum::{
    extract::State,
    response::{Html, Response},
};
use eyrie_core::{
    id::RunId,
    model::{RunState, Step, StepIndex},
    platform::RunView,
};
use maud::{Markup, html};

use super::{
    PageAnswer,
    layout::{badge, csrf, json, page, text, took},
    time::{duration, moment},
};
use crate::{
    api::{log_text, read_log},
    authentication::Visitor,
    portal::Portal,
    request::{Filter, Id},
    visible::visible,
};

/// How much of the log stands on the page, and how much the script fetches at a time, in bytes.
const LOG_ON_PAGE: u64 = 64 * 1024;
const LOG_PIECE: u64 = 256 * 1024;
/// The most planned steps, and reported ones of each, that a page shows.
const SHOWN: usize = 1000;

pub(super) async fn show(
    State(portal): State<Portal>,
    visitor: Visitor,
    Id(id): Id<RunId>,
    mut filter: Filter,
) -> PageAnswer<Html<String>> {
    let offset = filter.take_number("offset")?.unwrap_or(0);
    let view = visitor.acting.run(id).await?;
    let (log, end) = read_log(&visitor.acting, id, offset, LOG_ON_PAGE).await?;
    let name = visitor.acting.deployment(view.run.deployment_id).await?.deployment.name;
    let run = &view.run;
    let body = html! {
        h1 { a href={ "/deployments/" (run.deployment_id) } { (name) } " " (run.kind) }
        div #live .run data-run={ "/runs/" (id) "/live" } data-events={ "/api/v1/runs/" (id) "/events?after=" (run.last_seq) }
            data-ended[run.state.is_terminal()] { (fragment(&visitor, &view)) }
        h2 { "Log" }
        pre #log .log tabindex="0" aria-label="Log" data-log={ "/runs/" (id) "/log" } data-end=(end) { (visible(&log)) }
        @if log.is_empty() { p.empty #nolog { "Nothing logged " @if !run.state.is_terminal() { "so far" } "." } }
        @else { p.paging { a href={ "/runs/" (id) "?offset=" (end) } { "Go on from here" } } }
        h2 { "Context" }
        pre tabindex="0" { (json(&run.context)) }
    };
    Ok(page(&portal, &visitor, &format!("{name} {}", run.kind), body))
}

/// What changes while the run goes on; the script fetches it at every event.
pub(super) async fn live(visitor: Visitor, Id(id): Id<RunId>) -> PageAnswer<Html<String>> {
    let view = visitor.acting.run(id).await?;
    Ok(Html(fragment(&visitor, &view).into_string()))
}

/// A piece of the log, made visible, with where the next one begins.
pub(super) async fn log(visitor: Visitor, Id(id): Id<RunId>, mut filter: Filter) -> PageAnswer<Response> {
    let offset = filter.take_number("offset")?.unwrap_or(0);
    filter.end()?;
    let (text, end) = read_log(&visitor.acting, id, offset, LOG_PIECE).await?;
    Ok(log_text(visible(&text), end))
}

fn fragment(visitor: &Visitor, view: &RunView) -> Markup {
    let run = &view.run;
    let mut reported: BTreeMap<StepIndex, Vec<&Step>> = BTreeMap::new();
    for step in &view.steps {
        if let Some(parent) = step.parent {
            reported.entry(parent).or_default().push(step);
        }
    }
    html! {
        div.state data-state=(run.state) data-terminal[run.state.is_terminal()] {
            (badge(run.state.as_str()))
            @if !run.message.is_empty() { p { (text(&run.message)) } }
        }
        dl.facts {
            dt { "Asked for by" } dd { (text(&run.requested_by.to_string())) }
            dt { "From" } dd { (run.origin) }
            dt { "Queued" } dd { (moment(run.queued_at)) }
            @if let Some(at) = run.started_at { dt { "Began" } dd { (moment(at)) } }
            @if let Some(at) = run.finished_at { dt { "Ended" } dd { (moment(at)) } }
            dt { "Took" } dd { (took(run)) }
            @if let Some(release) = run.release_id { dt { "Release" } dd { code { (release) } } }
        }
        div.buttons {
            @if !run.state.is_terminal() && run.state != RunState::Cancelling {
                form method="post" action={ "/runs/" (run.id) "/cancel" } { (csrf(visitor)) button #cancel .danger { "Cancel" } }
            }
            @if run.state == RunState::Parked {
                form method="post" action={ "/runs/" (run.id) "/resume" } { (csrf(visitor)) button #resume { "Resume" } }
            }
        }
        h2 { "Steps" }
        ol.steps { @for step in view.steps.iter().filter(|step| step.parent.is_none()).take(SHOWN) { (step_item(step, &reported)) } }
        @if view.steps.len() > SHOWN { p.faint { (view.steps.len()) " steps in all; the API has every one." } }
    }
}

fn step_item(step: &Step, reported: &BTreeMap<StepIndex, Vec<&Step>>) -> Markup {
    html! {
        li.step data-state=(step.state) {
            div.line {
                (badge(step.state.as_str()))
                span.name { (text(step.name.as_str())) }
                @if step.attempt > 1 && step.parent.is_none() { span.faint { "attempt " (step.attempt) } }
                @if step.started_at.is_some() { (duration(step.started_at, step.finished_at)) }
            }
            @if !step.message.is_empty() { p.message { (text(&step.message)) } }
            @if let Some(children) = reported.get(&step.index) {
                ol.steps { @for child in children.iter().take(SHOWN) { (step_item(child, reported)) } }
            }
        }
    }
}
