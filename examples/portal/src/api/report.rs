//! What a run's script reports with the token of its run.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use eyrie_core::{model::ReportedState, name::StepName};
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{authentication::Caller, portal::Portal, problem::Answer, request::Body, schema};

pub(super) fn routes() -> OpenApiRouter<Portal> {
    OpenApiRouter::new().routes(routes!(step)).routes(routes!(finish))
}

/// Fields that are not known are passed over, as in a line of a script.
#[derive(Debug, Deserialize)]
struct StepReport {
    name: StepName,
    #[serde(default)]
    state: Option<ReportedState>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    error_message: Option<String>,
    #[serde(default)]
    report_id: Option<String>,
}

/// Reports a step of the run that the token belongs to: pending, running, success or failure.
#[utoipa::path(post, path = "/api/v1/steps", tag = "reports", request_body = schema::StepReport,
    responses((status = 204, description = "It is kept.")))]
async fn step(Caller(acting): Caller, Body(report): Body<StepReport>) -> Answer<Response> {
    let error = report.error_message.filter(|text| !text.is_empty());
    // As for a line of a script: an error without a state is a failure.
    let state = report.state.unwrap_or(if error.is_some() { ReportedState::Failure } else { ReportedState::Pending });
    let message = error.or(report.message).unwrap_or_default();
    acting.report_step(report.name, state, message, report.report_id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Says that the script has finished. The exit code decides, so nothing changes.
#[utoipa::path(put, path = "/api/v1/runs/finish", tag = "reports", responses((status = 204, description = "It is heard.")))]
async fn finish(Caller(acting): Caller) -> Answer<Response> {
    acting.finish_own_run().await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
