//! A run, live: its state, what may be decided about it, its steps, its log.

use std::collections::BTreeMap;

use axum::{
    extract::State,
    response::{Html, Response},
};
use eyrie_core::{
    id::RunId,
    model::{Run, RunState, Step, StepIndex},
    platform::{OpenApproval, RunView},
};
use maud::{Markup, html};

use super::{
    PageAnswer, decision,
    layout::{badge, json, page, text, took},
    queue,
    time::{duration, moment},
};
use crate::{
    api::log_text,
    authentication::Visitor,
    portal::Portal,
    request::{Filter, Id},
    visible::visible,
};

/// How much of the log stands on the page, and how much the script fetches at a time, in bytes.
const LOG_ON_PAGE: usize = 64 * 1024;
const LOG_PIECE: usize = 256 * 1024;
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
    let fragment = fragment(&visitor, &view).await?;
    let piece = visitor.acting.run_log(id, offset, LOG_ON_PAGE).await?;
    let (log, end) = (piece.text(), piece.end);
    let name = visitor.acting.deployment(view.run.deployment_id).await?.deployment.name;
    let run = &view.run;
    let body = html! {
        h1 { a href={ "/deployments/" (run.deployment_id) } { (name) } " " (run.kind) }
        div #live .run data-run={ "/runs/" (id) "/live" } data-events={ "/api/v1/runs/" (id) "/events?after=" (run.last_seq) }
            data-ended[run.state.is_terminal()] { (fragment) }
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
    Ok(Html(fragment(&visitor, &view).await?.into_string()))
}

/// A piece of the log, made visible, with where the next one begins.
pub(super) async fn log(visitor: Visitor, Id(id): Id<RunId>, mut filter: Filter) -> PageAnswer<Response> {
    let offset = filter.take_number("offset")?.unwrap_or(0);
    filter.end()?;
    let piece = visitor.acting.run_log(id, offset, LOG_PIECE).await?;
    Ok(log_text(visible(&piece.text()), piece.end))
}

async fn fragment(visitor: &Visitor, view: &RunView) -> PageAnswer<Markup> {
    let run = &view.run;
    // A plan that this program cannot read must not keep anybody from looking; the message says what the run waits for.
    let approvals = match run.state {
        RunState::Waiting => visitor.acting.open_approvals(run.id).await.unwrap_or_default(),
        _ => Vec::new(),
    };
    let place = queue::place(visitor, run).await?;
    let mut reported: BTreeMap<StepIndex, Vec<&Step>> = BTreeMap::new();
    for step in &view.steps {
        if let Some(parent) = step.parent {
            reported.entry(parent).or_default().push(step);
        }
    }
    let shown = Shown { visitor, run, approvals: &approvals, reported };
    Ok(html! {
        div.state data-state=(run.state) data-terminal[run.state.is_terminal()] {
            (badge(run.state.as_str()))
            @if !run.message.is_empty() { p { (text(&run.message)) } }
        }
        (place)
        @for open in &approvals { (decision::approval(visitor, run, open)) }
        dl.facts {
            dt { "Asked for by" } dd { (text(&run.requested_by.to_string())) }
            dt { "From" } dd { (run.origin) }
            @if let Some(at) = run.not_before { dt { "Not before" } dd { (moment(at)) } }
            @if !run.deferred { dt { "Queued" } dd { (moment(run.queued_at)) } }
            @if let Some(at) = run.started_at { dt { "Began" } dd { (moment(at)) } }
            @if let Some(at) = run.finished_at { dt { "Ended" } dd { (moment(at)) } }
            dt { "Took" } dd { (took(run)) }
            @if let Some(release) = run.release_id { dt { "Release" } dd { code { (release) } } }
        }
        (decision::buttons(visitor, view)?)
        h2 { "Steps" }
        ol.steps { @for step in view.steps.iter().filter(|step| step.parent.is_none()).take(SHOWN) { (shown.step(step)) } }
        @if view.steps.len() > SHOWN { p.faint { (view.steps.len()) " steps in all; the API has every one." } }
    })
}

/// What the steps are shown with.
struct Shown<'a> {
    visitor: &'a Visitor,
    run: &'a Run,
    approvals: &'a [OpenApproval],
    reported: BTreeMap<StepIndex, Vec<&'a Step>>,
}

impl Shown<'_> {
    fn step(&self, step: &Step) -> Markup {
        let state = if self.approvals.iter().any(|open| open.step == step.index) { "waiting" } else { step.state.as_str() };
        html! {
            li.step data-state=(state) {
                div.line {
                    (badge(state))
                    span.name { (text(step.name.as_str())) }
                    @if step.attempt > 1 && step.parent.is_none() { span.faint { "attempt " (step.attempt) } }
                    @if step.started_at.is_some() { (duration(step.started_at, step.finished_at)) }
                    (decision::step_buttons(self.visitor, self.run, step))
                }
                @if !step.message.is_empty() { p.message { (text(&step.message)) } }
                @if let Some(children) = self.reported.get(&step.index) {
                    ol.steps { @for child in children.iter().take(SHOWN) { (self.step(child)) } }
                }
            }
        }
    }
}
