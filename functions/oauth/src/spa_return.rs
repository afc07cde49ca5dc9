//! The way back to an application: nothing but a word by which it picks up its tokens, once.

use actingweb_actor::{Actor, Once};
use actingweb_providers::Profile;
use actingweb_web::{AppState, Incoming, Problem};
use axum::response::Response;
use serde::{Deserialize, Serialize};

use crate::pages::see_other;
use crate::signin::Trouble;
use crate::signin_leg::secret;
use crate::spa_request::{Delivery, PageRequest};

/// What waits to be picked up. It holds no token: they are made for whoever picks it up.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Waiting {
    pub(crate) actor: String,
    /// The digest of the identity that signed in: once it no longer leads to the actor, this leads nowhere either.
    pub(crate) identity: String,
    pub(crate) email: Option<String>,
    pub(crate) return_path: String,
    pub(crate) delivery: Delivery,
    pub(crate) challenge: Option<String>,
    /// SHA-256 of the secret of the browser in which the sign-in took place.
    pub(crate) browser: String,
}

/// Somebody signed in: `?session=` for a page, `?ticket=` for a native app.
pub(crate) async fn arrived(
    state: &AppState,
    incoming: &Incoming,
    (request, browser): (&PageRequest, &str),
    actor: &Actor,
    profile: &Profile,
) -> Result<Response, Problem> {
    let waiting = Waiting {
        actor: actor.id().to_string(),
        identity: profile.identity(),
        email: profile.email.clone(),
        return_path: request.return_path.replace("{actor_id}", actor.id().as_str()),
        delivery: request.delivery,
        challenge: request.challenge.clone(),
        browser: browser.to_owned(),
    };
    let (kind, name) = if request.is_app { (Once::Ticket, "ticket") } else { (Once::Pickup, "session") };
    let word = secret(&*state.entropy);
    state.actors.keep_once(kind, &word, &waiting, incoming.context.deadline).await?;
    Ok(see_other(&request.back(&[(name, &word)])))
}

/// It did not work: `?error=`.
pub(crate) fn failed(request: &PageRequest, trouble: Trouble) -> Response {
    let error = match trouble {
        Trouble::Refused => "access_denied",
        Trouble::Provider => "token_exchange_failed",
        Trouble::Identity => "validation_failed",
        Trouble::AddressTaken | Trouble::IdentityTaken => "identifier_failed",
    };
    see_other(&request.back(&[("error", error), ("error_description", trouble.text())]))
}

/// The application's hooks do not let them in.
pub(crate) fn kept_out(request: &PageRequest) -> Response {
    see_other(&request.back(&[("error", "auth_rejected")]))
}

/// An address is wanted first: `?email_required=true`, and the word for `/oauth/email`.
pub(crate) fn needs_email(request: &PageRequest, word: &str) -> Response {
    see_other(&request.back(&[("email_required", "true"), ("session", word)]))
}
