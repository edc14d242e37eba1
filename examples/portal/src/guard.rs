//! What happens to every request: a span without secrets, counting, a look at the query, and the headers of every answer.

use std::sync::atomic::Ordering;

use axum::{
    extract::{MatchedPath, Query, Request, State},
    http::{HeaderName, HeaderValue, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use eyrie_core::name::RequestId;
use tracing::Instrument;

use crate::{portal::Portal, problem::Problem};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; object-src 'none'; \
                      base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Answers the request within a span, and dresses the answer.
pub(crate) async fn watch(State(portal): State<Portal>, mut request: Request, next: Next) -> Response {
    let id = named(&request).unwrap_or_else(RequestId::generate);
    request.extensions_mut().insert(id.clone());
    let path = request.extensions().get::<MatchedPath>().map_or("-", MatchedPath::as_str).to_owned();
    let span = tracing::info_span!("request", %id, method = %request.method(), path, status = tracing::field::Empty);
    let mut response = async {
        if names_a_token(&request) {
            return Problem::malformed("a token may not stand in the address; send it as Authorization: Bearer").into_response();
        }
        next.run(request).await
    }
    .instrument(span.clone())
    .await;
    let status = response.status();
    span.record("status", status.as_u16());
    span.in_scope(|| tracing::debug!("answered"));
    if let Some(count) = portal.answers.get(usize::from(status.as_u16() / 100)) {
        count.fetch_add(1, Ordering::Relaxed);
    }
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if let Ok(id) = HeaderValue::from_str(id.as_str()) {
        headers.insert(REQUEST_ID, id);
    }
    response
}

/// The id that whoever sends the request has given it, if it is one.
fn named(request: &Request) -> Option<RequestId> {
    let mut sent = request.headers().get_all(REQUEST_ID).iter();
    match (sent.next(), sent.next()) {
        (Some(id), None) => RequestId::new(id.to_str().ok()?).ok(),
        _ => None,
    }
}

fn names_a_token(request: &Request) -> bool {
    let Ok(Query(pairs)) = Query::<Vec<(String, String)>>::try_from_uri(request.uri()) else { return false };
    pairs.iter().any(|(key, _)| matches!(key.to_ascii_lowercase().as_str(), "token" | "access_token"))
}
