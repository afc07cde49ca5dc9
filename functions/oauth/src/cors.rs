//! Cross-origin requests (the Fetch standard's CORS protocol).
//!
//! What clients in browsers need without cookies, discovery, registration and the token endpoints, any page may read:
//! whatever it gets there it could get from its own server. No other path of this group says so, and none ever allows
//! credentials of the browser.

use actingweb_web::{AppState, Problem};
use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};

const ALLOWED_HEADERS: &str = "Authorization, Content-Type, MCP-Protocol-Version";
const EXPOSED_HEADERS: &str = "WWW-Authenticate, Retry-After, X-Request-ID";

/// How long a browser may remember what is allowed: a day, in seconds.
const MAX_AGE: &str = "86400";

/// Lets pages of any origin use these routes, and answers OPTIONS.
pub(crate) fn open(routes: Router<AppState>) -> Router<AppState> {
    routes.route_layer(from_fn(answer))
}

async fn answer(request: Request, next: Next) -> Response {
    if request.method() == Method::OPTIONS {
        let preflight = [
            (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS"),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS),
            (header::ACCESS_CONTROL_MAX_AGE, MAX_AGE),
        ];
        return opened((StatusCode::NO_CONTENT, preflight).into_response());
    }
    opened(next.run(request).await)
}

/// Marks a reply as readable for everybody. The body of a problem is written further out, where its headers are added.
fn opened(mut response: Response) -> Response {
    const OPEN: [(HeaderName, &str); 2] =
        [(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"), (header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_HEADERS)];
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        return OPEN.into_iter().fold(problem, |problem, (name, value)| problem.with(name, value)).into_response();
    }
    response.headers_mut().extend(OPEN.map(|(name, value)| (name, HeaderValue::from_static(value))));
    response
}
