//! Which pages may use the endpoints of single-page applications: those of this deployment, and of the origins that the
//! application names. No origin is ever repeated that is not one of them.

use actingweb_web::{AppState, Incoming, Verb};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};

use crate::spa_error::SpaReply;

const METHODS: &str = "GET, POST, OPTIONS";
const HEADERS: &str = "Authorization, Content-Type, Accept";
const EXPOSED: &str = "Retry-After, X-Request-ID";
/// How long a browser may remember what is allowed: ten minutes, in seconds, since a deployment may change it.
const MAX_AGE: &str = "600";

/// Answers a request of an application's page, and lets the page read the answer if it is of an allowed origin. OPTIONS is
/// answered here.
pub(crate) async fn answer(
    state: &AppState,
    incoming: &Incoming,
    reply: impl Future<Output = SpaReply> + Send,
) -> Response {
    let origin = incoming.header(&header::ORIGIN).filter(|origin| is_listed(state, origin));
    let asks = incoming.verb == Verb::Other && incoming.header(&header::ACCESS_CONTROL_REQUEST_METHOD).is_some();
    let mut response = if asks {
        let preflight = [
            (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS),
            (header::ACCESS_CONTROL_MAX_AGE, MAX_AGE),
        ];
        (StatusCode::NO_CONTENT, preflight).into_response()
    } else {
        Box::pin(reply).await.unwrap_or_else(|error| error.into_response())
    };
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = origin.and_then(|origin| HeaderValue::from_str(origin).ok()) {
        let marks: [(HeaderName, HeaderValue); 3] = [
            (header::ACCESS_CONTROL_ALLOW_ORIGIN, origin),
            (header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true")),
            (header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED)),
        ];
        headers.extend(marks);
    }
    response
}

fn is_listed(state: &AppState, origin: &str) -> bool {
    state.hooks.app().spa_origins.iter().any(|listed| listed == origin)
}

/// Whether a request that changes something may come from where it comes from: a page of ours or of an allowed origin, or
/// no page at all. Browsers say with each such request where it comes from, so what says nothing has no cookies of a
/// person's to abuse.
pub(crate) fn is_allowed(state: &AppState, incoming: &Incoming) -> bool {
    let listed = incoming.header(&header::ORIGIN).is_some_and(|origin| is_listed(state, origin));
    listed || incoming.is_from_own_page(state).unwrap_or(true)
}
