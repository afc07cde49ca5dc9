//! Successful replies.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

/// What a handler gives back.
pub type Reply = Result<Response, crate::Problem>;

/// A JSON reply.
#[must_use]
pub fn json(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => typed(status, "application/json", bytes),
        Err(error) => {
            tracing::error!(%error, "request failed");
            crate::Problem::internal().into_response()
        }
    }
}

/// A reply of plain text (200).
#[must_use]
pub fn text(body: impl Into<String>) -> Response {
    typed(StatusCode::OK, "text/plain; charset=utf-8", body.into().into_bytes())
}

/// A page. It may load nothing, run nothing and be framed by nobody, and no other site is told where it was.
#[must_use]
pub fn html(status: StatusCode, body: impl Into<String>) -> Response {
    let mut response = typed(status, "text/html; charset=utf-8", body.into().into_bytes());
    let policy =
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

/// 204.
#[must_use]
pub fn no_content() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

fn typed(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Response {
    let mut response = (status, body).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
