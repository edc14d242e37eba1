//! Refusals as RFC 9457 problem details.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use eyrie_core::{Error, ErrorKind, Invalid};
use serde_json::json;

/// The result of a handler.
pub(crate) type Answer<T = Response> = Result<T, Problem>;

/// Why a request was refused, for a program and for a person.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    kind: &'static str,
    title: &'static str,
    pub(crate) detail: String,
    field: Option<String>,
    retry_after: Option<u64>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, kind: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self { status, kind, title, detail: detail.into(), field: None, retry_after: None }
    }

    /// The one answer for what does not exist, what may not be known of and what has no route.
    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found", "there is no such thing, or you may not see it")
    }

    pub(crate) fn unauthenticated(detail: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", "Not signed in", detail)
    }

    pub(crate) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", "Malformed request", detail)
    }

    pub(crate) fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "Too large", "the body is larger than 1 MiB")
    }

    pub(crate) fn cross_site() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "cross-site",
            "Refused",
            "the form did not come from this portal, or it is out of date; load the page again",
        )
    }

    pub(crate) fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed", "this address does not take that method")
    }

    pub(crate) fn version_missing() -> Self {
        let detail = "send If-Match with the ETag that you have read";
        Self {
            field: Some("If-Match".to_owned()),
            ..Self::new(StatusCode::PRECONDITION_REQUIRED, "precondition-required", "Version missing", detail)
        }
    }

    pub(crate) fn version_differs() -> Self {
        let detail = "it has changed since you read it; read it again";
        Self::new(StatusCode::PRECONDITION_FAILED, "precondition-failed", "Changed meanwhile", detail)
    }

    /// A field that was refused.
    pub(crate) fn invalid(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { field: Some(field.into()), ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "Invalid", detail) }
    }
}

impl From<Invalid> for Problem {
    fn from(invalid: Invalid) -> Self {
        Self::invalid(invalid.field(), invalid.reason())
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        if let Some(invalid) = error.invalid() {
            return invalid.clone().into();
        }
        let kind = error.kind();
        let (told, after) = (error.to_string(), error.retry_after().map_or(1, |after| after.as_secs()));
        let (status, title, detail) = match kind {
            ErrorKind::NotFound => return Self::not_found(),
            ErrorKind::Invalid => (StatusCode::UNPROCESSABLE_ENTITY, "Invalid", told),
            ErrorKind::Denied => (StatusCode::FORBIDDEN, "Not allowed", told),
            ErrorKind::Unauthenticated => (StatusCode::UNAUTHORIZED, "Not signed in", told),
            ErrorKind::AlreadyExists => (StatusCode::CONFLICT, "Exists already", told),
            ErrorKind::Conflict => (StatusCode::CONFLICT, "Conflict", told),
            ErrorKind::IllegalTransition => (StatusCode::CONFLICT, "Not possible now", told),
            ErrorKind::Pruned => (StatusCode::GONE, "No longer kept", told),
            ErrorKind::LimitExceeded => (StatusCode::TOO_MANY_REQUESTS, "Limit reached", told),
            ErrorKind::Unsupported => (StatusCode::UNPROCESSABLE_ENTITY, "Not supported", told),
            ErrorKind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "Not available", "nothing was done; try again".to_owned()),
            ErrorKind::StorageFull => {
                (StatusCode::SERVICE_UNAVAILABLE, "No room left", "the server has no room left; nothing was done".to_owned())
            }
            ErrorKind::OutcomeUnknown => {
                let detail = "it may or may not have been done; look before you repeat it".to_owned();
                (StatusCode::SERVICE_UNAVAILABLE, "Outcome unknown", detail)
            }
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "Fault", "a fault of the server; its log says more".to_owned()),
        };
        if status.is_server_error() {
            tracing::error!(operation = error.operation(), error = %eyrie_core::error::report(&error), "request failed");
        }
        let kind = if status == StatusCode::INTERNAL_SERVER_ERROR { "internal" } else { kind.as_str() };
        Self { retry_after: (status == StatusCode::TOO_MANY_REQUESTS).then_some(after), ..Self::new(status, kind, title, detail) }
    }
}

impl Problem {
    /// The headers that go with the status, whatever the body is.
    pub(crate) fn dress(&self, response: &mut Response) {
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
    }

    pub(crate) const fn title(&self) -> &'static str {
        self.title
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = json!({
            "type": format!("urn:eyrie:problem:{}", self.kind),
            "title": self.title,
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        if let (Some(field), Some(fields)) = (&self.field, body.as_object_mut()) {
            fields.insert("field".to_owned(), field.as_str().into());
        }
        let mut response = ([(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response();
        self.dress(&mut response);
        // For the pages, which show it to a person.
        response.extensions_mut().insert(self);
        response
    }
}
