//! The audit.

use axum::{
    Json,
    body::{Body, Bytes},
    extract::State,
    http::header,
    response::IntoResponse,
};
use eyrie_core::{
    Acting, Result,
    model::AuditEntry,
    platform::AuditExport,
    store::{AuditFilter, Page},
};
use futures_util::stream;
use tokio_util::sync::CancellationToken;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    authentication::Caller,
    portal::Portal,
    problem::{Answer, Problem},
    request::Filter,
    schema,
};

pub(super) fn routes() -> OpenApiRouter<Portal> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(export))
}

/// Takes what an audit can be filtered by.
pub(crate) fn wanted(filter: &mut Filter) -> Result<AuditFilter, Problem> {
    Ok(AuditFilter {
        project: filter.take("project")?,
        resource: filter.take_text("resource"),
        person: filter.take("user")?,
        token: filter.take("token_id")?,
        action: filter.take_text("action"),
        verdict: filter.take("verdict")?,
        since: filter.take_time("since")?,
        until: filter.take_time("until")?,
    })
}

/// Lists who did what, newest first: of a project for its admins, everything for operators.
#[utoipa::path(get, path = "/api/v1/audit", tag = "audit",
    params(("project" = Option<String>, Query), ("resource" = Option<String>, Query, description = "As the entries name it, such as `run ID`."),
        ("user" = Option<String>, Query, description = "What this user did, or had a token or schedule do."),
        ("token_id" = Option<String>, Query, description = "What was done with this token."),
        ("action" = Option<String>, Query), ("verdict" = Option<String>, Query),
        ("since" = Option<String>, Query, description = "At this time or later (RFC 3339)."),
        ("until" = Option<String>, Query, description = "Before this time."),
        ("limit" = Option<u32>, Query), ("after" = Option<String>, Query)),
    responses((status = 200, description = "A page.", body = schema::Page<schema::AuditEntry>)))]
async fn list(Caller(acting): Caller, mut filter: Filter) -> Answer<Json<Page<AuditEntry>>> {
    let wanted = wanted(&mut filter)?;
    let page = filter.page()?;
    filter.end()?;
    Ok(Json(acting.audit(wanted, page).await?))
}

/// All of these entries as JSON lines, newest first. An answer that breaks off is not all of them.
#[utoipa::path(get, path = "/api/v1/audit/export", tag = "audit",
    params(("project" = Option<String>, Query), ("resource" = Option<String>, Query, description = "As the entries name it, such as `run ID`."),
        ("user" = Option<String>, Query, description = "What this user did, or had a token or schedule do."),
        ("token_id" = Option<String>, Query, description = "What was done with this token."),
        ("action" = Option<String>, Query), ("verdict" = Option<String>, Query),
        ("since" = Option<String>, Query, description = "At this time or later (RFC 3339)."),
        ("until" = Option<String>, Query, description = "Before this time.")),
    responses((status = 200, description = "One entry a line.", content_type = "application/x-ndjson")))]
async fn export(State(portal): State<Portal>, Caller(acting): Caller, mut filter: Filter) -> Answer {
    let wanted = wanted(&mut filter)?;
    filter.end()?;
    exported(&portal, &acting, wanted).await
}

/// All of these entries, as they are read.
pub(crate) async fn exported(portal: &Portal, acting: &Acting, wanted: AuditFilter) -> Answer {
    let export = acting.export_audit(wanted).await?;
    let lines = stream::unfold(Some((export, portal.options.closing.clone())), next_lines);
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response())
}

type Exporting = Option<(AuditExport, CancellationToken)>;

/// The next page of lines. After an error nothing comes: the answer breaks off.
async fn next_lines(exporting: Exporting) -> Option<(std::io::Result<Bytes>, Exporting)> {
    let (mut export, closing) = exporting?;
    let entries = tokio::select! {
        entries = export.next() => entries,
        () = closing.cancelled() => return Some((Err(std::io::ErrorKind::ConnectionAborted.into()), None)),
    };
    match entries.map(|entries| entries.map(lines)) {
        Ok(None) => None,
        Ok(Some(Ok(lines))) => Some((Ok(lines), Some((export, closing)))),
        Ok(Some(Err(error))) => Some((Err(error.into()), None)),
        Err(error) => Some((Err(std::io::Error::other(error)), None)),
    }
}

fn lines(entries: Vec<AuditEntry>) -> serde_json::Result<Bytes> {
    let mut lines = Vec::new();
    for entry in entries {
        serde_json::to_writer(&mut lines, &entry)?;
        lines.push(b'\n');
    }
    Ok(lines.into())
}
