//! Who is signed in at this browser: a cookie that is good for the pages of this group and for nothing else.
//!
//! Behind it is a row like that of any grant, so that signing out, or the end of the actor, ends it at once. Of every
//! other path it is no credential, because nothing but this module looks at cookies.

use actingweb_actor::Actor;
use actingweb_actor::grants::{SESSION_LIFETIME, SessionKind};
use actingweb_web::{AppState, Incoming, Problem};
use axum::response::Response;
use http::{HeaderValue, header};

/// A browser in which somebody is signed in.
#[derive(Debug)]
pub(crate) struct Session {
    /// Whose creator it is.
    pub(crate) actor: Actor,
    cookie: String,
}

/// The name of the cookie. With the prefix, browsers take it only from this host, over TLS, for all its paths
/// (draft-ietf-httpbis-rfc6265bis, 4.1.3.2); without TLS, which is for development, they would not take it at all.
fn cookie_name(state: &AppState) -> &'static str {
    if is_secure(state) { "__Host-actingweb" } else { "actingweb" }
}

fn is_secure(state: &AppState) -> bool {
    state.base_url.starts_with("https://")
}

impl Session {
    /// The session that the browser's cookie names, if it still is one: one call to storage.
    pub(crate) async fn of(state: &AppState, incoming: &Incoming) -> Result<Option<Self>, Problem> {
        let Some(cookie) = incoming.cookie(cookie_name(state)) else { return Ok(None) };
        let actor = state.actors.grants().browser_session(cookie, incoming.context.deadline).await?;
        Ok(actor.map(|actor| Self { actor, cookie: cookie.to_owned() }))
    }

    /// What forms for this session are signed for.
    pub(crate) fn owner(&self) -> &str {
        &self.cookie
    }

    /// Ends it.
    pub(crate) async fn end(&self, state: &AppState, incoming: &Incoming) -> Result<(), Problem> {
        Ok(state.actors.grants().close_session(&self.cookie, incoming.context.deadline).await?)
    }
}

/// Signs an actor's creator in at this browser. Whoever was signed in before is signed out.
pub(crate) async fn begin(
    state: &AppState,
    incoming: &Incoming,
    actor: &Actor,
    mut response: Response,
) -> Result<Response, Problem> {
    if let Some(before) = Session::of(state, incoming).await? {
        before.end(state, incoming).await?;
    }
    let issued = state.actors.grants().open_session(actor, SessionKind::Browser).await?;
    set(state, &mut response, &issued.access_token, SESSION_LIFETIME.as_secs());
    Ok(response)
}

/// Takes the cookie back.
pub(crate) fn forget(state: &AppState, response: &mut Response) {
    set(state, response, "", 0);
}

fn set(state: &AppState, response: &mut Response, value: &str, max_age: u64) {
    let secure = if is_secure(state) { "; Secure" } else { "" };
    let cookie = format!("{}={value}; Path=/; Max-Age={max_age}; HttpOnly; SameSite=Lax{secure}", cookie_name(state));
    let cookie = HeaderValue::from_str(&cookie).ok().map(|mut cookie| {
        cookie.set_sensitive(true);
        (header::SET_COOKIE, cookie)
    });
    response.headers_mut().extend(cookie);
}

/// Refuses what no page of ours sent. Browsers say with every form which site it comes from; what does not say is no
/// browser, and has no business with forms.
///
/// # Errors
/// 403.
pub(crate) fn check_own_page(state: &AppState, incoming: &Incoming) -> Result<(), Problem> {
    match incoming.is_from_own_page(state) {
        Some(true) => Ok(()),
        _ => Err(Problem::forbidden("this form did not come from a page of this site: open the page again")),
    }
}
