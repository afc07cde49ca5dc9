//! Errors as single-page applications read them: `{"error": true, "status_code", "message"}`.

use std::time::Duration;

use actingweb_actor::ActorError;
use actingweb_actor::grants::GrantError;
use actingweb_web::Problem;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::json;

use crate::error::private;

/// What an endpoint for applications answers.
pub(crate) type SpaReply = Result<Response, SpaError>;

/// Why a request of an application was not carried out.
#[derive(Clone, Debug)]
pub(crate) struct SpaError {
    status: StatusCode,
    message: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl SpaError {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), headers: Vec::new() }
    }

    /// 400.
    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 401.
    pub(crate) fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, message)
    }

    /// 403.
    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    /// 405.
    pub(crate) fn method_not_allowed(allow: &'static str) -> Self {
        let error = Self::new(StatusCode::METHOD_NOT_ALLOWED, format!("this path answers {allow} only"));
        error.with(header::ALLOW, HeaderValue::from_static(allow))
    }

    /// 429.
    pub(crate) fn too_many(wait: Duration) -> Self {
        let seconds = u64::try_from(wait.as_millis().div_ceil(1000).max(1)).unwrap_or(60);
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too many requests: wait").with(header::RETRY_AFTER, seconds.into())
    }

    fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }
}

impl IntoResponse for SpaError {
    fn into_response(self) -> Response {
        let body = json!({ "error": true, "status_code": self.status.as_u16(), "message": self.message });
        let mut response = private(self.status, &body);
        response.headers_mut().extend(self.headers);
        response
    }
}

impl From<Problem> for SpaError {
    fn from(problem: Problem) -> Self {
        let error = Self::new(problem.status(), problem.detail());
        let kept = [header::RETRY_AFTER, header::ALLOW].into_iter();
        kept.filter_map(|name| Some((name.clone(), problem.header(&name)?)))
            .fold(error, |error, (name, value)| error.with(name, value))
    }
}

impl From<ActorError> for SpaError {
    fn from(error: ActorError) -> Self {
        Problem::from(error).into()
    }
}

impl From<GrantError> for SpaError {
    fn from(error: GrantError) -> Self {
        match error {
            GrantError::Actor(error) => error.into(),
            GrantError::InvalidRequest(reason) => Self::bad(reason),
            other => Self::unauthorized(other.to_string()),
        }
    }
}
