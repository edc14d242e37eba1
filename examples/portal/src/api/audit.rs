//! The audit.

use axum::Json;
use eyrie_core::{
    model::AuditEntry,
    store::{AuditFilter, Page},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{authentication::Caller, portal::Portal, problem::Answer, request::Filter, schema};

pub(super) fn routes() -> OpenApiRouter<Portal> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Lists who did what, newest first: of a project for its admins, everything for operators.
#[utoipa::path(get, path = "/api/v1/audit", tag = "audit",
    params(("project" = Option<String>, Query), ("resource" = Option<String>, Query, description = "As the entries name it, such as `run ID`."),
        ("limit" = Option<u32>, Query), ("after" = Option<String>, Query)),
    responses((status = 200, description = "A page.", body = schema::Page<schema::AuditEntry>)))]
async fn list(Caller(acting): Caller, mut filter: Filter) -> Answer<Json<Page<AuditEntry>>> {
    let wanted = AuditFilter { project: filter.take("project")?, resource: filter.take_text("resource") };
    let page = filter.page()?;
    filter.end()?;
    Ok(Json(acting.audit(wanted, page).await?))
}
