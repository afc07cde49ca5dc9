//! Errors as problem documents (RFC 9457).

use std::borrow::Cow;
use std::time::Duration;

use actingweb_actor::{ActorError, FeedError, ListError, TrustError};
use actingweb_hooks::HookFailure;
use actingweb_protocol::NameError;
use actingweb_protocol::json::JsonError;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Value, json};

/// Why a request was not carried out: the status, and a reason the caller can act upon.
///
/// The reply's body is `{"type","title","status","detail","request_id"[,"unfinished"]}`; [`crate::serve`] fills in the
/// request's id. `unfinished` names the hooks that did not finish in time.
#[derive(Clone, Debug)]
pub struct Problem {
    status: StatusCode,
    pub(crate) title: Option<Cow<'static, str>>,
    detail: String,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    unfinished: Vec<String>,
}

impl Problem {
    /// A problem with this status; `detail` says what was wrong, where, and what to do.
    #[must_use]
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, title: None, detail: detail.into(), headers: Vec::new(), unfinished: Vec::new() }
    }

    /// 400.
    #[must_use]
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 401 with a challenge (RFC 9110, 11.6.1).
    #[must_use]
    pub fn unauthorized(realm: &str, detail: impl Into<String>) -> Self {
        let challenge = format!("Basic realm=\"{realm}\", charset=\"UTF-8\"");
        Self::new(StatusCode::UNAUTHORIZED, detail).with(header::WWW_AUTHENTICATE, &challenge)
    }

    /// 401 for a token of ours that counts for nothing (RFC 6750, 3.1).
    #[must_use]
    pub fn invalid_token(realm: &str, detail: &str) -> Self {
        let challenge = format!("Bearer realm=\"{realm}\", error=\"invalid_token\", error_description=\"{detail}\"");
        Self::new(StatusCode::UNAUTHORIZED, detail).with(header::WWW_AUTHENTICATE, &challenge)
    }

    /// 403.
    #[must_use]
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    /// 404.
    #[must_use]
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// 405 with what is allowed (RFC 9110, 15.5.6).
    #[must_use]
    pub fn method_not_allowed(allow: &str) -> Self {
        let detail = format!("this path answers {allow} only");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, detail).with(header::ALLOW, allow)
    }

    /// 409.
    #[must_use]
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    /// 413.
    #[must_use]
    pub fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    }

    /// 429 for too many failed attempts.
    #[must_use]
    pub fn guessing(retry_after: Duration) -> Self {
        let detail = "too many failed attempts from this address: wait";
        Self::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(retry_after)
    }

    /// 500. The cause belongs into the log, not here.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "an internal error, logged under this request's id")
    }

    /// 503 with Retry-After (RFC 9110, 10.2.3), in whole seconds and at least one.
    #[must_use]
    pub fn unavailable(detail: impl Into<String>, retry_after: Duration) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(retry_after)
    }

    /// Adds a header.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: &str) -> Self {
        // A value that cannot stand in a header is left out rather than failing the reply.
        self.headers.extend(HeaderValue::from_str(value).ok().map(|value| (name, value)));
        self
    }

    /// Adds Retry-After (RFC 9110, 10.2.3), in whole seconds and at least one.
    #[must_use]
    pub fn retry_after(self, wait: Duration) -> Self {
        let seconds = wait.as_millis().div_ceil(1000).max(1);
        self.with(header::RETRY_AFTER, &seconds.to_string())
    }

    /// The status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// A header of the reply; the first of that name.
    #[must_use]
    pub fn header(&self, name: &HeaderName) -> Option<HeaderValue> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.clone())
    }

    /// The reason.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The hooks that did not finish in time.
    #[must_use]
    pub fn unfinished(&self) -> &[String] {
        &self.unfinished
    }

    /// Names further hooks that did not finish in time.
    #[must_use]
    pub fn with_unfinished(mut self, hooks: impl IntoIterator<Item = String>) -> Self {
        for hook in hooks {
            if !self.unfinished.contains(&hook) {
                self.unfinished.push(hook);
            }
        }
        self
    }

    /// The problem document.
    pub(crate) fn document(&self, request_id: &str) -> Value {
        let mut body = json!({
            "type": "about:blank",
            "title": self.title.as_deref().or(self.status.canonical_reason()).unwrap_or("Error"),
            "status": self.status.as_u16(),
            "detail": self.detail,
            "request_id": request_id,
        });
        if let Some(members) = body.as_object_mut().filter(|_| !self.unfinished.is_empty()) {
            members.insert("unfinished".to_owned(), json!(self.unfinished));
        }
        body
    }

    /// The reply with its body.
    pub(crate) fn render(&self, request_id: &str) -> Response {
        let mut response = (self.status, self.document(request_id).to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.extend(self.headers.iter().cloned());
        response
    }
}

/// Leaves the problem on the reply; the body is written where the request's id is known.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<ActorError> for Problem {
    fn from(error: ActorError) -> Self {
        match error {
            ActorError::Busy { retry_after } => Self::unavailable("storage is busy: try again", retry_after),
            ActorError::Gone => Self::not_found(error.to_string()),
            ActorError::TooLarge { .. } => Self::too_large(error.to_string()),
            ActorError::Invalid(reason) => Self::bad_request(reason),
            ActorError::Conflict(reason) => Self::conflict(reason),
            ActorError::Internal(cause) => {
                tracing::error!(error = %cause, "request failed");
                Self::internal()
            }
        }
    }
}

impl From<FeedError> for Problem {
    fn from(error: FeedError) -> Self {
        let reason = error.to_string();
        match error {
            FeedError::Invalid(_) => Self::bad_request(reason),
            // The status that deployed clients know for whatever goes wrong between two actors.
            FeedError::NoTrust | FeedError::Peer { .. } => Self::new(StatusCode::REQUEST_TIMEOUT, reason),
            FeedError::Actor(error) => error.into(),
        }
    }
}

impl From<ListError> for Problem {
    fn from(error: ListError) -> Self {
        match error {
            ListError::Missing(_) | ListError::OutOfRange { .. } | ListError::NoSuchItem(_) => {
                Self::not_found(error.to_string())
            }
            ListError::Changed(_) => Self::new(StatusCode::PRECONDITION_FAILED, error.to_string()),
            ListError::Denied(denied) => denied.into(),
            ListError::Plain(_) => Self::conflict(error.to_string()),
            ListError::Actor(error) => error.into(),
        }
    }
}

impl From<TrustError> for Problem {
    fn from(error: TrustError) -> Self {
        let reason = error.to_string();
        match error {
            TrustError::Invalid(_) => Self::bad_request(reason),
            TrustError::Forbidden(_) => Self::forbidden(reason),
            TrustError::Missing => Self::not_found(reason),
            TrustError::Conflict(_) => Self::conflict(reason),
            TrustError::Full { retry_after } => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, reason).retry_after(retry_after)
            }
            TrustError::Peer(_) => Self::new(StatusCode::BAD_GATEWAY, reason),
            TrustError::Actor(error) => error.into(),
        }
    }
}

impl From<HookFailure> for Problem {
    fn from(failure: HookFailure) -> Self {
        let status = StatusCode::from_u16(failure.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let problem = Self { title: Some(failure.title.into()), ..Self::new(status, failure.detail) };
        let problem = problem.with_unfinished(failure.unfinished);
        match failure.retry_after {
            Some(wait) => problem.retry_after(wait),
            None if status == StatusCode::SERVICE_UNAVAILABLE => problem.retry_after(Duration::from_secs(1)),
            None => problem,
        }
    }
}

impl From<NameError> for Problem {
    fn from(error: NameError) -> Self {
        Self::bad_request(error.to_string())
    }
}

impl From<JsonError> for Problem {
    fn from(error: JsonError) -> Self {
        Self::bad_request(format!("the body is {error}"))
    }
}
