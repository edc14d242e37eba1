//! The OpenAPI document: made from the routes themselves, so that none is missing.

use serde_json::{Value, json};
use utoipa::{
    OpenApi as _,
    openapi::{
        OpenApi,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};
use utoipa_axum::router::OpenApiRouter;

use crate::{portal::Portal, schema};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "Eyrie", description = "Projects, deployments and their runs. Lists are pages: hand `next` back as `after`. \
        Things with a `version` answer with it as `ETag`, and are changed with `If-Match` only. Every refusal is a problem (RFC 9457) \
        whose `type` is stable."),
    components(schemas(schema::Problem)),
    security(("bearer" = []))
)]
struct Described;

/// A router whose routes will be in the document.
pub(crate) fn begin() -> OpenApiRouter<Portal> {
    let mut document = Described::openapi();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("A session's, service's or run's token.")).build();
    document.components.get_or_insert_default().add_security_scheme("bearer", SecurityScheme::Http(bearer));
    OpenApiRouter::with_openapi(document)
}

/// The document as JSON, with the problem that every operation may answer with.
pub(crate) fn finish(described: &OpenApi) -> Value {
    let mut document = serde_json::to_value(described).unwrap_or_default();
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    for operation in
        paths.into_iter().flat_map(|paths| paths.values_mut()).filter_map(Value::as_object_mut).flat_map(|path| path.values_mut())
    {
        if let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) {
            let content = json!({ "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } });
            responses.insert("default".to_owned(), json!({ "description": "A refusal.", "content": content }));
        }
    }
    document
}
