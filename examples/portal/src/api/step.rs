//! What somebody decides about one step of a run: approved, rejected, tried again, counted as undone.

use axum::{Json, body::Bytes};
use eyrie_core::{Acting, id::RunId, model::StepIndex, platform::OpenApproval, store::Page};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::run::decided;
use crate::{
    authentication::Caller,
    decision::{Decision, StepDecision},
    portal::Portal,
    problem::Answer,
    request::{Filter, Id, TwoIds},
    schema,
};

pub(super) fn routes() -> OpenApiRouter<Portal> {
    OpenApiRouter::new()
        .routes(routes!(approvals))
        .routes(routes!(approve))
        .routes(routes!(reject))
        .routes(routes!(retry))
        .routes(routes!(skip_undo))
}

/// The approvals that the run waits for, all on one page.
#[utoipa::path(get, path = "/api/v1/runs/{id}/approvals", tag = "runs", params(("id" = String, Path)),
    responses((status = 200, description = "The approvals.", body = schema::Page<schema::Approval>)))]
async fn approvals(Caller(acting): Caller, Id(id): Id<RunId>, filter: Filter) -> Answer<Json<Page<OpenApproval>>> {
    filter.end()?;
    Ok(Json(Page { items: acting.open_approvals(id).await?, next: None }))
}

/// Approves of a step that the run waits for; the run goes on. The body may be missing.
#[utoipa::path(post, path = "/api/v1/runs/{id}/steps/{step}/approve", tag = "runs", params(("id" = String, Path), ("step" = u32, Path)),
    request_body = Option<schema::Reason>, responses((status = 202, description = "It goes on.", body = schema::RunView)))]
async fn approve(Caller(acting): Caller, step: TwoIds<RunId, u32>, body: Bytes) -> Answer {
    step_decided(&acting, step, StepDecision::Approve, &body).await
}

/// Rejects a step that the run waits for: the step, and with it the run, fails. The body may be missing.
#[utoipa::path(post, path = "/api/v1/runs/{id}/steps/{step}/reject", tag = "runs", params(("id" = String, Path), ("step" = u32, Path)),
    request_body = Option<schema::Reason>, responses((status = 202, description = "It is rejected.", body = schema::RunView)))]
async fn reject(Caller(acting): Caller, step: TwoIds<RunId, u32>, body: Bytes) -> Answer {
    step_decided(&acting, step, StepDecision::Reject, &body).await
}

/// Tries one failed step of a failed run again, with all that depends on it, and nothing else. The body may be missing.
#[utoipa::path(post, path = "/api/v1/runs/{id}/steps/{step}/retry", tag = "runs", params(("id" = String, Path), ("step" = u32, Path)),
    request_body = Option<schema::Reason>, responses((status = 202, description = "The run is queued again.", body = schema::RunView)))]
async fn retry(Caller(acting): Caller, step: TwoIds<RunId, u32>, body: Bytes) -> Answer {
    step_decided(&acting, step, StepDecision::Retry, &body).await
}

/// Has a step whose undo failed count as undone, and goes on with the undo of the others. The body may be missing.
#[utoipa::path(post, path = "/api/v1/runs/{id}/steps/{step}/skip-undo", tag = "runs", params(("id" = String, Path), ("step" = u32, Path)),
    request_body = Option<schema::Reason>, responses((status = 202, description = "The run is queued again.", body = schema::RunView)))]
async fn skip_undo(Caller(acting): Caller, step: TwoIds<RunId, u32>, body: Bytes) -> Answer {
    step_decided(&acting, step, StepDecision::SkipUndo, &body).await
}

async fn step_decided(acting: &Acting, TwoIds(run, step): TwoIds<RunId, u32>, decision: StepDecision, body: &[u8]) -> Answer {
    decided(acting, run, Decision::Step(decision, StepIndex::new(step)), body).await
}
