//! What the buttons do: forms that lead to the run.

use axum::{
    extract::{Form, FromRequest, Request, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
    routing::{MethodRouter, post},
};
use eyrie_core::{
    id::{DeploymentId, RunId},
    model::{RunKind, StepIndex},
    platform::StartRun,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use super::PageAnswer;
use crate::{
    authentication::{SESSION_COOKIE, Visitor, check_form, cookie},
    decision::{Decision, StepDecision},
    portal::Portal,
    problem::{Answer, Problem},
    request::{Id, TwoIds},
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Deploy {
    csrf: String,
    #[serde(default)]
    kind: Option<RunKind>,
    /// `KEY=value` lines.
    #[serde(default)]
    env: String,
    /// Drawn when the form was rendered: sending it twice starts one run.
    #[serde(default)]
    key: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Because {
    csrf: String,
    #[serde(default)]
    reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Again {
    csrf: String,
    /// As of [`Deploy`].
    #[serde(default)]
    key: Option<String>,
}

/// Reads a form's fields.
pub(super) async fn fields<T: DeserializeOwned>(request: Request, portal: &Portal) -> Answer<T> {
    let form = Form::<T>::from_request(request, portal).await;
    form.map(|Form(fields)| fields).map_err(|refused| match refused.into_response().status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::too_large(),
        _ => Problem::malformed("the form cannot be read"),
    })
}

/// Refuses a form that did not come from a page that this session loaded.
pub(super) fn checked(headers: &axum::http::HeaderMap, sent: &str) -> Answer<()> {
    check_form(headers, cookie(headers, SESSION_COOKIE).unwrap_or_default(), sent)
}

pub(super) async fn deploy(
    State(portal): State<Portal>,
    visitor: Visitor,
    Id(id): Id<DeploymentId>,
    request: Request,
) -> PageAnswer<Response> {
    let headers = request.headers().clone();
    let form: Deploy = fields(request, &portal).await?;
    checked(&headers, &form.csrf)?;
    let context = context(&form.env)?;
    let request_key = form.key.filter(|key| !key.is_empty());
    let start = StartRun { kind: form.kind.unwrap_or(RunKind::Deploy), context, request_key, ..StartRun::default() };
    let run = visitor.acting.start_run(id, start).await?;
    Ok(to_run(run.id))
}

/// Reads the form of a button, refuses one from elsewhere, and answers with the reason given.
async fn reason(request: Request, portal: &Portal) -> Answer<String> {
    let headers = request.headers().clone();
    let form: Because = fields(request, portal).await?;
    checked(&headers, &form.csrf)?;
    Ok(form.reason)
}

/// The button of a decision about a run.
pub(super) fn decide(decision: Decision) -> MethodRouter<Portal> {
    post(async move |portal: State<Portal>, visitor: Visitor, Id(id): Id<RunId>, request: Request| {
        decided(portal, visitor, id, decision, request).await
    })
}

/// The button of a decision about a step.
pub(super) fn decide_step(decision: StepDecision) -> MethodRouter<Portal> {
    post(async move |portal: State<Portal>, visitor: Visitor, TwoIds(id, step): TwoIds<RunId, u32>, request: Request| {
        decided(portal, visitor, id, Decision::Step(decision, StepIndex::new(step)), request).await
    })
}

async fn decided(State(portal): State<Portal>, visitor: Visitor, run: RunId, decision: Decision, request: Request) -> PageAnswer {
    let reason = reason(request, &portal).await?;
    decision.carry_out(&visitor.acting, run, &reason).await?;
    Ok(to_run(run))
}

pub(super) async fn rerun(State(portal): State<Portal>, visitor: Visitor, Id(id): Id<RunId>, request: Request) -> PageAnswer<Response> {
    let headers = request.headers().clone();
    let form: Again = fields(request, &portal).await?;
    checked(&headers, &form.csrf)?;
    let run = visitor.acting.rerun_run(id, form.key.filter(|key| !key.is_empty())).await?;
    Ok(to_run(run.id))
}

fn to_run(id: RunId) -> Response {
    Redirect::to(&format!("/runs/{id}")).into_response()
}

/// What `KEY=value` lines say, as the context of a run.
pub(super) fn context(text: &str) -> Answer<Value> {
    let mut env = Map::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let (key, value) = line.split_once('=').ok_or_else(|| Problem::invalid("env", "write one KEY=value a line"))?;
        env.insert(key.trim().to_owned(), value.into());
    }
    Ok(if env.is_empty() { json!({}) } else { json!({ "env": env }) })
}
