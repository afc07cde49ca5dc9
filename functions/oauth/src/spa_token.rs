//! `POST /oauth/spa/token`: tokens for applications, by one of several proofs.

use actingweb_actor::grants::{GrantError, Issued, SESSION_LIFETIME, SessionKind};
use actingweb_actor::{Actor, Once, Rate};
use actingweb_protocol::oauth::CodeChallenge;
use actingweb_web::{AppState, Incoming};
use axum::response::Response;
use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::error::private;
use crate::signin_admit::{Admitted, admit};
use crate::spa::{body, count, deliver_to, provider, text};
use crate::spa_cookies;
use crate::spa_error::{SpaError, SpaReply};
use crate::spa_request::Delivery;
use crate::spa_return::Waiting;

/// The longest id_token that is looked at, in bytes.
const MAX_ASSERTION_BYTES: usize = 16 * 1024;

pub(crate) async fn token(state: &AppState, incoming: &Incoming) -> SpaReply {
    let body = body(incoming)?;
    match text(&body, "grant_type") {
        "refresh_token" => refresh(state, incoming, &body).await,
        "urn:ietf:params:oauth:grant-type:jwt-bearer" => Box::pin(assertion(state, incoming, &body)).await,
        "mobile_ticket" | "apple_mobile_ticket" => Box::pin(ticket(state, incoming, &body)).await,
        "authorization_code" => Err(SpaError::bad(
            "codes of providers are not taken here: begin at /oauth/spa/authorize, and pick the tokens up at \
             /oauth/spa/session/{session}",
        )),
        _ => Err(SpaError::bad(
            "`grant_type` must be refresh_token, mobile_ticket or urn:ietf:params:oauth:grant-type:jwt-bearer",
        )),
    }
}

/// How the tokens are wanted, if the body says.
fn delivery(body: &Map<String, Value>) -> Result<Option<Delivery>, SpaError> {
    let wrong = || SpaError::bad("`token_delivery` must be json, cookie or hybrid");
    match text(body, "token_delivery") {
        "" => Ok(None),
        name => Delivery::parse(name).map(Some).ok_or_else(wrong),
    }
}

/// What is due to a session: one in cookies stays there, and no other gets there. What came in a cookie goes back into one.
fn check_delivery(kind: SessionKind, in_cookie: bool, wanted: Option<Delivery>) -> Result<(), GrantError> {
    match (kind, in_cookie, wanted) {
        (SessionKind::Tokens, true, Some(Delivery::Json)) => {
            Err(GrantError::InvalidRequest("a token that came in a cookie is never told to scripts"))
        }
        (SessionKind::Tokens, _, Some(Delivery::Cookie)) => {
            Err(GrantError::InvalidRequest("this session's tokens are not for cookies: sign in with cookies instead"))
        }
        (SessionKind::Tokens, ..) | (_, true, None | Some(Delivery::Cookie)) => Ok(()),
        (_, true, Some(_)) => Err(GrantError::InvalidRequest("the tokens of a session in cookies are never told")),
        (_, false, _) => Err(GrantError::InvalidGrant("this token counts in its cookie alone")),
    }
}

/// The next tokens of a session, in the way that it began with.
async fn refresh(state: &AppState, incoming: &Incoming, body: &Map<String, Value>) -> SpaReply {
    let named = Some(text(body, "refresh_token")).filter(|token| !token.is_empty());
    let (token, in_cookie) = match (named, spa_cookies::refresh(incoming)) {
        (Some(token), _) => (token, false),
        (None, Some(token)) => (token, true),
        (None, None) => return Err(SpaError::bad("`refresh_token` is missing, in the body and among the cookies")),
    };
    let wanted = delivery(body)?;
    let may = |kind| check_delivery(kind, in_cookie, wanted);
    let (kind, issued) = match state.actors.grants().refresh_session(token, may, incoming.context.deadline).await {
        Ok(refreshed) => refreshed,
        Err(error) => {
            count(state, incoming, Rate::TokenFailure).await?;
            return Err(error.into());
        }
    };
    let usual = match (kind, in_cookie) {
        (SessionKind::Tokens, false) => Delivery::Json,
        (SessionKind::Tokens, true) => Delivery::Hybrid,
        _ => Delivery::Cookie,
    };
    Ok(reply(state, &issued, wanted.unwrap_or(usual), None, None))
}

/// An id_token that a native app was given by a provider's own library. It counts once.
async fn assertion(state: &AppState, incoming: &Incoming, body: &Map<String, Value>) -> SpaReply {
    count(state, incoming, Rate::SignIn).await?;
    let deadline = incoming.context.deadline;
    let provider = provider(state, body)?.with_deadline(deadline);
    let (token, nonce) = (text(body, "assertion"), text(body, "nonce"));
    if token.is_empty() || nonce.is_empty() {
        return Err(SpaError::bad("`assertion` and `nonce` are needed"));
    }
    if token.len() > MAX_ASSERTION_BYTES {
        return Err(SpaError::bad("the assertion is too long"));
    }
    let found = provider.verify(token, nonce).await.map_err(|error| {
        tracing::warn!(provider = provider.name(), %error, "an id_token was refused");
        match error.is_unavailable() {
            true => SpaError::new(StatusCode::SERVICE_UNAVAILABLE, "the provider cannot be asked at the moment"),
            false => SpaError::bad("the assertion does not hold"),
        }
    })?;
    let now = state.actors.store().now();
    let left = found.expires.as_millis().saturating_sub(now.as_millis()).max(0).unsigned_abs();
    let counts_for = std::time::Duration::from_millis(left) + std::time::Duration::from_secs(1);
    if !state.actors.use_once(&found.id, counts_for, deadline).await? {
        return Err(SpaError::bad("the assertion was used before"));
    }
    let delivery = delivery(body)?.unwrap_or_default();
    match admit(state, incoming, &found.profile).await? {
        Admitted::Actor(actor) => deliver(state, &actor, delivery, found.profile.email, None).await,
        Admitted::NeedsEmail => {
            Err(SpaError::unauthorized("a verified e-mail address is needed: sign in by a browser"))
        }
        Admitted::AddressTaken => {
            Err(SpaError::new(StatusCode::CONFLICT, "there is an actor for this address: sign in as before"))
        }
    }
}

/// What a native app was led back with. It counts once, for five minutes, and for whoever began.
async fn ticket(state: &AppState, incoming: &Incoming, body: &Map<String, Value>) -> SpaReply {
    let deadline = incoming.context.deadline;
    let unknown = || SpaError::bad("the ticket has ended, or was used before");
    let ticket = text(body, "ticket");
    if ticket.is_empty() {
        return Err(SpaError::bad("`ticket` is missing"));
    }
    let Some(waiting) = state.actors.take_once::<Waiting>(Once::Ticket, ticket, deadline).await? else {
        count(state, incoming, Rate::TokenFailure).await?;
        return Err(unknown());
    };
    let challenge = waiting.challenge.as_deref();
    if !challenge.is_some_and(|challenge| is_met(challenge, text(body, "code_verifier"))) {
        return Err(SpaError::bad("`code_verifier` is not the one that the sign-in began with"));
    }
    deliver_to(state, incoming, waiting).await
}

/// Whether this verifier meets the challenge.
pub(crate) fn is_met(challenge: &str, verifier: &str) -> bool {
    CodeChallenge::parse(Some(challenge), Some("S256")).is_ok_and(|challenge| challenge.is_met_by(verifier))
}

/// A new session of an actor's creator. `email` is told only where it is verified.
pub(crate) async fn deliver(
    state: &AppState,
    actor: &Actor,
    delivery: Delivery,
    email: Option<String>,
    redirect_url: Option<&str>,
) -> SpaReply {
    let kind = match delivery {
        Delivery::Cookie => SessionKind::Cookies,
        Delivery::Json | Delivery::Hybrid => SessionKind::Tokens,
    };
    let issued = state.actors.grants().open_session(actor, kind).await?;
    Ok(reply(state, &issued, delivery, email.as_deref(), redirect_url))
}

fn reply(
    state: &AppState,
    issued: &Issued,
    delivery: Delivery,
    email: Option<&str>,
    redirect_url: Option<&str>,
) -> Response {
    // Up: the moment between making it and saying so is nobody's business.
    let seconds = u64::try_from(issued.expires_in.as_millis().div_ceil(1000)).unwrap_or_default();
    let ends = state.actors.store().now().plus(issued.expires_in).as_secs();
    let mut body = Map::new();
    let mut put = |name: &str, value: Value| body.insert(name.to_owned(), value);
    put("success", json!(true));
    put("actor_id", json!(issued.actor));
    if let Some(email) = email {
        put("email", json!(email));
    }
    put("expires_in", json!(seconds));
    put("expires_at", json!(ends));
    if let Some(url) = redirect_url {
        put("redirect_url", json!(url));
    }
    let refresh = issued.refresh_token.as_deref().unwrap_or_default();
    if delivery != Delivery::Cookie {
        put("access_token", json!(issued.access_token));
        put("token_type", json!("Bearer"));
    }
    match delivery {
        Delivery::Json => {
            put("refresh_token", json!(refresh));
            put("refresh_token_expires_in", json!(SESSION_LIFETIME.as_secs()));
        }
        Delivery::Cookie | Delivery::Hybrid => drop(put("token_delivery", json!(delivery.as_str()))),
    }
    let mut response = private(StatusCode::OK, &Value::Object(body));
    if delivery == Delivery::Cookie {
        spa_cookies::set_access(state, &mut response, &issued.access_token, seconds);
    }
    if delivery != Delivery::Json {
        spa_cookies::set_refresh(state, &mut response, refresh, SESSION_LIFETIME.as_secs());
    }
    response
}
