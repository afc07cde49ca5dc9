//! Single-page applications of the origins that the application names (`App::spa_origin`): their pages may read what actors
//! answer, and call with the cookies that sign-in gave them. No other page may, and none is named that is not on the list.

use actingweb_actor::Credentials;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};

use crate::authorization::credentials;
use crate::{AppState, Incoming, Problem};

/// The cookie that holds a session's access token.
const COOKIE: &str = "access_token";

/// What tokens of sessions in cookies begin with; no other is taken from a cookie, nor are these from anywhere else.
const PAGE: &str = "actw_p.";

/// Paths that say by themselves which pages may use them.
const OTHERS: [&str; 3] = ["/oauth", "/.well-known", "/mcp"];

const METHODS: &str = "GET, POST, PUT, DELETE, OPTIONS";
const HEADERS: &str = "Authorization, Content-Type, Accept, If-Match, If-None-Match, Idempotency-Key, X-Request-ID";
const EXPOSED: &str =
    "ETag, Link, Location, X-Next-Cursor, Retry-After, WWW-Authenticate, Idempotent-Replayed, X-Request-ID";
/// How long a browser may remember what is allowed: ten minutes, in seconds, since a deployment may change it.
const MAX_AGE: &str = "600";

/// Lets pages of the named origins read the replies of actors, and answers their OPTIONS.
pub(crate) async fn share(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let origins = &state.hooks.app().spa_origins;
    let path = request.uri().path();
    if origins.is_empty() || OTHERS.iter().any(|other| path.starts_with(other)) {
        return next.run(request).await;
    }
    let origin = request.headers().get(header::ORIGIN).cloned();
    let origin = origin.filter(|origin| origins.iter().any(|listed| listed.as_bytes() == origin.as_bytes()));
    let asks = request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let response = if request.method() == Method::OPTIONS && asks && origin.is_some() {
        let allowed = [
            (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS),
            (header::ACCESS_CONTROL_MAX_AGE, MAX_AGE),
        ];
        (StatusCode::NO_CONTENT, allowed).into_response()
    } else {
        next.run(request).await
    };
    marked(response, origin)
}

/// The body of a problem is written further out, where its headers are added.
fn marked(mut response: Response, origin: Option<HeaderValue>) -> Response {
    let mut marks = vec![(header::VARY, HeaderValue::from_static("Origin"))];
    if let Some(origin) = origin {
        marks.push((header::ACCESS_CONTROL_ALLOW_ORIGIN, origin));
        marks.push((header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true")));
        marks.push((header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED)));
    }
    match response.extensions_mut().remove::<Problem>() {
        Some(problem) => {
            let with = |problem: Problem, (name, value): (HeaderName, HeaderValue)| {
                value.to_str().map_or_else(|_| problem.clone(), |value| problem.clone().with(name, value))
            };
            marks.into_iter().fold(problem, with).into_response()
        }
        None => {
            for (name, value) in marks {
                response.headers_mut().append(name, value);
            }
            response
        }
    }
}

impl Incoming {
    /// What the request presents: the Authorization header, else the session of a page that may use its cookie. A cookie
    /// goes along with whatever any page makes a browser send, so it counts only where the browser says that a page of ours
    /// or of a named origin made the request. A browser's session of our own pages counts here never, and a bearer does not
    /// count as a cookie.
    pub(crate) fn presented(&self, state: &AppState) -> Result<Credentials, &'static str> {
        let presented = credentials(&self.headers)?;
        let cookie = self.cookie(COOKIE).filter(|token| token.starts_with(PAGE));
        match (presented, cookie) {
            (Credentials::None, Some(token)) if self.is_from_app(state) => Ok(Credentials::Cookie(token.to_owned())),
            (presented, _) => Ok(presented),
        }
    }

    /// Whether the browser says that a page of this deployment, or of an origin that the application names, made this
    /// request. What says nothing, or is typed by a person, is none.
    fn is_from_app(&self, state: &AppState) -> bool {
        match self.header(&header::ORIGIN) {
            Some(origin) if state.hooks.app().spa_origins.iter().any(|listed| listed == origin) => true,
            Some(_) => self.is_from_own_page(state) == Some(true),
            None => self.header(&HeaderName::from_static("sec-fetch-site")) == Some("same-origin"),
        }
    }
}
