//! Pages for people: rendered here, readable without a script, refreshed by one small script where there is one.

mod action;
mod asset;
mod audit;
mod decision;
mod deployment;
mod description;
mod layout;
mod member;
mod monitor;
mod overview;
mod queue;
mod run;
mod schedule;
mod service;
mod sign_in;
mod source;
mod time;
mod token;

use axum::{
    Router,
    http::{HeaderMap, Method, StatusCode, Uri, header},
    middleware,
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};

use self::schedule::Button;
use crate::{
    decision::{Decision, StepDecision},
    portal::Portal,
    problem::{Answer, Problem},
};

/// Everything here is for browsers, so it stands in no API document.
pub(crate) fn routes() -> Router<Portal> {
    Router::new()
        .route("/", get(overview::home))
        .route("/projects/{id}", get(overview::project))
        .route("/projects/{id}/members", get(member::of_project).post(member::edit_project))
        .route("/projects/{id}/audit", get(audit::of_project))
        .route("/audit", get(audit::everything))
        .route("/audit/export", get(audit::export_everything))
        .route("/projects/{id}/audit/export", get(audit::export_of_project))
        .route("/projects/{id}/tokens", get(token::of_project).post(token::create))
        .route("/tokens", get(token::own))
        .route("/tokens/{id}/rotate", post(token::rotate))
        .route("/tokens/{id}/revoke", post(token::revoke))
        .route("/groups/{id}/members", get(member::of_group).post(member::edit_group))
        .route("/deployments/{id}/members", get(member::of_deployment).post(member::edit_deployment))
        .route("/services/{id}", get(service::show))
        .route("/deployments/{id}", get(deployment::show))
        .route("/deployments/{id}/runs", post(action::deploy))
        .route("/deployments/{id}/schedules", post(schedule::add))
        .route("/schedules/{id}/pause", schedule::press(Button::SetEnabled(false)))
        .route("/schedules/{id}/enable", schedule::press(Button::SetEnabled(true)))
        .route("/schedules/{id}/delete", schedule::press(Button::Delete))
        .route("/runs", get(overview::runs))
        .route("/runs/{id}", get(run::show))
        .route("/runs/{id}/live", get(run::live))
        .route("/runs/{id}/log", get(run::log))
        .route("/runs/{id}/cancel", action::decide(Decision::Cancel))
        .route("/runs/{id}/resume", action::decide(Decision::Resume))
        .route("/runs/{id}/rerun", post(action::rerun))
        .route("/runs/{id}/retry-undo", action::decide(Decision::RetryUndo))
        .route("/runs/{id}/steps/{step}/approve", action::decide_step(StepDecision::Approve))
        .route("/runs/{id}/steps/{step}/reject", action::decide_step(StepDecision::Reject))
        .route("/runs/{id}/steps/{step}/retry", action::decide_step(StepDecision::Retry))
        .route("/runs/{id}/steps/{step}/skip-undo", action::decide_step(StepDecision::SkipUndo))
        .route("/login", get(sign_in::form).post(sign_in::submit))
        .route("/logout", post(sign_in::leave))
        .route("/setup", get(sign_in::setup_form).post(sign_in::setup_submit))
        .route("/docs", get(description::show))
        .route("/assets/portal.css", get(asset::style))
        .route("/assets/portal.js", get(asset::script))
        .route("/assets/icon.svg", get(asset::icon))
        .layer(middleware::map_response(readable))
}

/// What a page answers with; a problem becomes a page on the way out.
type PageAnswer<T = Response> = Answer<T>;

/// Turns a refusal, wherever it came from, into something to look at.
async fn readable(response: Response) -> Response {
    match response.extensions().get::<Problem>() {
        Some(problem) => refusal(problem),
        None => response,
    }
}

fn refusal(problem: &Problem) -> Response {
    if problem.status == StatusCode::UNAUTHORIZED {
        return Redirect::to("/login").into_response();
    }
    let mut response = layout::bare(
        problem.title(),
        maud::html! {
            h1 { (problem.title()) }
            p { (problem.detail) }
            p { a href="/" { "To the overview" } }
        },
    )
    .into_response();
    problem.dress(&mut response);
    response
}

/// What has no route: a page for a browser outside the API, the same problem as for what may not be seen for everybody else.
pub(crate) async fn missing(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let accepts = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if method == Method::GET && accepts.contains("text/html") && !uri.path().starts_with("/api/") {
        return refusal(&Problem::not_found());
    }
    Problem::not_found().into_response()
}
