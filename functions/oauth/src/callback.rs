//! `/oauth/callback`: a browser comes back from an identity provider. What it brings counts once, in the browser that was
//! sent there.

use actingweb_providers::{Profile, ProviderError};
use actingweb_web::{AppState, Incoming, Problem, Reply, Verb};
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::any;
use http::StatusCode;

use crate::pages::{Page, escape, see_other};
use crate::params::Params;
use crate::session::{self, Session};
use crate::signin::{Trouble, ask, back};
use crate::signin_admit::{Admitted, admit, identity_of};
use crate::signin_leg::{Purpose, Returned, Stray, receive, redirect_uri};
use crate::{email, spa_return};

/// The routes of this part.
pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .route("/oauth/callback", any(by_link))
        .route("/oauth/callback/", any(by_link))
        .route("/oauth/callback/apple", any(by_form))
        .route("/oauth/callback/apple/", any(by_form))
}

async fn by_link(State(state): State<AppState>, incoming: Incoming) -> Reply {
    match incoming.verb {
        Verb::Get => {
            let params = incoming.params().map(|(name, value)| (name.to_owned(), value.to_owned()));
            Box::pin(come_back(&state, &incoming, &Params::new(params), false)).await
        }
        _ => Err(Problem::method_not_allowed("GET")),
    }
}

/// Apple's answer, a form of its own page.
async fn by_form(State(state): State<AppState>, incoming: Incoming) -> Reply {
    match incoming.verb {
        Verb::Post => {
            let fields = Params::new(incoming.form().unwrap_or_default());
            Box::pin(come_back(&state, &incoming, &fields, true)).await
        }
        _ => Err(Problem::method_not_allowed("POST")),
    }
}

async fn come_back(state: &AppState, incoming: &Incoming, params: &Params, form: bool) -> Reply {
    let repeated = |error: crate::params::Repeated| Problem::bad_request(error.to_string());
    let sent_state = params.get("state").map_err(repeated)?.unwrap_or_default();
    let returned = match receive(state, incoming, sent_state).await? {
        Ok(returned) if returned.provider.answers_by_form() == form => returned,
        Ok(_) => return Ok(stray(state, Stray::Unknown)),
        Err(why) => return Ok(stray(state, why)),
    };
    if let Some(error) = params.get("error").map_err(repeated)? {
        let provider = returned.provider.name();
        // The provider's text is for nobody but the log.
        tracing::info!(provider, error, "a sign-in was refused at the provider");
        let trouble = if error == "access_denied" || error.starts_with("user_cancel") {
            Trouble::Refused
        } else {
            Trouble::Provider
        };
        return Ok(failed(state, &returned.purpose, trouble));
    }
    // Who says which provider it is must say the right one (RFC 9207).
    let issuer = params.get("iss").map_err(repeated)?;
    let own = returned.provider.settings().issuer.as_str().trim_end_matches('/');
    let code = params.get("code").map_err(repeated)?;
    let (Some(code), true) = (code, issuer.is_none_or(|issuer| issuer.trim_end_matches('/') == own)) else {
        tracing::warn!(provider = returned.provider.name(), issuer, "a provider's answer is not as it should be");
        return Ok(failed(state, &returned.purpose, Trouble::Provider));
    };
    let redirect = redirect_uri(state, &returned.provider);
    match returned.provider.finish(&redirect, &returned.leg, code).await {
        Ok(profile) => arrive(state, incoming, &returned, named(profile, params)).await,
        Err(error) => {
            tracing::warn!(provider = returned.provider.name(), %error, "a sign-in failed");
            let trouble = match error {
                ProviderError::Identity { .. } => Trouble::Identity,
                _ => Trouble::Provider,
            };
            Ok(failed(state, &returned.purpose, trouble))
        }
    }
}

/// Somebody is who they say they are.
async fn arrive(state: &AppState, incoming: &Incoming, returned: &Returned, profile: Profile) -> Reply {
    if let Purpose::Link { actor } = &returned.purpose {
        // With a form of another site's page browsers do not send the session's cookie. The answer to the question that
        // follows brings it, and is held to it.
        if !returned.provider.answers_by_form() {
            let session = Session::of(state, incoming).await?;
            if session.is_none_or(|session| session.actor.id().as_str() != actor) {
                return Err(Problem::forbidden("somebody else is signed in at this browser by now: begin again"));
            }
        }
        let display = &returned.provider.settings().display_name;
        return ask(state, incoming, actor, &identity_of(&profile), display).await;
    }
    let admitted = match admit(state, incoming, &profile).await {
        Ok(admitted) => admitted,
        Err(problem) if problem.status() == StatusCode::FORBIDDEN => {
            return Ok(kept_out(state, &returned.purpose, problem.detail()));
        }
        Err(problem) => return Err(problem),
    };
    match (admitted, &returned.purpose) {
        (Admitted::Actor(actor), Purpose::Page(request)) => {
            spa_return::arrived(state, incoming, (request, &returned.browser), &actor, &profile).await
        }
        (Admitted::Actor(actor), purpose) => {
            let next = match purpose {
                Purpose::Web { next: Some(next) } => next.as_str(),
                _ => "/oauth/login",
            };
            session::begin(state, incoming, &actor, see_other(&format!("{}{next}", state.base_url))).await
        }
        (Admitted::NeedsEmail, _) => email::ask(state, incoming, returned, &profile).await,
        (Admitted::AddressTaken, purpose) => Ok(failed(state, purpose, Trouble::AddressTaken)),
    }
}

/// Apple tells the name in the form, the first time only. It is no proof of anything; the identity is not in it.
fn named(profile: Profile, params: &Params) -> Profile {
    let told: serde_json::Value = serde_json::from_str(params.first("user")).unwrap_or_default();
    let part = |name: &str| {
        let part = told.get("name").and_then(|names| names.get(name)).and_then(serde_json::Value::as_str);
        part.map(|part| part.chars().filter(|c| !c.is_control()).take(100).collect::<String>())
    };
    let (given, family) = (part("firstName"), part("lastName"));
    if profile.name.is_some() || (given.is_none() && family.is_none()) {
        return profile;
    }
    let name = [given.as_deref(), family.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(" ");
    Profile { name: Some(name), given_name: given, family_name: family, ..profile }
}

/// Back to where the person came from, told what went wrong.
pub(crate) fn failed(state: &AppState, purpose: &Purpose, trouble: Trouble) -> Response {
    match purpose {
        Purpose::Page(request) => spa_return::failed(request, trouble),
        Purpose::Web { next } => back(state, trouble, next.as_deref()),
        Purpose::Link { .. } => back(state, trouble, None),
    }
}

/// The application does not let them in, and says why.
pub(crate) fn kept_out(state: &AppState, purpose: &Purpose, reason: &str) -> Response {
    if let Purpose::Page(request) = purpose {
        return spa_return::kept_out(request);
    }
    let body = format!(
        "<p class=\"alert\" role=\"alert\">{}</p><p><a href=\"{}/oauth/login\">Sign in another way</a></p>",
        escape(reason),
        escape(&state.base_url)
    );
    Page { title: "You cannot sign in", body, leads_away: false }.reply(StatusCode::FORBIDDEN)
}

fn stray(state: &AppState, why: Stray) -> Response {
    let reason = match why {
        Stray::Unknown => "This sign-in has ended, or was used before.",
        Stray::OtherBrowser => "This sign-in began in another browser.",
    };
    let body = format!(
        "<p class=\"alert\" role=\"alert\">{reason}</p><p><a href=\"{}/oauth/login\">Begin again</a></p>",
        escape(&state.base_url)
    );
    Page { title: "This did not work", body, leads_away: false }.reply(StatusCode::BAD_REQUEST)
}
