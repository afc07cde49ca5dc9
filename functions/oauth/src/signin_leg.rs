//! A sign-in that is under way: what is known of it while the browser is at the provider, and in which browser it began.

use std::time::Duration;

use actingweb_actor::Once;
use actingweb_protocol::{Entropy, sha256_hex};
use actingweb_providers::{Leg, Provider};
use actingweb_web::{AppState, Incoming, Problem};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderValue, header};
use serde::{Deserialize, Serialize};

use crate::spa_request::PageRequest;

/// How many random bytes secrets have.
const SECRET_BYTES: usize = 32;

/// What a sign-in is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Purpose {
    /// A person at the pages of this group; `next` is where they go on.
    Web {
        /// A path that [`crate::login::next`] lets through.
        next: Option<String>,
    },
    /// Whoever is signed in to this actor connects another identity.
    Link {
        /// The actor's id.
        actor: String,
    },
    /// An application in a browser, or a native one.
    Page(PageRequest),
}

/// What is kept of it.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    provider: String,
    nonce: String,
    verifier: String,
    /// SHA-256 of the browser's secret.
    browser: String,
    purpose: Purpose,
}

/// A sign-in that came back: what it began with.
pub(crate) struct Returned {
    pub(crate) provider: Provider,
    pub(crate) leg: Leg,
    pub(crate) purpose: Purpose,
    /// SHA-256 of the secret of the browser that it began in, which is this one.
    pub(crate) browser: String,
}

/// Why what came back is no sign-in of this browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stray {
    /// Never begun, ended, or used before.
    Unknown,
    /// Begun in another browser: somebody wants to sign this one in as themselves.
    OtherBrowser,
}

/// 256 random bits as text.
pub(crate) fn secret(entropy: &dyn Entropy) -> String {
    let mut bytes = [0; SECRET_BYTES];
    entropy.fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The address that providers send browsers back to.
pub(crate) fn redirect_uri(state: &AppState, provider: &Provider) -> String {
    let form = if provider.answers_by_form() { "/apple" } else { "" };
    format!("{}/oauth/callback{form}", state.base_url)
}

/// Notes a sign-in, and sends the browser to the provider with a cookie that it is known by when it comes back: one call to
/// storage, and the provider's documents if they are not at hand.
pub(crate) async fn send(
    state: &AppState,
    incoming: &Incoming,
    provider: &Provider,
    purpose: Purpose,
) -> Result<Response, Problem> {
    let fresh = || secret(&*state.entropy);
    let browser = browser_secret(state, incoming, provider).map_or_else(fresh, str::to_owned);
    let leg = Leg { state: fresh(), nonce: fresh(), verifier: fresh() };
    let deadline = incoming.context.deadline;
    let provider = provider.with_deadline(deadline);
    let url = provider.authorization_url(&redirect_uri(state, &provider), &leg, false).await.map_err(|error| {
        tracing::warn!(provider = provider.name(), %error, "a sign-in cannot begin");
        let name = &provider.settings().display_name;
        Problem::unavailable(format!("{name} cannot be reached at the moment"), Duration::from_secs(30))
    })?;
    let record = Record {
        provider: provider.name().to_owned(),
        nonce: leg.nonce,
        verifier: leg.verifier,
        browser: sha256_hex(&browser),
        purpose,
    };
    state.actors.keep_once(Once::Leg, &leg.state, &record, deadline).await?;
    let mut response = crate::pages::see_other(url.as_str());
    set_browser(state, provider.answers_by_form(), &mut response, (&browser, Once::Leg.lifetime()));
    Ok(response)
}

/// What a browser brings back, which counts once: one call to storage.
pub(crate) async fn receive(
    state: &AppState,
    incoming: &Incoming,
    sent_state: &str,
) -> Result<Result<Returned, Stray>, Problem> {
    let deadline = incoming.context.deadline;
    // Ours are of one length; anything else is not worth a call.
    if sent_state.len() != (SECRET_BYTES * 8).div_ceil(6) {
        return Ok(Err(Stray::Unknown));
    }
    let Some(record) = state.actors.take_once::<Record>(Once::Leg, sent_state, deadline).await? else {
        return Ok(Err(Stray::Unknown));
    };
    let Some(provider) = state.providers.find(&record.provider) else { return Ok(Err(Stray::Unknown)) };
    let known = browser_secret(state, incoming, provider).is_some_and(|secret| sha256_hex(secret) == record.browser);
    if !known {
        return Ok(Err(Stray::OtherBrowser));
    }
    let leg = Leg { state: sent_state.to_owned(), nonce: record.nonce, verifier: record.verifier };
    let provider = provider.with_deadline(deadline);
    Ok(Ok(Returned { provider, leg, purpose: record.purpose, browser: record.browser }))
}

/// Whether this browser is the one with this digest, whichever way its provider answers.
pub(crate) fn is_browser(state: &AppState, incoming: &Incoming, digest: &str) -> bool {
    [false, true]
        .into_iter()
        .any(|form| incoming.cookie(&cookie_name(state, form)).is_some_and(|secret| sha256_hex(secret) == digest))
}

/// The name of the cookie. What is sent along with a form of another site's page is another cookie, with fewer limits.
fn cookie_name(state: &AppState, form: bool) -> String {
    let prefix = if is_secure(state) { "__Host-" } else { "" };
    let suffix = if form { "-form" } else { "" };
    format!("{prefix}actingweb-signin{suffix}")
}

fn is_secure(state: &AppState) -> bool {
    state.base_url.starts_with("https://")
}

fn browser_secret<'a>(state: &AppState, incoming: &'a Incoming, provider: &Provider) -> Option<&'a str> {
    let cookie = incoming.cookie(&cookie_name(state, provider.answers_by_form()))?;
    (cookie.len() == (SECRET_BYTES * 8).div_ceil(6)).then_some(cookie)
}

/// Has the browser keep its secrets for this long from now on.
pub(crate) fn keep_browser(state: &AppState, incoming: &Incoming, response: &mut Response, lifetime: Duration) {
    for form in [false, true] {
        if let Some(secret) = incoming.cookie(&cookie_name(state, form)) {
            set_browser(state, form, response, (secret, lifetime));
        }
    }
}

fn set_browser(state: &AppState, form: bool, response: &mut Response, (secret, lifetime): (&str, Duration)) {
    let name = cookie_name(state, form);
    let site = if form && is_secure(state) { "None" } else { "Lax" };
    let secure = if is_secure(state) { "; Secure" } else { "" };
    let lifetime = lifetime.as_secs();
    let cookie = format!("{name}={secret}; Path=/; Max-Age={lifetime}; HttpOnly; SameSite={site}{secure}");
    let cookie = HeaderValue::from_str(&cookie).ok().map(|mut cookie| {
        cookie.set_sensitive(true);
        (header::SET_COOKIE, cookie)
    });
    if let Some((name, cookie)) = cookie {
        response.headers_mut().append(name, cookie);
    }
}
