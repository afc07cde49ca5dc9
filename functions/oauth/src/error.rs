//! Errors as OAuth clients read them: `{"error", "error_description"}` (RFC 6749, 5.2; RFC 7591, 3.2.2).

use std::time::Duration;

use actingweb_actor::ActorError;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::json;

/// What an endpoint for clients answers.
pub(crate) type OAuthReply = Result<Response, OAuthError>;

/// Why a client's request was not carried out.
#[derive(Clone, Debug)]
pub(crate) struct OAuthError {
    status: StatusCode,
    code: &'static str,
    description: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl OAuthError {
    /// An error with this code; the description is for the client's developers: what was wrong, and what to do.
    pub(crate) fn new(status: StatusCode, code: &'static str, description: impl Into<String>) -> Self {
        Self { status, code, description: description.into(), headers: Vec::new() }
    }

    /// 400 with a code of RFC 6749, 5.2 or its extensions.
    pub(crate) fn bad(code: &'static str, description: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, description)
    }

    /// 400 `invalid_request`: a parameter is missing, doubled or malformed.
    pub(crate) fn invalid_request(description: impl Into<String>) -> Self {
        Self::bad("invalid_request", description)
    }

    /// 405, with what is allowed.
    pub(crate) fn method_not_allowed(allow: &'static str) -> Self {
        let description = format!("this path answers {allow} only");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "invalid_request", description).with(header::ALLOW, allow)
    }

    /// 429: too many requests.
    pub(crate) fn too_many(retry_after: Duration) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "slow_down", "too many requests: wait").retry_after(retry_after)
    }

    /// Adds a header.
    pub(crate) fn with(mut self, name: HeaderName, value: &str) -> Self {
        // A value that cannot stand in a header is left out rather than failing the reply.
        self.headers.extend(HeaderValue::from_str(value).ok().map(|value| (name, value)));
        self
    }

    /// Adds Retry-After, in whole seconds and at least one.
    pub(crate) fn retry_after(self, wait: Duration) -> Self {
        let seconds = wait.as_millis().div_ceil(1000).max(1);
        self.with(header::RETRY_AFTER, &seconds.to_string())
    }

    /// The code.
    #[cfg(test)]
    pub(crate) const fn code(&self) -> &'static str {
        self.code
    }

    /// What was wrong.
    pub(crate) fn description(&self) -> &str {
        &self.description
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let body = json!({ "error": self.code, "error_description": self.description });
        let mut response = private(self.status, &body);
        response.headers_mut().extend(self.headers);
        response
    }
}

/// A JSON reply that no cache may keep (RFC 6749, 5.1).
pub(crate) fn private(status: StatusCode, body: &serde_json::Value) -> Response {
    let mut response = actingweb_web::json(status, body);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

impl From<ActorError> for OAuthError {
    fn from(error: ActorError) -> Self {
        match error {
            ActorError::Busy { retry_after } => {
                let busy = "storage is busy: try again";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", busy).retry_after(retry_after)
            }
            ActorError::Internal(cause) => {
                tracing::error!(error = %cause, "request failed");
                let failed = "an internal error, logged under this request's id";
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", failed)
            }
            other => Self::invalid_request(other.to_string()),
        }
    }
}
