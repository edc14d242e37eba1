//! The stylesheet, the script and the icon: the only things that a page loads.

use axum::{
    http::header,
    response::{IntoResponse, Response},
};

const ICON: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#3456c4"/><path d="M6 21 16 8l10 13-10-4z" fill="#fff"/></svg>"##;

pub(super) async fn style() -> Response {
    file("text/css; charset=utf-8", include_str!("portal.css"))
}

pub(super) async fn script() -> Response {
    file("text/javascript; charset=utf-8", include_str!("portal.js"))
}

pub(super) async fn icon() -> Response {
    file("image/svg+xml", ICON)
}

fn file(kind: &'static str, body: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "public, max-age=300")], body).into_response()
}
