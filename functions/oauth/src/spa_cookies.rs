//! The cookies of single-page applications.

use actingweb_web::{AppState, Incoming};
use axum::response::Response;
use http::{HeaderValue, header};

/// All of them: the access token under both of its names, and what it is refreshed with.
pub(crate) const NAMES: [&str; 3] = [ACCESS, ACCESS_TOO, REFRESH];
const ACCESS: &str = "access_token";
const ACCESS_TOO: &str = "oauth_token";
const REFRESH: &str = "refresh_token";

/// The access token.
pub(crate) fn access(incoming: &Incoming) -> Option<&str> {
    incoming.cookie(ACCESS).or_else(|| incoming.cookie(ACCESS_TOO)).filter(|value| !value.is_empty())
}

/// What the access token is refreshed with.
pub(crate) fn refresh(incoming: &Incoming) -> Option<&str> {
    incoming.cookie(REFRESH).filter(|value| !value.is_empty())
}

/// Any token of the session.
pub(crate) fn any(incoming: &Incoming) -> Option<&str> {
    refresh(incoming).or_else(|| access(incoming))
}

/// Sets the access token, for so many seconds.
pub(crate) fn set_access(state: &AppState, response: &mut Response, token: &str, seconds: u64) {
    set(state, response, ACCESS, token, seconds);
    set(state, response, ACCESS_TOO, token, seconds);
}

/// Sets what the access token is refreshed with, for so many seconds.
pub(crate) fn set_refresh(state: &AppState, response: &mut Response, token: &str, seconds: u64) {
    set(state, response, REFRESH, token, seconds);
}

/// Takes all of them back.
pub(crate) fn forget(state: &AppState, mut response: Response) -> Response {
    for name in NAMES {
        set(state, &mut response, name, "", 0);
    }
    response
}

fn set(state: &AppState, response: &mut Response, name: &str, value: &str, seconds: u64) {
    let secure = if state.base_url.starts_with("https://") { "; Secure" } else { "" };
    let cookie = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    let cookie = HeaderValue::from_str(&cookie).ok().map(|mut cookie| {
        cookie.set_sensitive(true);
        (header::SET_COOKIE, cookie)
    });
    if let Some((name, cookie)) = cookie {
        response.headers_mut().append(name, cookie);
    }
}
